"""Locks prevent races between sessions; without them the same test fails."""

import random
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial

import psycopg
import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from backoffice.figures.keeping import drain as drain_module
from backoffice.figures.keeping.effects import LONGEST_REMEMBERED, effect_of
from backoffice.figures.keeping.locking import lock_owners
from backoffice.figures.verifying.healing import heal
from backoffice.figures.verifying.verification import verify

from .models import Box, Item, Month, Movement, Purse, Slot, Thing, Transfer, registry

pytestmark = pytest.mark.slow

D = Decimal


def at_once(*works: Callable[[], None]) -> None:
    """Run every work in a thread of its own, all starting together; raise the first error of any."""
    barrier = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_first_rows_of_an_owner_from_two_sessions_a_hundred_times(
    sessions: sessionmaker[Session], db: Session
) -> None:
    for _ in range(100):
        box = Box()
        db.add(box)
        db.commit()

        def first(day: int, box_id: int = box.id) -> None:
            with sessions() as session:
                session.add(Movement(box_id=box_id, on=date(2026, 5, day), amount=D(day)))
                session.add(Item(box_id=box_id, quantity=D(1), price=D(day)))
                session.commit()

        at_once(lambda f=first: f(1), lambda f=first: f(2))
        db.rollback()
        [month] = db.scalars(select(Month).where(Month.box_id == box.id))
        assert (month.added, month.moves, box.total) == (D(3), 2, D(3))


