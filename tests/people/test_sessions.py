"""Sessions are stored in PostgreSQL, and end when they should. FAULTS.md, lines 45 and 46."""

import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask_login import current_user
from sqlalchemy import func, select, update

from backoffice.app.extensions import db
from backoffice.people import actions
from backoffice.people.models import User, WebSession
from backoffice.security.sessions import IDLE, LONGEST, digest
from tests.signing_in import cookie_for, someone

PASSWORD = "seventeen brown hens"

TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


@pytest.fixture
def ayu(session):
    """An administrator with a password."""
    user = actions.create_user(
        session, email="ayu@northwind.example", name="Ayu", role="admin", password=PASSWORD
    )
    session.commit()
    return user


@pytest.fixture
def cookie_name(app):
    return app.session_interface.get_cookie_name(app)


def sign_in_by_form(client, **query):
    return client.post(
        "/login",
        data={"email": "ayu@northwind.example", "password": PASSWORD},
        query_string=query,
    )


def rows(session):
    session.rollback()
    return session.scalar(select(func.count()).select_from(WebSession))


def cookie_of(client, cookie_name):
    cookie = client.get_cookie(cookie_name)
    return cookie.value if cookie else None


def is_signed_in(client):
    return client.get("/profile").status_code == 200


def browser_with(app, cookie_name, value):
    browser = app.test_client()
    browser.set_cookie(cookie_name, value)
    return browser


def test_the_table_holds_only_a_digest_of_the_cookie(client, session, ayu, cookie_name):
    sign_in_by_form(client)
    stored = session.scalars(select(WebSession.id)).all()
    value = cookie_of(client, cookie_name)
    assert stored == [digest(value)]
    assert len(value) >= 43  # 256 bits
    assert value not in stored


def test_the_cookies_are_out_of_reach_of_scripts_and_other_sites(client, ayu, cookie_name):
    cookies = sign_in_by_form(client).headers.getlist("Set-Cookie")
    assert any(cookie.startswith(cookie_name) for cookie in cookies)
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Domain" not in cookie


