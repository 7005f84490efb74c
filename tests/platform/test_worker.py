"""The worker performs runs, and no other function that the queue may name."""

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

from backoffice.app.config import ROOT
from backoffice.app.extensions import db
from backoffice.people.models import WebSession
from backoffice.runs import actions, worker
from backoffice.runs.models import Run
from backoffice.runs.relay import relay

pytestmark = pytest.mark.slow


@pytest.fixture
def connection(app: Flask) -> Any:
    """A connection to the tests' Redis, as a worker uses it."""
    with worker.connect(app.config["REDIS_URL"]) as connection:
        yield connection


def work_everything() -> None:
    """Run the real worker until the queue is empty."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "worker.py"), "--burst"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def asked(session: Any, kind: str = "chore", **scope: Any) -> int:
    run = actions.request(session, kind, scope or {"chore": "expired-sessions"})
    session.commit()
    return int(run.id)


def status(session: Any, run_id: int) -> str:
    session.rollback()
    return str(session.get_one(Run, run_id, populate_existing=True).status)


def test_what_was_asked_for_in_the_database_is_done(session: Any, connection: Redis) -> None:
    now = datetime.now(UTC)
    for name, ends in (("old", now - timedelta(hours=1)), ("live", now + timedelta(hours=1))):
        session.add(WebSession(id=name, data={}, expires_at=ends))
    run_id = asked(session)
    work_everything()
    assert status(session, run_id) == "done"
    assert session.scalars(select(WebSession.id)).all() == ["live"]


def test_a_function_that_is_not_on_the_list_is_not_called(
    session: Any, connection: Redis, tmp_path: Path
) -> None:
    proof = tmp_path / "called"
    run_id = asked(session)
    queue = worker.queue(connection)
    jobs = [
        queue.enqueue("os.system", f"touch {proof}"),
        queue.enqueue("subprocess.check_call", ["touch", str(proof)]),
        queue.enqueue(worker.PERFORM, "os.system"),
        queue.enqueue(worker.PERFORM, run_id, on_success=Callback(print)),
    ]
    work_everything()
    assert not proof.exists()
    states = [
        Job.fetch(job.id, connection, serializer=queue.serializer).get_status() for job in jobs
    ]
    assert states == [JobStatus.FAILED] * 3 + [JobStatus.FINISHED]
    assert status(session, run_id) == "done"


def test_nothing_in_the_queue_is_unpickled(session: Any, connection: Redis, tmp_path: Path) -> None:
    proof = tmp_path / "called"
    pickled = b"cos\nsystem\n(S'touch " + str(proof).encode() + b"'\ntR."
    job = worker.queue(connection).enqueue(worker.PERFORM, 1)
    connection.hset(job.key, "data", pickled)
    work_everything()
    assert not proof.exists()


def test_a_run_delivered_twice_has_one_effect(session: Any, connection: Redis) -> None:
    run_id = asked(session)
    for number in (1, 2, 3):
        worker.deliver(connection, run_id, number)
    worker.deliver(connection, 999_999, 1)
    work_everything()
    assert status(session, run_id) == "done"


def test_without_redis_a_run_waits_and_nothing_breaks(session: Any) -> None:
    run_id = asked(session)
    with Redis.from_url("redis://127.0.0.1:1/0") as lost:
        assert relay(db.engine, lost) == 0
    session.rollback()
    run = session.get_one(Run, run_id)
    assert (run.status, run.deliveries, run.delivered_at) == ("queued", 0, None)


def test_two_relays_deliver_a_run_once(session: Any, connection: Redis) -> None:
    run_id = asked(session)
    assert relay(db.engine, connection) == 1
    assert relay(db.engine, connection) == 0
    assert worker.queue(connection).job_ids == [worker.job_id(run_id, 1)]


def test_what_redis_has_lost_is_delivered_again(
    session: Any, connection: Redis, owner_connection: Any
) -> None:
    asked(session)
    relay(db.engine, connection)
    connection.flushdb()
    owner_connection.execute("UPDATE runs SET delivered_at = delivered_at - interval '10 seconds'")
    assert relay(db.engine, connection) == 1
    owner_connection.execute("UPDATE runs SET delivered_at = delivered_at - interval '10 seconds'")
    assert relay(db.engine, connection) == 0, "it waits in the queue"


def test_what_a_command_performs_is_delivered_only_when_the_command_seems_dead(
    session: Any, connection: Redis, owner_connection: Any
) -> None:
    actions.request(session, "chore", {"chore": "expired-sessions"}, is_here=True)
    session.commit()
    assert relay(db.engine, connection) == 0
    owner_connection.execute("UPDATE runs SET created_at = created_at - interval '2 minutes'")
    assert relay(db.engine, connection) == 1
