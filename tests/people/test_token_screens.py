"""Settings → Tokens: created, shown once, listed without secrets, revoked."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from backoffice.people import tokens
from backoffice.people.models import ApiToken, WebSession

NEW = "/settings/tokens/new"


@pytest.fixture
def admin(sign_in):
    return sign_in("admin")


def made(admin, **fields):
    return admin.post(NEW, data={"name": "prometheus", "scope": "metrics", "days": "90", **fields})


def secret_in(answer):
    (secret,) = re.findall(tokens.PREFIX + r"[A-Za-z0-9_-]{43}", answer.text)
    return secret


def test_a_token_is_shown_when_it_is_made_and_never_again(admin, app, session):
    answer = made(admin)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    secret = secret_in(answer)
    bearer = {"Authorization": f"Bearer {secret}"}
    assert app.test_client().get("/metrics", headers=bearer).status_code == 200
    row = session.scalars(select(ApiToken)).one()
    assert row.created_by == "user:1"
    assert 89 <= (row.expires_at - row.created_at).days <= 90
    assert not any(secret in str(data) for data in session.scalars(select(WebSession.data)))
    page = admin.get("/settings/tokens").text
    assert "prometheus" in page
    assert secret not in page
    assert row.token_hash not in page


def test_a_token_may_never_expire(admin, session):
    made(admin, days="0")
    assert session.scalars(select(ApiToken.expires_at)).one() is None


def test_a_form_sent_twice_makes_one_token(admin, session):
    made(admin)
    again = made(admin)
    assert again.status_code == 422
    assert "Another token is called prometheus" in again.text
    assert len(session.scalars(select(ApiToken)).all()) == 1


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": " \u200b "}, {"name": "x" * 101}, {"scope": "everything"}, {"days": "9999"}],
)  # fmt: skip
def test_what_cannot_be_is_said_and_nothing_is_made(admin, session, fields):
    answer = made(admin, **fields)
    assert answer.status_code == 422
    assert "error-summary" in answer.text
    assert session.scalars(select(ApiToken)).all() == []


def test_a_revoked_token_stays_in_the_list_and_opens_nothing(admin, app, session):
    secret = secret_in(made(admin))
    answer = admin.post("/settings/tokens/1/revoke", follow_redirects=True)
    assert "is revoked and opens nothing any more" in answer.text
    assert "Revoked" in answer.text
    bearer = {"Authorization": f"Bearer {secret}"}
    assert app.test_client().get("/metrics", headers=bearer).status_code == 401
    assert admin.post("/settings/tokens/1/revoke").status_code == 303
    assert admin.post("/settings/tokens/9/revoke").status_code == 404


def test_markup_in_a_name_is_inert(admin):
    made(admin, name="<script>alert(1)</script>")
    page = admin.get("/settings/tokens").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_today_tells_administrators_of_tokens_that_end_soon(sign_in, session):
    now = datetime.now(UTC)
    for name, days in (("soon", 13), ("sooner", 1), ("later", 15), ("never", None)):
        ends = None if days is None else now + timedelta(days=days)
        tokens.create(session, name=name, scope="metrics", expires_at=ends)
    tokens.revoke(session, tokens.live_token_called(session, "sooner"))
    session.commit()
    sentence = "1 program&#39;s token expires within 14 days."
    assert sentence in sign_in("admin").get("/today").text
    assert "within 14 days" not in sign_in("finance").get("/today").text


def test_only_administrators_manage_tokens(sign_in):
    for role in ("viewer", "finance", "account_manager"):
        assert sign_in(role).get("/settings/tokens").status_code == 403
        assert made(sign_in(role)).status_code == 403