def test_over_https_the_cookie_is_secure(app, ayu):
    answer = app.test_client().post(
        "/login",
        data={"email": ayu.email, "password": PASSWORD},
        base_url="https://localhost",
    )
    assert all("Secure" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_two_copies_on_one_machine_do_not_share_a_cookie(app):
    names = set()
    for secret in ("one", "two"):
        app.secret_key = app.config["SECRET_KEY"] = secret
        names.add(app.session_interface.get_cookie_name(app))
    assert len(names) == 2


def test_a_planted_session_id_is_worthless_after_sign_in(app, client, session, ayu, cookie_name):
    app.config["WTF_CSRF_ENABLED"] = True
    client.get("/login")
    planted = cookie_of(client, cookie_name)
    app.config["WTF_CSRF_ENABLED"] = False
    assert sign_in_by_form(client).status_code == 303
    assert cookie_of(client, cookie_name) != planted
    assert not is_signed_in(browser_with(app, cookie_name, planted))
    assert rows(session) == 1


def test_an_invented_session_id_is_never_taken_over(app, client, session, ayu, cookie_name):
    client.set_cookie(cookie_name, "invented-by-an-attacker")
    sign_in_by_form(client)
    assert cookie_of(client, cookie_name) != "invented-by-an-attacker"
    assert not is_signed_in(browser_with(app, cookie_name, "invented-by-an-attacker"))


def test_a_stolen_cookie_is_dead_after_signing_out(app, client, session, ayu, cookie_name):
    sign_in_by_form(client)
    stolen = cookie_of(client, cookie_name)
    assert is_signed_in(browser_with(app, cookie_name, stolen))
    client.post("/logout")
    assert not is_signed_in(browser_with(app, cookie_name, stolen))
    assert cookie_of(client, cookie_name) is None
    assert rows(session) == 0


def test_a_dead_cookie_is_taken_back(client, cookie_name):
    client.set_cookie(cookie_name, "long-gone")
    client.get("/profile")
    assert cookie_of(client, cookie_name) is None


@pytest.mark.parametrize(
    "event_in_life",
    [
        actions.disable,
        lambda session, user: actions.set_role(session, user, "viewer"),
        lambda session, user: actions.set_password(session, user, "another fine one"),
        actions.end_sessions,
    ],
    ids=["disabled", "other role", "other password", "ended by an administrator"],
)
def test_all_sessions_of_a_user_end_when_they_are(event_in_life, app, session, sign_in):
    someone(app, "admin")
    user = session.get(User, someone(app, "finance"))
    browsers = [sign_in(user), sign_in(user)]
    bystander = sign_in("finance")
    assert all(is_signed_in(browser) for browser in browsers)
    event_in_life(session, user)
    session.commit()
    assert not any(is_signed_in(browser) for browser in browsers)
    assert is_signed_in(bystander)


def test_a_user_disabled_behind_our_back_is_signed_out_too(app, session, sign_in, owner_connection):
    user = session.get(User, someone(app, "finance"))
    browser = sign_in(user)
    owner_connection.execute("UPDATE users SET is_active = false WHERE id = %s", [user.id])
    assert not is_signed_in(browser)


def test_an_ended_session_is_never_written_again(app, session, sign_in):
    user = session.get(User, someone(app, "finance"))
    browser = sign_in(user)
    view = app.view_functions["people.preferences_post"]

    def slow(**arguments):  # the session is read, then ended elsewhere, then saved
        from flask import flash

        flash("late")
        with db.engine.begin() as connection:
            connection.execute(WebSession.__table__.delete())
        return view(**arguments)

    slow.is_public = True
    app.view_functions["people.preferences_post"] = slow
    try:
        browser.post("/preferences", data={"theme": "dark"})
    finally:
        app.view_functions["people.preferences_post"] = view
    assert rows(session) == 0
    assert not is_signed_in(browser)


def test_a_session_ends_by_itself(app, session, sign_in):
    user = session.get(User, someone(app, "finance"))
    browser = sign_in(user)
    session.execute(update(WebSession).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    session.commit()
    assert not is_signed_in(browser)


def test_using_a_session_extends_it_but_not_for_ever(app, session, sign_in):
    user = session.get(User, someone(app, "finance"))
    browser = sign_in(user)
    began_at = datetime.now(UTC) - LONGEST + timedelta(hours=1)
    soon = datetime.now(UTC) + timedelta(minutes=30)
    session.execute(update(WebSession).values(created_at=began_at, expires_at=soon))
    session.commit()
    assert is_signed_in(browser)
    session.rollback()
    ends_at = session.scalar(select(WebSession.expires_at))
    assert soon < ends_at <= began_at + LONGEST
    assert began_at + LONGEST < datetime.now(UTC) + IDLE


def test_signing_in_forgets_sessions_that_ended_by_themselves(client, session, app, ayu):
    cookie_for(app, someone(app, "viewer"))
    session.execute(update(WebSession).values(expires_at=datetime.now(UTC) - timedelta(days=1)))
    session.commit()
    sign_in_by_form(client)
    assert rows(session) == 1


def test_a_visitor_gets_no_session_until_something_must_be_stored(app, client, session):
    client.get("/nowhere")
    client.get("/")
    assert rows(session) == 0
    app.config["WTF_CSRF_ENABLED"] = True
    client.get("/login")
    assert rows(session) == 1


def test_a_plain_page_costs_one_statement_for_session_and_user_and_writes_nothing(
    app, session, sign_in, monkeypatch
):
    browser = sign_in("finance")
    browser.get("/profile")
    statements, execute = [], psycopg.Cursor.execute

    def note(cursor, statement, *rest, **options):
        statements.append(statement)
        return execute(cursor, statement, *rest, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    assert browser.get("/profile").status_code == 200
    assert len(statements) == 1, statements
    assert "web_sessions" in statements[0]
    assert "users" in statements[0]


def test_a_user_who_is_changed_before_anything_else_is_asked_is_stored(app):
    ayu = someone(app, "admin")
    headers = {"Cookie": "=".join(cookie_for(app, ayu))}
    with app.test_request_context("/profile", method="POST", headers=headers):
        app.preprocess_request()
        assert current_user.id == ayu
        assert not db.session.registry.has(), "a session was made for nothing"
        current_user.name = "Ayu Wulandari"
        db.session.commit()
    with app.app_context():
        assert db.session.get(User, ayu).name == "Ayu Wulandari"


def test_not_even_the_secret_key_forges_a_remember_me_cookie(app, client, session, ayu):
    from flask_login import encode_cookie

    with app.app_context():
        forged = encode_cookie(str(ayu.id))
    client.set_cookie("remember_token", forged)
    assert not is_signed_in(client)
    assert not is_signed_in(client)
    session.rollback()
    assert session.scalars(select(WebSession.user_id)).all() in ([], [None])


def test_flashes_survive_the_redirect_and_are_shown_once(client, ayu):
    sign_in_by_form(client)
    client.post("/profile", data={"language": "en", "number_format": "plain"})
    assert "Your settings are saved." in client.get("/profile").text
    assert "Your settings are saved." not in client.get("/profile").text


def test_every_page_of_a_session_holds_the_token_that_was_signed_once(sign_in):
    shown = []
    for user in (sign_in("admin"), sign_in("admin")):
        pages = [user.get(page).text for page in ("/profile", "/orders")]
        shown.append({TOKEN.search(page)[1] for page in pages})
    assert [len(tokens) for tokens in shown] == [1, 1]
    assert shown[0] != shown[1]
