"""Which run is served next: a small run does not wait behind many large ones."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, func, select, text, update

from backoffice.app.domain import Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.base.actor import acting_as
from backoffice.metrics.work import WAIT, turns
from backoffice.runs import actions
from backoffice.runs.kinds import RunKind
from backoffice.runs.models import Run
from backoffice.runs.turns import next_run
from backoffice.runs.turns import serve as note_served
from backoffice.runs.work import Asked, Chunk, Work
from backoffice.runs.working import perform, perform_in_turns

SERVED: list[int] = []
"""The runs of the chunks that were done, in order."""


def _plan(_connection: Connection, asked: Asked) -> Iterable[Chunk]:
    return [Chunk({}, 1) for _ in range(asked.scope["chunks"])]


def _work(work: Work) -> None:
    SERVED.append(work.asked.id)


FILES = RunKind("test.files", "Files", "figures.heal", _plan, _work, is_bulk=True)
SMALL = RunKind("test.small", "Small", "figures.heal", _plan, _work)


@pytest.fixture
def domains() -> Sequence[Domain]:
    """The product's domains, and one with a bulk kind and another."""
    return (*DOMAINS, Domain("turns", kinds=(FILES, SMALL)))


@pytest.fixture(autouse=True)
def _nothing_is_served_yet() -> None:
    SERVED.clear()


def ask(session: Any, kind: RunKind, user: str, chunks: int, number: int = 1, **how: Any) -> int:
    scope = {"chunks": chunks, "number": number}
    with acting_as(user):
        run = actions.request(session, kind.name, scope, is_paced=False, **how)
    session.commit()
    return int(run.id)


def serve(first: int, chunks: int | None = None) -> list[int]:
    """Work until so many chunks are done, or nothing is left; returns the runs of these chunks."""
    before = len(SERVED)

    def enough() -> bool:
        return chunks is not None and len(SERVED) - before >= chunks

    perform_in_turns(db.engine, first, stopping=enough, seconds=60)
    return SERVED[before:]


def test_a_seal_and_a_requested_run_come_before_thirty_files(app: Flask, session: Any) -> None:
    files = [ask(session, FILES, "token:1", 5, number) for number in range(30)]
    assert set(serve(files[0], 10)) <= set(files)
    due = session.scalar(select(func.now()))
    seal = ask(session, SMALL, "schedule:seal", 1, schedule="test seal", due_at=due)
    small = ask(session, SMALL, "user:7", 1, 2)
    assert {seal, small} <= set(serve(files[0], 4))
    assert len(serve(files[0])) == 30 * 5 - 10 - 2
    ended = select(func.count()).where(Run.status == "done")
    session.rollback()
    assert session.scalar(ended) == 32
    assert SERVED.count(seal) == SERVED.count(small) == 1


def test_no_class_starves_another(app: Flask, session: Any) -> None:
    bulk = ask(session, FILES, "token:1", 6)
    ask(session, SMALL, "user:7", 6)
    served = serve(bulk, 8)
    assert 3 <= served.count(bulk) <= 5


def test_users_take_turns_and_files_of_one_follow_each_other(app: Flask, session: Any) -> None:
    many = [ask(session, FILES, "token:1", 2, number) for number in range(8)]
    other = ask(session, FILES, "token:2", 2, 100)
    served = serve(many[0], 4)
    assert served.count(other) == 2
    assert served.count(many[0]) == 2
    later = ask(session, FILES, "token:3", 1, 101)
    assert later in serve(many[0], 2)


def test_the_requested_runs_of_a_user_take_turns(app: Flask, session: Any) -> None:
    large, small = (ask(session, SMALL, "user:1", chunks, chunks) for chunks in (9, 2))
    assert serve(large, 4).count(small) == 2