def test_without_the_lock_the_same_race_leaves_drift(
    sessions: sessionmaker[Session],
    db: Session,
    figure_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The unlocked mutant: proof that the test above detects the race."""
    barrier = threading.Barrier(2, timeout=10)

    def unlocked(connection: object, bundle: object, owners: set[int], rows: object) -> set[int]:
        barrier.wait()
        return owners

    box = Box()
    db.add(box)
    db.commit()
    box_id = box.id
    db.rollback()
    monkeypatch.setattr(drain_module, "lock_owners", unlocked)

    def move(day: int) -> None:
        with sessions() as session:
            session.add(Movement(box_id=box_id, on=date(2026, 5, day), amount=D(day)))
            session.commit()

    for first in range(1, 20, 2):  # a fast writer is seen by the other even without the lock
        at_once(partial(move, first), partial(move, first + 1))
        if list(verify(figure_engine, registry)):
            break
    monkeypatch.setattr(drain_module, "lock_owners", lock_owners)
    assert list(verify(figure_engine, registry)), "two sessions that do not lock must leave drift"
    heal(figure_engine, registry)


def test_a_source_that_changes_hands_while_it_changes_leaves_both_owners_right(
    sessions: sessionmaker[Session], db: Session
) -> None:
    """One moves the slot to another box while the other changes the thing's weight."""
    for n in range(40):
        one, two, thing = Box(), Box(), Thing(weight=D(1))
        db.add_all([one, two, thing])
        db.flush()
        slot = Slot(box_id=one.id, thing_id=thing.id)
        db.add(slot)
        db.commit()
        ids = (slot.id, two.id, thing.id)
        db.rollback()

        def move(ids: tuple[int, int, int] = ids) -> None:
            with sessions() as session:
                session.get_one(Slot, ids[0]).box_id = ids[1]
                session.commit()

        def weigh(ids: tuple[int, int, int] = ids, weight: int = n + 2) -> None:
            with sessions() as session:
                session.get_one(Thing, ids[2]).weight = D(weight)
                session.commit()

        at_once(move, weigh)
        db.refresh(two)
        assert two.weight == D(n + 2)


def test_who_links_a_source_to_an_owner_waits_for_who_changes_that_source(
    sessions: sessionmaker[Session], db: Session, admin_database_url: str
) -> None:
    """The two share no owner: without the lock of the source's row the box would keep the old weight."""
    box, thing = Box(), Thing(weight=D(1))
    db.add_all([box, thing])
    db.commit()
    box_id, thing_id = box.id, thing.id
    db.rollback()

    def link() -> None:
        with sessions() as session:
            session.add(Slot(box_id=box_id, thing_id=thing_id))
            session.commit()

    linking = threading.Thread(target=link)
    with sessions() as weighing, psycopg.connect(admin_database_url, autocommit=True) as watcher:
        weighing.execute(update(Thing).where(Thing.id == thing_id).values(weight=D(7)))
        holder = weighing.scalar(select(func.pg_backend_pid()))
        linking.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
        while linking.is_alive() and not watcher.execute(waiting, [holder]).fetchone():
            pass
        assert linking.is_alive(), "it must wait for the transaction that changes the weight"
        weighing.commit()
        linking.join()
    db.refresh(box)
    assert box.weight == D(7)


def test_transfers_both_ways_at_once_neither_deadlock_nor_drift(
    sessions: sessionmaker[Session], db: Session
) -> None:
    a, b = Purse(), Purse()
    db.add_all([a, b])
    db.commit()
    ids = [a.id, b.id]
    db.rollback()

    def send(source: int, target: int, amount: int) -> None:
        for _ in range(50):
            with sessions() as session:
                session.add(Transfer(from_id=source, to_id=target, amount=D(amount)))
                session.commit()

    at_once(lambda: send(ids[0], ids[1], 3), lambda: send(ids[1], ids[0], 5))
    db.refresh(a)
    assert (a.balance, a.received) == (D(100), D(250))


def test_a_heal_amid_live_edits_corrects_nothing_that_is_right(
    sessions: sessionmaker[Session], db: Session, figure_engine: Engine
) -> None:
    boxes = [Box() for _ in range(4)]
    db.add_all(boxes)
    db.flush()
    db.add_all(Item(box_id=box.id, quantity=D(1), price=D(1)) for box in boxes for _ in range(3))
    db.commit()
    ids = [box.id for box in boxes]
    db.rollback()
    done = threading.Event()

    def edit(seed: int) -> None:
        chance = random.Random(seed)
        with sessions() as session:
            for _ in range(60):
                items = select(Item).where(Item.box_id == chance.choice(ids)).limit(1)
                item = session.scalars(items.with_for_update()).first()
                if item is not None:
                    item.quantity = D(chance.randint(1, 9))
                session.commit()
        done.set()

    def healing() -> None:
        while not done.is_set():
            assert heal(figure_engine, registry, every_owner=True).corrections == 0
            assert list(verify(figure_engine, registry)) == []

    at_once(lambda: edit(1), lambda: edit(2), healing)


def test_savepoints_bring_notes_back(sessions: sessionmaker[Session], db: Session) -> None:
    """A rollback to a savepoint restores the drained notes, and they are drained again."""
    box = Box()
    db.add(box)
    db.flush()
    db.add(Item(box_id=box.id, quantity=D(1), price=D(1)))
    inner = db.begin_nested()
    assert db.scalar(select(Box.total).where(Box.id == box.id)) == D(1)
    inner.rollback()
    db.commit()
    assert box.total == D(1)


def test_the_hooks_see_copy_and_raw_cursors(db: Session) -> None:
    box = Box()
    db.add(box)
    db.commit()
    box_id = box.id
    driver = db.connection().connection.driver_connection
    assert driver is not None
    with driver.cursor().copy("COPY t_items (box_id, quantity, price) FROM STDIN") as copying:
        copying.write_row((box_id, 2, 3))
    assert db.scalar(select(Box.total)) == D(6)
    db.commit()
    assert box.total == D(6)


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("INSERT INTO runs (kind) VALUES ('x')", "runs"),
        ("  update run_chunks SET fence = fence + 1", "run_chunks"),
        ("INSERT INTO runs (kind) VALUES ('x') ON CONFLICT (id) DO UPDATE SET kind = 'y'", "runs"),
        ("UPDATE runs SET kind = 'x' WHERE id = (SELECT id FROM runs FOR NO KEY UPDATE)", "runs"),
        ("UPDATE runs SET updated_at = now()", "runs"),
        ("INSERT INTO runs SELECT * FROM (WITH x AS (DELETE FROM t RETURNING 1) SELECT 1)", "writes"),
        ("UPDATE runs SET kind = 'x'; UPDATE t SET x = 1", "writes"),
        ("DELETE FROM runs", "writes"),  # what refers to it may go too
        ("MERGE INTO runs USING t ON true WHEN MATCHED THEN DELETE", "writes"),
        ("WITH x AS (SELECT 1) UPDATE runs SET kind = 'x'", "writes"),
        ('UPDATE "runs" SET x = 1', "writes"),
        ("UPDATE public.runs SET x = 1", "writes"),
        ("UPDATE runs SET x = 1 -- for\nUPDATE t", "writes"),
        ("UPDATE reads SET x = 1", "writes"),
        (f"INSERT INTO runs (kind) VALUES ('{'x' * LONGEST_REMEMBERED}')", "writes"),
        (f"SELECT '{'x' * LONGEST_REMEMBERED}'", "reads"),
        (f"WITH x AS (SELECT '{'x' * LONGEST_REMEMBERED}') DELETE FROM t", "writes"),
    ],
)  # fmt: skip
def test_a_statement_writes_one_table_only_when_it_surely_does(
    statement: str, written: str
) -> None:
    assert effect_of(statement) == written


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("SELECT 1", True),
        ("  select 1", True),
        ("", True),
        ("EXPLAIN SELECT 1", True),
        ("WITH a AS (SELECT updated_at FROM t) SELECT * FROM a", True),
        ("EXPLAIN ANALYZE DELETE FROM t", False),
        ("WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x", False),
        ("DO $$ BEGIN END $$", False),
        ("CALL f()", False),
        ("/* note */ UPDATE t SET x = 1", False),
        (b"COMMIT", True),
    ],
)
def test_a_statement_counts_as_a_read_only_when_it_surely_is_one(
    statement: str | bytes, reads: bool
) -> None:
    assert (effect_of(statement) == "reads") is reads
