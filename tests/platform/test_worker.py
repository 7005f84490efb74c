"""The worker does what is on its list, and nothing else that the queue may name."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq.job import Callback, Job, JobStatus
from sqlalchemy import select

from backoffice.config import ROOT
from backoffice.embedded import Services
from backoffice.embedded.processes import wait_until
from backoffice.housekeeping import CHORES
from backoffice.people.models import WebSession
from backoffice.runs import worker


@pytest.fixture
def connection(app: Flask) -> Any:
    """The tests' Redis, as a worker uses it."""
    with worker.connect(app.config["REDIS_URL"]) as connection:
        yield connection


def work_everything() -> None:
    """Run the real worker until the queue is empty."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "worker.py"), "--burst"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_expired_sessions_are_deleted_and_live_ones_stay(session: Any, connection: Redis) -> None:
    now = datetime.now(UTC)
    for name, ends in (("old", now - timedelta(hours=1)), ("live", now + timedelta(hours=1))):
        session.add(WebSession(id=name, data={}, expires_at=ends))
    session.commit()
    assert worker.enqueue(connection, "delete_expired_sessions", seconds=60)
    work_everything()
    assert session.scalars(select(WebSession.id)).all() == ["live"]


def test_a_function_that_is_not_on_the_list_is_not_called(
    connection: Redis, tmp_path: Path
) -> None:
    proof = tmp_path / "called"
    queue = worker.queue(connection)
    jobs = [
        queue.enqueue("os.system", f"touch {proof}"),
        queue.enqueue("subprocess.check_call", ["touch", str(proof)]),
        queue.enqueue(worker.PERFORM, "os.system"),
        queue.enqueue(worker.PERFORM, "delete_expired_sessions", on_success=Callback(print)),
    ]
    work_everything()
    assert not proof.exists()
    states = [
        Job.fetch(job.id, connection, serializer=queue.serializer).get_status() for job in jobs
    ]
    assert states == [JobStatus.FAILED] * 3 + [JobStatus.FINISHED]


def test_nothing_in_the_queue_is_unpickled(connection: Redis, tmp_path: Path) -> None:
    proof = tmp_path / "called"
    pickled = b"cos\nsystem\n(S'touch " + str(proof).encode() + b"'\ntR."
    job = worker.queue(connection).enqueue(worker.PERFORM, "delete_expired_sessions")
    connection.hset(job.key, "data", pickled)
    work_everything()
    assert not proof.exists()


def test_without_redis_the_scheduler_is_told_at_once_and_nothing_breaks(app: Flask) -> None:
    with Redis.from_url("redis://127.0.0.1:1/0") as lost:
        assert worker.enqueue(lost, "delete_expired_sessions", seconds=60) is False


def test_every_chore_can_be_done_twice(app: Flask) -> None:
    with app.app_context():
        for chore in [*CHORES.values()] * 2:
            chore.work()


def test_the_scheduler_asks_for_everything_when_it_starts(
    connection: Redis, services: Services
) -> None:
    with subprocess.Popen(
        [sys.executable, str(ROOT / "worker.py"), "--scheduler"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as scheduler:
        assert scheduler.stderr is not None
        assert any("scheduler started" in line for line in scheduler.stderr)
        queue = worker.queue(connection)
        assert wait_until(lambda: len(queue) == len(CHORES), 20)
        scheduler.terminate()
        assert scheduler.wait(20) == 0
    assert {job.args[0] for job in queue.jobs} == set(CHORES)