def test_what_cannot_be_served_is_not_chosen(app: Flask, session: Any) -> None:
    waiting = ask(session, SMALL, "user:1", 1, 1, needs_approval=True)
    own = ask(session, SMALL, "user:1", 1, 2, is_here=True)
    assert next_run(db.engine) is None
    cancelled = ask(session, SMALL, "user:1", 1, 3)
    assert next_run(db.engine) == cancelled
    actions.cancel(session, cancelled)
    unknown = ask(session, SMALL, "user:1", 1, 4)
    session.execute(update(Run).where(Run.id == unknown).values(kind="of another version"))
    session.commit()
    assert next_run(db.engine) is None
    perform(db.engine, own)
    session.rollback()
    assert session.get_one(Run, own).status == "done"
    assert session.get_one(Run, waiting).status == "awaiting approval"


def test_a_claim_does_not_wait_for_a_lock_on_its_run(
    app: Flask, session: Any, owner_connection: Any
) -> None:
    run = ask(session, SMALL, "user:1", 1)
    perform_in_turns(db.engine, run, stopping=lambda: True, seconds=1)
    with owner_connection.transaction():
        owner_connection.execute("SELECT FROM runs WHERE id = %s FOR UPDATE", (run,))
        with db.engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert next_run(db.engine) == run
            assert connection.execute(note_served(), {"run": run}).rowcount == 0


def test_what_a_cancelled_run_has_left_keeps_no_other_run_waiting(app: Flask, session: Any) -> None:
    cancelled, other = (ask(session, SMALL, f"user:{n}", 1, n) for n in (1, 2))
    actions.cancel(session, cancelled)
    session.commit()
    left = "SELECT count(*) FROM run_chunks WHERE run_id = :run AND status = 'open' AND stage < 0"
    assert session.scalar(text(left), {"run": cancelled}) == 1
    session.rollback()
    assert serve(other) == [other]
    session.rollback()
    assert session.get_one(Run, other).status == "done"


def test_a_chunk_that_is_at_work_past_its_lease_keeps_no_other_run_waiting(
    app: Flask, session: Any, owner_connection: Any
) -> None:
    long, other = (ask(session, SMALL, f"user:{n}", 1, n) for n in (1, 2))
    perform(db.engine, long, stopping=iter([False, True, True]).__next__)  # only planned
    with owner_connection.transaction():
        owner_connection.execute("SELECT FROM run_chunks WHERE run_id = %s FOR UPDATE", (long,))
        assert serve(other, 1) == [other]
        perform_in_turns(db.engine, other, stopping=lambda: False, seconds=60)
        session.rollback()
        assert session.get_one(Run, other).status == "done"
        assert session.get_one(Run, long).status == "running"
    assert serve(long) == [long]


def test_a_run_that_another_worker_ends_is_not_waited_for(
    app: Flask, session: Any, owner_connection: Any
) -> None:
    ending, other = (ask(session, SMALL, f"user:{n}", 1, n) for n in (1, 2))
    perform(db.engine, ending, stopping=lambda: [ending] == SERVED)
    session.execute(update(Run).where(Run.id == ending).values(status="running", finished_at=None))
    session.commit()
    with owner_connection.transaction():
        owner_connection.execute("SELECT FROM runs WHERE id = %s FOR UPDATE", (ending,))
        perform_in_turns(db.engine, other, stopping=lambda: False, seconds=60)
        session.rollback()
        assert session.get_one(Run, other).status == "done"


def test_the_metric_is_the_longest_wait_of_each_class(app: Flask, session: Any) -> None:
    old = ask(session, FILES, "token:1", 1)
    ask(session, SMALL, "user:1", 1)
    session.execute(
        update(Run)
        .where(Run.id == old)
        .values(created_at=func.now() - text("interval '100 seconds'"))
    )
    session.commit()
    readings = {r.labels[0]: float(r.value) for r in turns(session.connection())}
    assert 100 <= readings["bulk"] < 160
    assert 0 < readings["requested"] < 60
    assert readings["scheduled"] == 0
    serve(old)
    session.rollback()
    assert {float(r.value) for r in turns(session.connection())} == {0.0}
    assert WAIT.name == "backoffice_run_wait_seconds"
