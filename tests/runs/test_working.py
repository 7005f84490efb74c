"""Performing a run's chunks: claims, fences, leases, savepoints and ends. FAULTS.md, lines 30 to 32."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from backoffice.app.domain import Domain, declared
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.runs import actions, ending, kinds, work, working
from backoffice.runs.errors import Fenced, NothingToRetry, UnknownKind
from backoffice.runs.models import Run, RunChunk, RunItem
from backoffice.runs.work import Work
from backoffice.runs.working import perform
from tests.factories.customers import CustomerFactory
from tests.processes import killed, together

from . import counting as counting_kind
from .counting import COUNTING, SCRATCH

pytestmark = pytest.mark.slow

CUSTOMERS = 18


@pytest.fixture
def domains() -> Sequence[Domain]:
    """The product's domains, and one with a kind of run that counts."""
    return (*DOMAINS, SCRATCH)


@pytest.fixture
def customers(session: Any) -> list[Customer]:
    made = [CustomerFactory(city="") for _ in range(CUSTOMERS)]
    session.commit()
    return made


def ask(session: Any, **options: Any) -> int:
    run = actions.request(session, COUNTING.name, {}, is_paced=False, **options)
    session.commit()
    return int(run.id)


def state(session: Any, run_id: int) -> Run:
    session.rollback()
    return session.get_one(Run, run_id, populate_existing=True)


def counted(session: Any) -> set[str]:
    """The distinct values of the customers' counters."""
    session.rollback()
    return set(session.scalars(select(Customer.city)))


def every_item_was_done_once(session: Any, run_id: int) -> None:
    run = state(session, run_id)
    assert (run.status, run.error) == ("done", "")
    assert counted(session) == {"xx"}
    items = select(func.count()).where(RunItem.run_id == run_id)
    assert session.scalar(items) == 2 * CUSTOMERS
    assert (run.total, run.checked, run.changed) == (2 * CUSTOMERS,) * 3
    assert session.scalar(select(func.count()).select_from(RunChunk)) == 0


def test_a_run_is_planned_worked_stage_by_stage_and_ended(
    session: Any, customers: list[Customer]
) -> None:
    run_id = ask(session)
    perform(db.engine, run_id)
    every_item_was_done_once(session, run_id)


def test_any_number_of_workers_share_a_run(
    app: Flask, session: Any, customers: list[Customer]
) -> None:
    run_id = ask(session)
    together(app, *([lambda: perform(db.engine, run_id)] * 4))
    every_item_was_done_once(session, run_id)


def test_killed_at_every_transaction_the_end_is_that_of_an_undisturbed_run(
    app: Flask, session: Any, customers: list[Customer]
) -> None:
    """A worker dies before and after each of its transactions commits; the next one continues."""
    run_id = ask(session)
    deaths = 0
    while state(session, run_id).is_live:
        for after in (False, True):
            code = killed(app, lambda after=after: die_at_the_next_transaction(run_id, after))
            deaths += code == 9
            session.execute(update(RunChunk).values(lease_until=None))  # its lease has expired
            session.execute(text("UPDATE run_chunks SET attempts = 0"))
            session.commit()
    assert deaths >= 2 * CUSTOMERS // 3, "it died at every transaction of two stages"
    every_item_was_done_once(session, run_id)


def die_at_the_next_transaction(run_id: int, after: bool) -> None:
    record = Work._record

    def dying(self: Work, step: Any, is_last: bool) -> None:
        record(self, step, is_last)
        if step.tally.checked or is_last:
            if after:
                step.connection.commit()
            os._exit(9)

    Work._record = dying  # type: ignore[method-assign]
    perform(db.engine, run_id)


def overtaken(session: Any, run_id: int, *, fence: bool) -> set[str]:
    """One worker pauses within a chunk past its lease; another does the chunk; the first continues."""
    paused, go_on = threading.Event(), threading.Event()
    hold = Work._hold
    calls = threading.local()

    def slow(self: Work, connection: Any) -> None:
        calls.number = getattr(calls, "number", 0) + 1
        if threading.current_thread().name == "slow" and calls.number == 3:
            paused.set()
            assert go_on.wait(30)
        if fence:
            hold(self, connection)

    def work_slowly() -> None:
        with app_context():
            perform(db.engine, run_id, lease=0.5)

    app_context = CURRENT["app"].app_context
    Work._hold = slow  # type: ignore[method-assign]
    try:
        first = threading.Thread(target=work_slowly, name="slow")
        first.start()
        assert paused.wait(30)
        time.sleep(0.6)
        perform(db.engine, run_id, lease=30)
        go_on.set()
        first.join(30)
    finally:
        Work._hold = hold  # type: ignore[method-assign]
    return counted(session)


