"""Names of actors."""

from flask_babel import force_locale
from sqlalchemy import event

from backoffice.app.extensions import db
from backoffice.people.actors import name_of, names_of
from tests.factories.people import UserFactory


def test_a_user_is_called_by_name_and_one_who_is_gone_by_number(session):
    ayu = UserFactory(name="Ayu Lestari")
    assert names_of(session, [f"user:{ayu.id}", "user:999"]) == {
        f"user:{ayu.id}": "Ayu Lestari",
        "user:999": "#999",
    }


def test_programs_and_database_users_say_what_they_are(session):
    assert names_of(
        session, ["cli:root", "schedule:nightly", "worker:web1:7", "psql_user", "demo"]
    ) == {
        "cli:root": "root (command line)",
        "schedule:nightly": "nightly (schedule)",
        "worker:web1:7": "web1:7 (worker)",
        "psql_user": "psql_user (database user)",
        "demo": "The demo company",
    }


def test_what_only_looks_like_an_actor_stands_as_it_was_recorded(session):
    for odd in ("user:", "user:x", "user:٣", "user:" + "9" * 40, "user:-1", "robot:7", "100%:%s"):
        assert name_of(session, odd) == odd
    assert name_of(session, "") == "–"
    assert name_of(session, "a%(b)s") == "a%(b)s (database user)"


def test_names_are_told_in_the_readers_language(app, session):
    with app.test_request_context(), force_locale("id"):
        assert name_of(session, "cli:root") == "root (baris perintah)"


def test_any_number_of_names_costs_one_statement(session):
    users = UserFactory.create_batch(20)
    session.flush()
    asked = []

    def note(_connection, _cursor, statement, *_rest):
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        names_of(session, [f"user:{user.id}" for user in users] + ["cli:root"])
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(asked) == 1
