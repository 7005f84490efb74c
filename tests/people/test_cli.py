"""`backoffice users …`."""

import json

import pytest

from backoffice.people import actions, passwords
from backoffice.people.queries import user_by_email

PASSWORD = "seventeen brown hens"


@pytest.fixture
def users(run_command):
    """Run `backoffice users …`."""
    return lambda *words: run_command("users", *words)


@pytest.fixture
def ayu(session):
    """An administrator."""
    user = actions.create_user(
        session, email="ayu@northwind.example", name="Ayu", role="admin", password=PASSWORD
    )
    session.commit()
    return user


def stored(session, email="ayu@northwind.example"):
    session.rollback()
    session.expire_all()
    return user_by_email(session, email)


def test_create_makes_a_user_who_can_sign_in(users, session):
    done = users(
        "create",
        "Ayu@Northwind.example",
        "--name",
        "Ayu",
        "--role",
        "admin",
        "--password",
        PASSWORD,
    )
    assert (done.exit_code, done.stdout) == (
        0,
        "Ayu <ayu@northwind.example> is now a user with the role admin.\n",
    )
    ayu = stored(session)
    assert ayu.role == "admin"
    assert passwords.matches(ayu.password_hash, PASSWORD)
    assert PASSWORD not in done.output


def test_create_without_a_password_makes_a_user_who_cannot(users, session):
    assert users("create", "b@northwind.example", "--name", "B", "--no-password").exit_code == 0
    user = stored(session, "b@northwind.example")
    assert (user.role, user.password_hash) == ("viewer", "")


def test_create_reads_a_password_from_standard_input(app, session):
    from backoffice.commands.cli import main

    words = ["users", "create", "c@northwind.example", "--name", "C", "--password-stdin"]
    done = app.test_cli_runner().invoke(main, words, input=PASSWORD + "\n")
    assert done.exit_code == 0, done.output
    assert passwords.matches(stored(session, "c@northwind.example").password_hash, PASSWORD)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "nonsense", "--name", "X", "--no-password"), "is not an e-mail address"),
        (("create", "ayu@northwind.example", "--name", "X", "--no-password"), "already has"),
        (("create", "x@y.example", "--name", " ", "--no-password"), "Write the person's name"),
        (("create", "x@y.example", "--name", "X", "--password", "short"), "at least 10"),
        (("create", "x@y.example", "--name", "X"), "--password-stdin"),
        (("create", "x@y.example", "--name", "X", "--role", "emperor"), "emperor"),
        (("create", "x@y.example"), "--name"),
        (("set-role", "nobody@y.example", "viewer"), "users list"),
        (("set-role", "ayu@northwind.example", "viewer"), "last active administrator"),
        (("disable", "ayu@northwind.example"), "last active administrator"),
        (("enable", "nobody@y.example"), "Nobody has the address"),
        (("set-password", "ayu@northwind.example", "--password", "short"), "at least 10"),
    ],
)
def test_trouble_is_a_sentence_and_exit_status_2(users, ayu, session, words, sentence):
    done = users(*words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert stored(session).role == "admin"


def test_role_password_disable_and_enable(users, ayu, session, sign_in):
    users("create", "eka@northwind.example", "--name", "Eka", "--role", "admin", "--no-password")
    browser = sign_in(ayu)
    assert users("set-role", "AYU@northwind.example", "finance").exit_code == 0
    assert stored(session).role == "finance"
    assert browser.get("/profile").status_code == 302
    done = users("set-password", "ayu@northwind.example", "--password", "another good one")
    assert done.exit_code == 0
    assert passwords.matches(stored(session).password_hash, "another good one")
    assert users("disable", "ayu@northwind.example").exit_code == 0
    assert not stored(session).is_active
    assert users("enable", "ayu@northwind.example").exit_code == 0
    assert stored(session).is_active


def test_list_shows_everybody_to_people_and_to_programs(users, ayu, session):
    actions.create_user(session, email="b@northwind.example", name="Budi Ñ", role="viewer")
    session.commit()
    shown = users("list")
    assert "ayu@northwind.example" in shown.stdout
    assert "without password" in shown.stdout
    reported = json.loads(users("list", "--json").stdout)["users"]
    assert [user["email"] for user in reported] == ["ayu@northwind.example", "b@northwind.example"]
    assert reported[0]["has_password"] is True
    assert not any("hash" in name for name in reported[0])
