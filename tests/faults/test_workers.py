"""FAULTS.md, lines 29 to 32 and 34: workers, their parents and Redis die or freeze; runs still complete once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice.database.embedded import Services
from backoffice.figures.models import Correction
from backoffice.runs import actions
from backoffice.runs.models import Run, RunChunk, RunItem
from tests.depth import examples
from tests.faults.workers import book, children, corrupt, digest, listening, slowly, until, worker

pytestmark = pytest.mark.slow

OWNERS = examples(20_000)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "workers.log"
    path.touch()
    return path


def ask(session: Any) -> int:
    """Request a heal of everything; returns the run's number."""
    run = actions.request(session, "figures.heal", {})
    session.commit()
    return int(run.id)


def state(session: Any, run_id: int) -> Run:
    session.rollback()
    return session.get_one(Run, run_id, populate_existing=True)


@pytest.fixture
def let_go_on(surgery: psycopg.Connection[Any]) -> Iterator[Callable[[int], None]]:
    """Slow corrections down so that a worker can be killed among them; the fixture's function speeds the run up."""
    with slowly(surgery) as quickly:

        def let_go(run_id: int) -> None:
            quickly()
            surgery.execute("UPDATE runs SET is_paced = false WHERE id = %s", (run_id,))

        yield let_go


def holders(session: Any, run_id: int) -> set[int]:
    """The ids of the processes that hold a chunk in which they have corrected something, at this moment."""
    assert state(session, run_id).is_live, "the run ended too early"
    held = select(RunChunk.worker).where(
        RunChunk.run_id == run_id, RunChunk.status == "open", RunChunk.changed > 0,
        RunChunk.lease_until > func.clock_timestamp(),
    )  # fmt: skip
    return {int(worker.rpartition(":")[2]) for worker in session.scalars(held)}


def at_work(session: Any, run_id: int, process: Any, log: Path) -> int:
    """The id of this worker's child that holds a chunk."""
    found = until(
        lambda: holders(session, run_id) & set(children(process.pid)), 60, "a chunk held", log
    )
    return int(min(found))


def freeze(session: Any, run_id: int, process: Any, log: Path) -> int:
    """Stop the worker's child (SIGSTOP) in the middle of a chunk; returns its id."""
    while True:
        pid = at_work(session, run_id, process, log)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)  # lets PostgreSQL finish its current statement
        if pid in holders(session, run_id):
            return pid
        os.kill(pid, signal.SIGCONT)


def every_item_was_corrected_once(session: Any, run_id: int, wrong: int) -> None:
    session.rollback()
    owners = select(func.count(), func.count(Correction.owner.distinct()))
    assert session.execute(owners.where(Correction.run_id == run_id)).one() == (wrong, wrong)
    items = select(func.count()).where(RunItem.run_id == run_id, RunItem.outcome == "applied")
    assert session.scalar(items) == wrong
    run = state(session, run_id)
    assert (run.status, run.changed, run.failed) == ("done", wrong, 0)
    assert run.checked == run.total


def test_killed_frozen_and_orphaned_workers_and_a_killed_redis_change_nothing(
    session: Any,
    services: Services,
    surgery: psycopg.Connection[Any],
    log: Path,
    let_go_on: Callable[[int], None],
) -> None:
    book(surgery, OWNERS)
    right = digest(surgery)
    wrong = corrupt(surgery)
    with worker(log) as first, worker(log) as second:
        listening(services, first, second, log=log)
        run_id = ask(session)
        os.kill(at_work(session, run_id, first, log), signal.SIGKILL)  # the child
        frozen = freeze(session, run_id, second, log)
        first.kill()  # the parent; its child dies with it
        os.kill(services.redis.pid() or 0, signal.SIGKILL)
        let_go_on(run_id)
        with worker(log):
            services.redis.start(tied=True)
            patience = 180 + OWNERS / 500
            until(lambda: not state(session, run_id).is_live, patience, "the run has ended", log)
            os.kill(frozen, signal.SIGCONT)
            until(lambda: frozen not in children(second.pid), 30, "the frozen one gave up", log)
    every_item_was_corrected_once(session, run_id, wrong)
    assert digest(surgery) == right
    said = log.read_text()
    assert "taken over by another worker" in said or "connection lost within a chunk" in said


def test_a_worker_told_to_stop_finishes_its_chunk_and_another_goes_on(
    session: Any, surgery: psycopg.Connection[Any], log: Path, let_go_on: Callable[[int], None]
) -> None:
    book(surgery, OWNERS)
    wrong = corrupt(surgery)
    with worker(log) as first:
        run_id = ask(session)
        at_work(session, run_id, first, log)
        first.terminate()
        let_go_on(run_id)
        assert first.wait(60) == 0
    assert holders(session, run_id) == set(), "nobody is left holding a chunk"
    with worker(log):
        until(lambda: not state(session, run_id).is_live, 120, "the run has ended", log)
    every_item_was_corrected_once(session, run_id, wrong)
    assert "chunk failed" not in log.read_text()
