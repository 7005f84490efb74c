"""Tokens, with which other programs sign in. FAULTS.md, line 52: expired, of another scope, replayed."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import jsonify
from flask_login import current_user
from sqlalchemy import func, select, update

from backoffice import create_app
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.audit.models import AuditEvent
from backoffice.base import periods
from backoffice.base.actor import actor
from backoffice.people import tokens
from backoffice.people.actors import name_of
from backoffice.people.models import SCOPES, ApiToken, WebSession
from backoffice.security.bearer import signed_in_program
from backoffice.security.permissions import requires

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture(autouse=True)
def fresh_limits(app):
    """Reset the counts of failed attempts."""
    with app.app_context():
        limiter.reset()


@pytest.fixture
def issue(session):
    """Create a committed token; returns its secret."""

    def issue(scope="metrics", name="prometheus", expires_at=None):
        issued = tokens.create(session, name=name, scope=scope, expires_at=expires_at)
        session.commit()
        return issued.secret

    return issue


def ask(app, secret="", address="/metrics", **headers):
    """Send a request as another program, with only its token."""
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    return app.test_client().get(address, headers=headers)


def stored(session, name="prometheus"):
    session.rollback()
    session.expire_all()
    return session.scalars(select(ApiToken).where(ApiToken.name == name)).one()


# The commands


def test_a_token_of_two_scopes_is_refused(run_command, session):
    done = run_command("tokens", "create", "--name", "p", "--scope", "metrics", "--scope", "health")
    assert done.exit_code == 2
    assert "A token has one scope" in done.stderr
    assert session.scalars(select(ApiToken)).all() == []


def test_a_token_is_shown_once_and_only_its_digest_is_kept(run_command, session, app):
    done = run_command("tokens", "create", "--name", "prometheus", "--scope", "metrics", "--json")
    assert done.exit_code == 0, done.output
    reported = json.loads(done.stdout)
    secret = reported["token"]
    assert ask(app, secret).status_code == 200
    row = stored(session)
    assert row.token_hash == tokens.digest(secret)
    assert row.created_by.startswith("cli:")
    assert timedelta(days=364) < row.expires_at - datetime.now(UTC) <= timedelta(days=365)
    listed = run_command("tokens", "list", "--json").stdout + run_command("tokens", "list").stdout
    assert "prometheus" in listed
    assert secret not in listed
    assert row.token_hash not in listed


def test_for_people_the_token_alone_is_on_standard_output(run_command, session):
    done = run_command("tokens", "create", "--name", "p", "--scope", "metrics", "--never-expires")
    assert tokens.token_behind(session, done.stdout.strip()).name == "p"
    assert "only now" in done.stderr
    assert stored(session, "p").expires_at is None


def test_the_days_of_a_token_are_those_of_the_business(run_command, issue):
    ends = (datetime.now(UTC) + timedelta(days=30)).replace(hour=23, minute=30)
    issue(expires_at=ends)
    listed = run_command("tokens", "list").stdout
    assert periods.business_date(ends) > ends.date()
    assert periods.business_date(ends).isoformat() in listed


def test_only_scopes_that_open_a_route_are_offered(app, sign_in, run_command):
    offered = {getattr(v, "token_scope", "") for v in app.view_functions.values()} - {""}
    page = sign_in("admin").get("/settings/tokens/new").text
    choices = set(re.findall(r'<option[^>]* value="([a-z_:]+)"', page))
    assert choices == offered
    for scope in {*tokens.SCOPES, *offered}:
        done = run_command("tokens", "create", "--name", f"for {scope}", "--scope", scope)
        assert (done.exit_code == 0) is (scope in offered), scope
    reported = run_command("tokens", "create", "--help").stdout
    assert all(word in reported for word in ("metrics", "customers:read", "customers:write"))


def test_every_token_is_another_one_of_256_bits(issue):
    made = {issue(name=f"program {number}") for number in range(20)}
    assert len(made) == 20
    assert {len(secret) for secret in made} == {len(tokens.PREFIX) + 43}


def test_the_trail_records_who_made_a_token_but_not_what_opens_it(issue, session):
    secret = issue()
    (event,) = session.scalars(select(AuditEvent).where(AuditEvent.table_name == "api_tokens"))
    assert event.after["name"] == "prometheus"
    assert event.after["token_hash"] == "changed"
    assert secret not in str(event.after)


def test_the_scope_wallets_is_that_of_charging_them(run_command, session):
    done = run_command("tokens", "create", "--name", "meters", "--scope", "wallets")
    assert done.exit_code == 0, done.output
    assert session.scalar(select(ApiToken.scope)) == "wallets:write"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "--name", "prometheus", "--scope", "metrics"), "Another token is called"),
        (("create", "--name", " ", "--scope", "metrics"), "Write a name"),
        (("create", "--name", "x" * 101, "--scope", "metrics"), "at most 100 characters"),
        (("create", "--name", "x", "--scope", "everything"), "everything"),
        (
            ("create", "--name", "x", "--scope", "purses"),
            "Choose one of these: health, metrics, accounts:read, ",
        ),
        (("create", "--name", "x", "--scope", "metrics", "--days", "0"), "--days"),
        (("create", "--name", "x"), "--scope"),
        (("revoke", "nobody"), "tokens list"),
        (("revoke", "99999999999999999999999"), "tokens list"),
    ],
)
def test_trouble_is_a_sentence_and_exit_status_2(run_command, issue, words, sentence):
    issue()
    done = run_command("tokens", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_a_revoked_token_opens_nothing_and_its_name_is_free_again(run_command, issue, app, session):
    secret = issue()
    assert run_command("tokens", "revoke", "prometheus").exit_code == 0
    assert ask(app, secret).status_code == 401
    assert stored(session).revoked_at is not None
    assert ask(app, issue()).status_code == 200
    by_number = run_command("tokens", "revoke", "2")
    assert by_number.exit_code == 0
    states = [
        t["state"] for t in json.loads(run_command("tokens", "list", "--json").stdout)["tokens"]
    ]
    assert states == ["revoked", "revoked"]


# What a token grants


def test_a_token_opens_what_it_is_for(app, issue):
    answer = ask(app, issue())
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")


def test_a_program_has_no_session_and_gets_no_cookie(app, issue, session):
    answer = ask(app, issue())
    assert "Set-Cookie" not in answer.headers
    assert session.scalar(select(func.count()).select_from(WebSession)) == 0


def test_a_token_of_another_scope_is_refused_with_403(app, issue):
    answer = ask(app, issue(scope="wallets:read"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="metrics"' in answer.headers["WWW-Authenticate"]


def test_an_expired_an_unknown_and_a_malformed_token_are_refused_alike(app, issue, session):
    expired = issue(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert ask(app, expired).status_code == 200
    session.execute(update(ApiToken).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    session.commit()
    unknown = tokens.PREFIX + "A" * 43
    answers = [
        ask(app, secret) for secret in (expired, unknown, "x", "ä", expired + "=", "a" * 9000)
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert all('error="invalid_token"' in a.headers["WWW-Authenticate"] for a in answers)


def test_without_a_token_a_program_is_told_to_send_one_and_a_person_to_sign_in(app):
    program = ask(app, Accept="text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert program.status_code == 401
    assert program.headers["WWW-Authenticate"] == 'Bearer realm="Backoffice", scope="metrics"'
    assert ask(app).status_code == 401
    assert ask(app, Accept="application/json").json["error"].startswith("Send a token")
    person = ask(app, Accept=BROWSER)
    assert person.status_code == 302
    assert person.location.startswith("/login")


def test_a_token_in_an_address_or_a_form_opens_nothing(app, issue):
    secret = issue()
    for accept in ("*/*", BROWSER):
        for name in ("token", "access_token", "api_key"):
            answer = ask(app, address=f"/metrics?{name}={secret}", Accept=accept)
            assert answer.status_code == 401
            assert secret not in str(answer.headers) + answer.text
    assert ask(app, Authorization=f"Basic {secret}").status_code == 401
    assert ask(app, Authorization=secret).status_code == 401
    assert ask(app, Authorization=f"Bearer {tokens.digest(secret)}").status_code == 401


def test_a_token_opens_nothing_else(app, issue):
    secrets = [issue(scope=scope, name=scope) for scope in SCOPES]
    opened = []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.arguments or getattr(view, "is_public", False) or "GET" not in rule.methods:
            continue
        limiter.reset()
        for scope, secret in zip(SCOPES, secrets, strict=True):
            status = ask(app, secret, rule.rule).status_code
            is_for_it = getattr(view, "token_scope", "") == scope
            if (status not in (302, 401, 403)) != is_for_it:
                opened.append((rule.rule, scope, status))
    assert opened == []


def test_a_signed_in_administrator_needs_no_token_and_a_bad_one_beside_is_refused(app, sign_in):
    browser = sign_in("admin")
    assert browser.get("/metrics").status_code == 200
    assert browser.get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 401
    assert sign_in("finance").get("/metrics").status_code == 403


def test_a_view_cannot_be_opened_to_a_scope_that_there_is_not():
    with pytest.raises(ValueError, match="everything"):
        requires("metrics.read", scope="everything")


# Attempts and uses


def test_too_many_attempts_are_refused_but_a_good_token_is_let_in(app, issue):
    secret = issue()
    statuses = [ask(app, "wrong").status_code for _ in range(21)]
    assert statuses == [401] * 20 + [429]
    refused = ask(app, "wrong")
    assert int(refused.headers["Retry-After"]) > 0
    assert {ask(app, secret).status_code for _ in range(3)} == {200}


def test_no_forwarded_address_evades_the_limit(app):
    statuses = {
        ask(app, "wrong", **{"X-Forwarded-For": f"10.0.0.{number}"}).status_code
        for number in range(22)
    }
    assert statuses == {401, 429}


def test_without_its_database_a_program_is_asked_to_come_again(services):
    lost = create_app(
        {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "long enough"}
    )
    answer = ask(lost, tokens.PREFIX + "A" * 43)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_good_uses_are_not_counted_as_attempts(app, issue):
    secret = issue()
    assert {ask(app, secret).status_code for _ in range(25)} == {200}
    assert ask(app, "wrong").status_code == 401


def test_the_last_use_is_kept_to_within_minutes_and_is_no_event(app, issue, session):
    secret = issue()
    before = session.scalar(select(func.count()).select_from(AuditEvent))
    ask(app, secret)
    first = stored(session).last_used_at
    assert datetime.now(UTC) - first < timedelta(minutes=1)
    ask(app, secret)
    assert stored(session).last_used_at == first
    session.execute(update(ApiToken).values(last_used_at=first - timedelta(hours=1)))
    session.commit()
    ask(app, secret)
    assert stored(session).last_used_at >= first
    assert session.scalar(select(func.count()).select_from(AuditEvent)) == before


# A program that makes changes


@pytest.fixture
def shop(services, application):
    """An app with CSRF protection and a view that programs may post to."""
    shop = create_app({"TESTING": True})

    @shop.post("/test/charges")
    @requires("users.manage", scope="wallets:write")
    def charge():
        db.session.execute(update(ApiToken).values(name="charged"))
        program = signed_in_program()
        who = program.actor if program else f"user:{current_user.id}"
        return jsonify(who=who, actor=actor.get(), is_signed_in=current_user.is_authenticated)

    return shop


def test_a_program_posts_without_csrf_token_and_acts_in_its_own_name(shop, issue, session):
    headers = {"Authorization": f"Bearer {issue(scope='wallets:write')}"}
    answer = shop.test_client().post("/test/charges", headers=headers)
    assert answer.json == {"who": "token:1", "actor": "token:1", "is_signed_in": False}
    session.rollback()
    assert name_of(session, "token:1") == "charged (token)"
    assert name_of(session, "token:99") == "#99 (token)"
    assert session.scalar(select(ApiToken.name)) == "charged"
    newest = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)
    assert session.scalars(newest).one().actor == "token:1"


def test_a_refused_program_changes_nothing(shop, issue, session):
    for headers in ({}, {"Authorization": f"Bearer {issue()}"}, {"Authorization": "Bearer x"}):
        assert shop.test_client().post("/test/charges", headers=headers).status_code in (
            400,
            401,
            403,
        )
    assert stored(session).name == "prometheus"


def test_a_browser_that_posts_there_still_needs_its_csrf_token(shop, session):
    from tests.signing_in import cookie_for, someone

    browser = shop.test_client()
    browser.set_cookie(*cookie_for(shop, someone(shop, "admin")))
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        assert browser.post("/test/charges", headers=headers).status_code == 400
