"""PostgreSQL refuses an approval by the user who asked, by another program, and of anything else than was requested."""

from typing import Any

import pytest
from psycopg import errors
from sqlalchemy import select, text

from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.base.actor import acting_as
from backoffice.database.proof import prove
from backoffice.drift.healing.performing import performed
from backoffice.people.models import User
from backoffice.runs import actions
from backoffice.runs.errors import NoLongerAsRequested
from backoffice.runs.models import Run
from tests.runs.test_four_eyes import a_person, book, waiting, wrong  # noqa: F401 (book is a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("book")]


@pytest.fixture
def asker(session: Any) -> User:
    return a_person(session)


@pytest.fixture
def asked(session: Any, asker: User) -> Run:
    return waiting(session, asker)


def events_of(session: Any, run: Run) -> list[tuple[str, str, dict[str, Any]]]:
    session.rollback()
    mine = select(AuditEvent).where(
        AuditEvent.table_name == "runs", AuditEvent.row_id == str(run.id)
    )
    return [(e.action, e.actor, e.after) for e in session.scalars(mine.order_by(AuditEvent.id))]


def test_the_trail_has_who_asked_who_approved_and_the_digest(
    session: Any, asker: User, asked: Run
) -> None:
    other = a_person(session, role="admin")
    with acting_as(f"user:{other.id}"):
        actions.approve(session, asked.id)
        session.commit()
    mine, theirs = f"user:{asker.id}", f"user:{other.id}"
    assert len(asked.digest) == 64
    assert events_of(session, asked) == [
        ("INSERT", mine, {"kind": "figures.apply", "requested_by": mine, "digest": asked.digest}),
        ("UPDATE", theirs, {"approved_by": theirs, "requested_by": mine, "digest": asked.digest}),
    ]
    performed(db.engine, asked.id)
    session.expire_all()
    assert (session.get(Run, asked.id).status, wrong(session)) == ("done", 0)


CHANGES = {
    "approves": "approved_by = 'user:999', approved_at = now(), status = 'queued'",
    "lets it begin": "status = 'queued'",
    "claims the approval alone": "approved_by = 'user:999'",
    "changes the scope": """scope = '{"run": 1, "more": true}'""",
    "changes the digest": "digest = ''",
    "changes the user who asked": "requested_by = 'user:999'",
    "makes it another kind": "kind = 'figures.heal'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_program_with_the_password_changes_and_approves_nothing(
    session: Any, app_connection: Any, asked: Run, change: str
) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        app_connection.execute(f"UPDATE runs SET {change} WHERE id = {asked.id}")
    app_connection.rollback()
    session.expire_all()
    assert (asked.status, asked.approved_by) == ("awaiting approval", "")
    assert len(events_of(session, asked)) == 1


def test_a_run_is_not_born_approved(app_connection: Any) -> None:
    insert = "INSERT INTO runs (kind, scope, scope_key, approved_by) VALUES ('figures.apply', '{}', 'x', 'user:1')"
    with pytest.raises(errors.InsufficientPrivilege, match="A new run is not approved yet"):
        app_connection.execute(insert)
    app_connection.rollback()


@pytest.mark.parametrize("name", ["user:77", "token:1"])
def test_another_program_requests_nothing_in_the_name_of_a_user(
    session: Any, app_connection: Any, name: str
) -> None:
    before = session.scalar(text("SELECT count(*) FROM runs"))
    insert = f"INSERT INTO runs (kind, scope, scope_key, requested_by) VALUES ('figures.apply', '{{}}', 'x', '{name}')"
    with pytest.raises(
        errors.InsufficientPrivilege, match="Only the app requests a run for a user"
    ):
        app_connection.execute(insert)
    app_connection.rollback()
    session.rollback()
    assert session.scalar(text("SELECT count(*) FROM runs")) == before


@pytest.mark.parametrize("approver", ["", "the one who asked"])
def test_also_our_own_processes_need_another_user(
    session: Any, asker: User, asked: Run, approver: str
) -> None:
    prove(session.connection())
    name = f"user:{asker.id}" if approver else ""
    with pytest.raises(Exception, match="approved once, by another user"):
        session.execute(
            text(
                "UPDATE runs SET approved_by = :name, approved_at = now(), status = 'queued' WHERE id = :id"
            ),
            {"name": name, "id": asked.id},
        )
    session.rollback()


FORGED = """UPDATE run_items SET after = '{"grand_total": "1.00"}' WHERE outcome = 'found'"""


def test_what_has_changed_since_it_was_requested_is_not_approved(
    session: Any, app_connection: Any, asked: Run
) -> None:
    app_connection.execute(FORGED)
    app_connection.commit()
    other = a_person(session, role="admin")
    with acting_as(f"user:{other.id}"), pytest.raises(NoLongerAsRequested):
        actions.approve(session, asked.id)
    session.rollback()
    prove(session.connection())
    with pytest.raises(Exception, match="What was requested has changed"):
        session.execute(
            text("UPDATE runs SET approved_by = 'user:999', status = 'queued' WHERE id = :id"),
            {"id": asked.id},
        )
    session.rollback()


def test_what_has_changed_since_it_was_approved_is_not_applied(
    session: Any, app_connection: Any, asked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.runs.working.FIRST_REST", 0)
    other = a_person(session, role="admin")
    with acting_as(f"user:{other.id}"):
        actions.approve(session, asked.id)
        session.commit()
    app_connection.execute(FORGED)
    app_connection.commit()
    performed(db.engine, asked.id)
    session.expire_all()
    run = session.get(Run, asked.id)
    assert (run.status, wrong(session)) == ("failed", 3)
    assert "no longer those that were requested" in run.error


def test_a_waiting_run_can_still_be_cancelled(session: Any, asker: User, asked: Run) -> None:
    with acting_as(f"user:{asker.id}"):
        actions.cancel(session, asked.id)
        session.commit()
    assert asked.status == "cancelled"