CURRENT: dict[str, Flask] = {}


@pytest.fixture
def current(app: Flask) -> Iterator[None]:
    CURRENT["app"] = app
    yield
    CURRENT.clear()


def test_a_worker_that_comes_back_after_its_lease_writes_nothing(
    session: Any, customers: list[Customer], current: None
) -> None:
    run_id = ask(session)
    assert overtaken(session, run_id, fence=True) == {"xx"}
    every_item_was_done_once(session, run_id)


def test_without_the_fence_its_late_write_would_be_counted(
    session: Any, customers: list[Customer], current: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant that shows that the preceding test detects a missing fence."""
    monkeypatch.setattr(counting_kind, "_is_due", lambda *_: True)
    run_id = ask(session)
    perform_all = overtaken(session, run_id, fence=False)
    assert any(len(city) > 2 for city in perform_all)


def test_a_failed_item_is_undone_alone_and_the_run_says_so(
    session: Any, customers: list[Customer]
) -> None:
    customers[4].name = "Broken"
    session.commit()
    run_id = ask(session)
    perform(db.engine, run_id)
    run = state(session, run_id)
    assert (run.status, run.failed) == ("finished with failures", 1)
    [failed] = session.scalars(select(RunItem).where(RunItem.outcome == "failed"))
    assert (failed.owner, "division by zero" in failed.error) == (customers[4].id, True)


def test_a_chunk_that_fails_is_tried_again_and_then_counts_as_failed(
    session: Any, customers: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = customers[0].id

    def fail(_connection: Any, key: int, stage: int) -> bool:
        if key == broken:
            raise ValueError("nobody expected this")
        return True

    monkeypatch.setattr(counting_kind, "_is_due", fail)
    run_id = ask(session)
    end = time.monotonic() + 60
    while state(session, run_id).is_live and time.monotonic() < end:
        perform(db.engine, run_id)
        session.execute(text("UPDATE run_chunks SET lease_until = NULL"))
        session.commit()
    run = state(session, run_id)
    assert (run.status, run.error) == ("finished with failures", "ValueError: nobody expected this")
    assert (run.checked, run.failed) == (2 * CUSTOMERS, 2 * counting_kind.SIZE)
    left = session.execute(select(RunChunk.status, RunChunk.attempts)).all()
    assert left == [("failed", working.TRIES)] * 2
    again = actions.retry(session, run_id)
    session.commit()
    monkeypatch.undo()
    perform(db.engine, again.id)
    assert state(session, again.id).status == "done"
    with pytest.raises(NothingToRetry):
        actions.retry(session, again.id)


def test_a_run_that_cannot_be_planned_fails_and_says_why(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no plan")

    run_id = ask(session)
    broken_kind = kinds.RunKind(COUNTING.name, "", "", broken, broken)
    monkeypatch.setitem(declared().kinds, COUNTING.name, broken_kind)
    end = time.monotonic() + 60
    while state(session, run_id).is_live and time.monotonic() < end:
        perform(db.engine, run_id)
        session.execute(text("UPDATE run_chunks SET lease_until = NULL"))
        session.commit()
    run = state(session, run_id)
    assert (run.status, run.error) == ("failed", "RuntimeError: no plan")


def test_nobody_can_ask_for_what_no_worker_knows(session: Any) -> None:
    with pytest.raises(UnknownKind):
        actions.request(session, "os.system", {})


@pytest.fixture
def people_at_screens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable the pauses of paced runs, which other tests switch off."""
    monkeypatch.setattr(work, "LONGEST_REST", 2.0)


@pytest.mark.usefixtures("people_at_screens")
def test_a_paced_run_rests_longer_than_it_works(session: Any, customers: list[Customer]) -> None:
    unpaced = ask(session)
    began = time.monotonic()
    perform(db.engine, unpaced)
    quick = time.monotonic() - began
    session.execute(update(Customer).values(city=""))
    run = actions.request(session, COUNTING.name, {})
    session.commit()
    began = time.monotonic()
    perform(db.engine, run.id)
    paced = time.monotonic() - began
    assert paced > 1.5 * quick


@pytest.mark.usefixtures("people_at_screens")
@pytest.mark.parametrize("is_asked_to_stop", [False, True])
def test_a_paced_worker_rests_between_transactions_until_it_is_told_to_stop(
    is_asked_to_stop: bool,
) -> None:
    began = time.monotonic()
    with working.Pace(True, lambda: is_asked_to_stop).around():
        time.sleep(0.1)
    rested = time.monotonic() - began - 0.1
    assert (rested < 0.2) is is_asked_to_stop


def test_what_was_claimed_is_not_given_to_anybody_else(
    session: Any, customers: list[Customer]
) -> None:
    run_id = ask(session)
    first = working._claim(db.engine, run_id, 30)
    assert first is not None
    assert working._claim(db.engine, run_id, 30) is None, "only the plan can be claimed"
    asked = None
    with db.engine.connect() as connection:
        asked = working.asked_of(connection, run_id)
    assert asked is not None
    session.execute(text("UPDATE run_chunks SET fence = fence + 1"))
    session.commit()
    overtaken = Work(db.engine, asked, first, working.Pace(False))
    with pytest.raises(Fenced), overtaken.transaction():
        pass
    session.execute(text("UPDATE run_chunks SET lease_until = NULL"))
    session.commit()
    perform(db.engine, run_id)


@pytest.fixture
def planned(session: Any, customers: list[Customer]) -> int:
    """A run whose chunks have been planned and not begun."""
    run_id = ask(session)
    working._plan(COUNTING, *_claimed(run_id, lease=30.0))
    return run_id


def _claimed(run_id: int, lease: float) -> tuple[Any, Work]:
    """The request of a run, and the work on its next chunk."""
    with db.engine.connect() as connection:
        asked = working.asked_of(connection, run_id)
    claim = working._claim(db.engine, run_id, lease)
    assert asked is not None
    assert claim is not None
    pace = work.Pace(is_paced=False, stopping=lambda: False)
    return asked, Work(db.engine, asked, claim, pace, {})


def test_a_worker_claims_the_next_chunk_where_another_one_is_claiming_the_first(
    session: Any, planned: int
) -> None:
    numbers = list(
        session.scalars(
            select(RunChunk.number).where(RunChunk.run_id == planned, RunChunk.number > 0)
        )
    )
    with db.engine.begin() as other, db.engine.connect() as waiter:
        first = select(RunChunk.number).where(
            RunChunk.run_id == planned, RunChunk.number == min(numbers)
        )
        other.execute(first.with_for_update())
        waiter.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        values = {"run": planned, "claimant": "another", "lease": 30.0}
        claimed = waiter.execute(working._next_chunk(), values).mappings().one()
        waiter.rollback()
    assert claimed["number"] == sorted(numbers)[1]


def test_a_worker_whose_chunk_was_taken_over_cannot_begin_a_transaction(
    session: Any, planned: int
) -> None:
    _asked, late = _claimed(planned, lease=30.0)
    session.rollback()
    session.execute(update(RunChunk).values(lease_until=func.clock_timestamp()))
    session.commit()
    _asked, now = _claimed(planned, lease=30.0)
    assert now.claim.number == late.claim.number
    with pytest.raises(Fenced), late.transaction():
        pytest.fail("its fence is gone")
    with now.transaction():
        pass


def test_every_transaction_of_a_chunk_renews_its_lease(session: Any, planned: int) -> None:
    _asked, mine = _claimed(planned, lease=300.0)
    this = (RunChunk.run_id == planned, RunChunk.number == mine.claim.number)
    session.rollback()
    session.execute(update(RunChunk).where(*this).values(lease_until=func.clock_timestamp()))
    session.commit()
    with mine.transaction():
        pass
    ahead = select(RunChunk.lease_until - func.clock_timestamp()).where(*this)
    assert session.scalar(ahead).total_seconds() > 200
    other = working._claim(db.engine, planned, 300.0)
    assert other is None or other.number != mine.claim.number


def test_a_cancelled_run_ends_only_when_a_worker_past_its_lease_has_committed(
    session: Any, planned: int
) -> None:
    asked, mine = _claimed(planned, lease=30.0)
    session.rollback()
    session.execute(update(RunChunk).values(lease_until=func.clock_timestamp()))
    session.commit()  # its lease is over, and no other worker has taken the chunk
    with mine.transaction() as step:
        step.tally.checked += 1
        step.tally.changed += 1
        cancelled = actions.cancel(session, planned)
        session.commit()
        assert cancelled.is_live
    ending.end_if_done(db.engine, COUNTING, asked)
    working._release(mine, RuntimeError("stopped"), counts=False)
    session.execute(update(RunChunk).where(RunChunk.run_id == planned).values(lease_until=None))
    session.commit()
    ending.end_if_done(db.engine, COUNTING, asked)
    run = state(session, planned)
    assert (run.status, run.checked, run.changed) == ("cancelled", 1, 1)
