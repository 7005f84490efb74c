"""A heal never blocks users for long: its transactions are limited by rows, and shrink while a user waits."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import CheckConstraint, Connection, ForeignKey, Index, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Registry, total
from backoffice.figures.keeping.drain import Drained, correction_of
from backoffice.figures.verifying import batches
from backoffice.figures.verifying.batches import WRITE_CHUNK, Stride
from backoffice.figures.verifying.healing import Healer, heal
from backoffice.figures.verifying.outside import heal_noted, noted

from .worlds import World

pytestmark = pytest.mark.slow

D = Decimal
LONGEST_WAIT = 0.5
"""Seconds that a heal may keep a saving user waiting."""


class Base(DeclarativeBase):
    """Tables of these tests only."""


class Branch(Base):
    """The owner above all tills."""

    __tablename__ = "h_branches"
    id: Mapped[Id]
    takings: Mapped[Money] = mapped_column(server_default="0", default=D(0))


class Till(Base):
    """The owner, with a long history."""

    __tablename__ = "h_tills"
    __table_args__ = (CheckConstraint("takings <> 13", name="unlucky"),)
    id: Mapped[Id]
    branch_id: Mapped[int] = mapped_column(ForeignKey(Branch.id), index=True)
    label: Mapped[str] = mapped_column(server_default="", default="")
    takings: Mapped[Money] = mapped_column(server_default="0", default=D(0))


class Sale(Base):
    """A sale, and the balance of the till after it."""

    __tablename__ = "h_sales"
    __table_args__ = (Index("ix_h_sales", "till_id", "sold_on", "id"),)
    id: Mapped[Id]
    till_id: Mapped[int] = mapped_column(ForeignKey(Till.id))
    sold_on: Mapped[date]
    amount: Mapped[Money]
    in_till: Mapped[Money] = mapped_column(server_default="0", default=D(0))


registry = Registry("tills")
registry.figure(
    Branch.takings, func.coalesce(total(Till.takings, by=Till.branch_id), 0), title="Takings"
)
registry.figure(
    Till.takings, func.coalesce(total(Sale.amount, by=Sale.till_id), 0), title="Takings"
)


@registry.figure(Sale.in_till, owner=Sale.till_id, title="In the till")
def in_till(sales: Any = Sale) -> Any:
    """The sum of the till's sales up to this one."""
    running = func.sum(sales.c.amount).over(
        partition_by=sales.c.till_id, order_by=(sales.c.sold_on, sales.c.id)
    )
    return select(sales.c.id, sales.c.till_id, running.label("in_till"))


TILLS = registry.bundle_of(registry.get("h_sales.in_till"))


@pytest.fixture
def world(build: Callable[..., World]) -> World:
    return build(Base, registry)


def fill(w: World, tills: int, sales: int, *, of_the_first: int = 0) -> None:
    """So many tills of one branch with so many sales each, all with a wrong balance of the till."""
    w.surgery.execute("INSERT INTO h_branches (takings) VALUES (0)")
    w.surgery.execute(f"INSERT INTO h_tills (branch_id) SELECT 1 FROM generate_series(1, {tills})")
    w.surgery.execute(
        "INSERT INTO h_sales (till_id, sold_on, amount, in_till) "
        "SELECT till, date '2020-01-01' + day, 1 + day % 7, -1 FROM "
        f"generate_series(1, {tills}) AS till, "
        f"generate_series(1, CASE till WHEN 1 THEN {of_the_first or sales} ELSE {sales} END) AS day"
    )
    w.surgery.execute(
        "UPDATE h_tills SET takings = (SELECT sum(amount) FROM h_sales WHERE till_id = h_tills.id)"
    )
    w.surgery.execute("UPDATE h_branches SET takings = (SELECT sum(takings) FROM h_tills)")
    w.surgery.execute("VACUUM ANALYZE h_tills, h_sales, corrections")


def times_corrected(w: World) -> Counter[int]:
    """How many rows were corrected once, how many twice …"""
    rows = w.outside.execute(
        "SELECT count(*) FROM corrections WHERE figure = 'h_sales.in_till' GROUP BY owner, key"
    )
    return Counter(times for (times,) in rows)


def corrected_at_most(w: World) -> int:
    """The most rows of one till that a transaction has corrected."""
    found = w.outside.execute(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM corrections GROUP BY owner, xmin::text) AS each"
    ).fetchone()
    assert found is not None
    return int(found[0])


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Counts the owners that had too many rows, and the owners of the committed transactions."""
    seen: dict[str, list[int]] = {"too_many": [], "stood": []}
    took, was_too_many = Stride.took, Stride.was_too_many

    def stood(self: Stride, owners: int, rows: int, *, is_waited_for: bool) -> None:
        seen["stood"].append(owners)
        took(self, owners, rows, is_waited_for=is_waited_for)

    def too_many(self: Stride, owners: int) -> None:
        seen["too_many"].append(owners)
        was_too_many(self, owners)

    monkeypatch.setattr(Stride, "took", stood)
    monkeypatch.setattr(Stride, "was_too_many", too_many)
    yield seen
    monkeypatch.undo()


def longest_wait_beside_a_heal(w: World) -> float:
    """The longest wait of users who label tills while all tills are healed."""
    done = threading.Event()
    waited: list[float] = []
    errors: list[BaseException] = []

    def label(first: int) -> None:
        number = first
        try:
            while not done.is_set():
                number += 1
                began = time.perf_counter()
                with w.sessions() as session:
                    session.get_one(Till, number % tills + 1).label = f"No. {number}"
                    session.commit()
                waited.append(time.perf_counter() - began)
                time.sleep(0.005)
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            errors.append(error)

    with w.engine.connect() as connection:
        tills = connection.scalar(select(func.count()).select_from(Till)) or 0
    savers = [threading.Thread(target=label, args=(n * tills // 2,)) for n in range(2)]
    for saver in savers:
        saver.start()
    result = heal(w.engine, w.registry)
    done.set()
    for saver in savers:
        saver.join()
    assert (result.failures, errors) == ([], [])
    assert len(waited) > 20
    return max(waited)


def test_whoever_saves_beside_a_heal_waits_half_a_second_at_most(world: World) -> None:
    fill(world, tills=150, sales=500)
    assert longest_wait_beside_a_heal(world) < LONGEST_WAIT
    assert times_corrected(world) == {1: 150 * 500}
    assert not world.drift()


def test_where_a_heal_takes_all_owners_at_once_the_same_people_wait_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: proof that the test above detects it."""
    monkeypatch.setattr(batches, "READ_ROWS", 10**9)
    fill(world, tills=150, sales=500)
    assert longest_wait_beside_a_heal(world) > 2 * LONGEST_WAIT
    assert not world.drift()


def test_an_owner_of_a_long_history_among_many_is_healed_by_itself_and_everybody_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, tills=40, sales=10, of_the_first=30_000)
    with counted(monkeypatch) as seen:
        result = heal(world.engine, registry)
    assert seen["too_many"] == [40, 20, 10, 5, 2]
    assert 1 in seen["stood"]
    assert result.failures == []
    assert result.corrections == 30_000 + 39 * 10
    assert times_corrected(world) == {1: 30_000 + 39 * 10}
    assert corrected_at_most(world) == batches.MOST_ROWS
    assert not world.drift()


def test_a_long_history_is_corrected_in_pieces_and_an_interrupted_one_goes_on(world: World) -> None:
    fill(world, tills=2, sales=10, of_the_first=4_500)
    stood: list[Drained] = []

    def interrupt(drained: Drained) -> None:
        stood.append(drained)
        if drained.is_cut:
            raise KeyboardInterrupt

    healer = Healer(registry, world.engine.begin, lambda _: None, stands=interrupt)
    with pytest.raises(KeyboardInterrupt):
        healer.heal([TILLS], [1], correction_of("heal"))
    assert times_corrected(world) == {1: batches.MOST_ROWS}
    world.surgery.execute(
        "UPDATE h_sales SET in_till = 7 WHERE till_id = 1 AND in_till <> -1 AND id % 2 = 0"
    )
    heal(world.engine, registry, owners=[1])  # a single owner
    assert corrected_at_most(world) == batches.MOST_ROWS
    heal(world.engine, registry)
    assert sum(n for n in times_corrected(world).values()) == 4_510
    assert not world.drift()


def test_an_owner_in_pieces_stays_by_itself_until_the_last_of_them(world: World) -> None:
    """Together with other owners the rest would be written at once."""
    fill(world, tills=3, sales=10, of_the_first=9_000)
    strides = {TILLS.name: Stride(1)}
    healer = Healer(registry, world.engine.begin, lambda _: None, strides=strides)
    healer.heal([TILLS], [1, 2, 3], correction_of("heal"))
    assert corrected_at_most(world) == batches.MOST_ROWS
    assert not world.drift()


def test_a_piece_that_is_tried_again_stays_a_piece(world: World) -> None:
    """The rows of a cancelled transaction repeat, although no other program reverts them."""
    fill(world, tills=1, sales=9_000)
    met: list[int] = []

    def meet(connection: Connection, _: Any, drained: Drained) -> None:
        if drained.is_cut and len(met) < 2:
            met.append(len(drained.corrections))
            failing = (
                "DO $$ BEGIN RAISE EXCEPTION 'met' USING ERRCODE = 'lock_not_available'; END $$"
            )
            connection.execute(text(failing))

    healer = Healer(registry, world.engine.begin, lambda _: None, within=meet)
    healer.heal([TILLS], [1], correction_of("heal"))
    assert met == [batches.MOST_ROWS] * 2
    assert corrected_at_most(world) == batches.MOST_ROWS
    assert not world.drift()


def test_a_row_that_stays_wrong_whatever_is_written_is_not_corrected_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program's own trigger reverts every correction."""
    monkeypatch.setattr(batches, "MOST_ROWS", 5)
    fill(world, tills=1, sales=20)
    world.outside.execute(
        "CREATE FUNCTION h_stubborn() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.in_till := -1; RETURN NEW; END'"
    )
    world.outside.execute(
        "CREATE TRIGGER stubborn BEFORE UPDATE ON h_sales FOR EACH ROW EXECUTE FUNCTION h_stubborn()"
    )
    try:
        heal(world.engine, registry)
        assert len(world.drift()) == 20
    finally:
        world.outside.execute("DROP FUNCTION h_stubborn CASCADE")
    heal(world.engine, registry)
    assert not world.drift()


def test_owners_with_too_many_rows_are_taken_in_smaller_groups_and_each_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "READ_ROWS", 2_500)
    fill(world, tills=20, sales=50)
    with counted(monkeypatch) as seen:
        result = heal(world.engine, registry)
    assert (result.failures, result.corrections) == ([], 20 * 50)
    assert seen["too_many"][0] == 20
    assert seen["stood"][:4] == [5, 5, 5, 5]
    assert times_corrected(world) == {1: 20 * 50}
    assert not world.drift()


@contextmanager
def busy_machine() -> Iterator[None]:
    """Processes that compute without end, more than the machine has processors."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_a_busy_machine_does_not_shrink_the_transactions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, tills=40, sales=500)
    with counted(monkeypatch) as alone:
        heal(world.engine, registry)
    world.surgery.execute("UPDATE h_sales SET in_till = -1")
    with busy_machine(), counted(monkeypatch) as beside:
        heal(world.engine, registry)
    assert beside == alone
    assert beside["stood"][:4] == [10, 10, 10, 10]
    assert not world.drift()


def test_a_user_who_waits_shrinks_the_transactions_until_no_user_waits(world: World) -> None:
    """The user has another role than the heal, which does not see what that role waits for in `pg_stat_activity`."""
    fill(world, tills=64, sales=1)
    taken: list[int] = []
    waiting = threading.Thread(target=_label, args=(world, 1))

    def wait(connection: Connection, part: Any, _drained: Drained) -> None:
        taken.append(len(part))
        if len(taken) == 1:
            waiting.start()
            while not world.surgery.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                pass

    strides = {TILLS.name: Stride(16)}
    healer = Healer(registry, world.engine.begin, lambda _: None, within=wait, strides=strides)
    healer.heal([TILLS], range(1, 65), correction_of("heal"))
    waiting.join()
    assert taken[:4] == [16, 8, 16, 24]
    assert world.outside.execute("SELECT label FROM h_tills WHERE id = 1").fetchone() == ("seen",)
    assert not world.drift(figures=[registry.get("h_sales.in_till")])


def _label(w: World, till: int) -> None:
    with w.open_outside() as program:
        program.execute("UPDATE h_tills SET label = 'seen' WHERE id = %s", [till])


def test_a_heal_that_was_interrupted_continues_where_it_stopped(world: World) -> None:
    fill(world, tills=60, sales=20)
    stood: list[Drained] = []

    def interrupt(drained: Drained) -> None:
        stood.append(drained)
        if len(stood) == 2:
            raise KeyboardInterrupt

    healer = Healer(registry, world.engine.begin, lambda _: None, stands=interrupt)
    with pytest.raises(KeyboardInterrupt):
        healer.heal([TILLS], range(1, 61), correction_of("heal"))
    before = times_corrected(world)[1]
    assert before == sum(len(drained.corrections) for drained in stood) > 0
    assert heal(world.engine, registry).corrections == 60 * 20 - before
    assert times_corrected(world) == {1: 60 * 20}
    assert not world.drift()


def test_what_builds_on_many_owners_is_corrected_once_and_after_them(world: World) -> None:
    fill(world, tills=60, sales=1)
    world.surgery.execute("UPDATE h_tills SET takings = takings + 1")
    world.surgery.execute("UPDATE h_branches SET takings = takings + 1")
    done: list[Drained] = []
    healer = Healer(registry, world.engine.begin, lambda _: None, stands=done.append)
    tills = registry.bundle_of(registry.get("h_tills.takings"))
    healer.heal([tills], range(1, 61), correction_of("heal"))
    figures = [set(drained.corrected) for drained in done]
    assert figures.count({"h_branches.takings"}) == 1
    assert figures[-1] == {"h_branches.takings"}
    heal(world.engine, registry)
    assert not world.drift()


def test_who_cannot_be_corrected_is_told_of_and_keeps_nobody_from_it(world: World) -> None:
    """The till's total violates its CHECK, and the wrong value was written without triggers."""
    fill(world, tills=30, sales=3)
    world.surgery.execute("UPDATE h_tills SET takings = 14")
    world.surgery.execute("UPDATE h_sales SET amount = 13.00 / 3 WHERE till_id = 7")
    world.surgery.execute(
        "UPDATE h_sales SET amount = 4.34 WHERE id = (SELECT min(id) FROM h_sales WHERE till_id = 7)"
    )
    result = heal(world.engine, registry)
    assert [failure.owner for failure in result.failures] == [7]
    assert {
        finding.owner for finding in world.drift(figures=[registry.get("h_tills.takings")])
    } == {7}
    world.surgery.execute("UPDATE h_sales SET amount = 1 WHERE till_id = 7")
    assert heal(world.engine, registry).failures == []


def test_many_notes_of_one_owner_are_drained_at_once(world: World) -> None:
    fill(world, tills=2, sales=300)
    heal(world.engine, registry)
    with world.open_outside() as program:
        for sale in range(1, 301):
            program.execute("UPDATE h_sales SET amount = 2 WHERE id = %s", [sale])
    assert sum(noted(world.engine).values()) >= 300
    times = Counter[int]()
    drained = heal_noted(
        world.engine, registry, within=lambda _c, things, _d: times.update([len(things)])
    )
    assert drained.failures == []
    assert set(times) == {1}
    assert times[1] <= 2 * len(registry.bundles)
    assert noted(world.engine) == {}
    assert not world.drift()


def test_an_emptied_table_is_followed_by_every_owner(world: World) -> None:
    fill(world, tills=30, sales=2)
    heal(world.engine, registry)
    world.outside.execute("TRUNCATE h_sales")
    assert noted(world.engine) == {"h_sales.in_till": 1, "h_tills": 1}
    drained = heal_noted(world.engine, registry)
    assert drained.failures == []
    causes = world.outside.execute(
        "SELECT DISTINCT cause FROM corrections WHERE figure = 'h_tills.takings'"
    )
    assert causes.fetchall() == [("bypass",)]
    assert noted(world.engine) == {}
    assert not world.drift()


@given(
    rows=st.lists(st.sampled_from([0, 1, 40, 3_000, 90_000]), min_size=1, max_size=2_000),
    waits=st.sets(st.integers(0, 200)),
)
def test_every_owner_gets_a_turn_whatever_rows_it_has(rows: list[int], waits: set[int]) -> None:
    stride, position, tries = Stride(), 0, 0
    while position < len(rows):
        part = rows[position : position + stride.length]
        tries += 1
        if len(part) > 1 and sum(part) > batches.READ_ROWS:
            stride.was_too_many(len(part))
            assert 1 <= stride.length < len(part)
            continue
        stride.took(len(part), sum(part), is_waited_for=tries in waits)
        position += len(part)
        assert 1 <= stride.length <= WRITE_CHUNK
    assert tries <= 3 * len(rows) + 20


def test_owners_that_cost_little_are_taken_a_thousand_at_a_time() -> None:
    stride = Stride()
    for _ in range(100):
        stride.took(stride.length, 4 * stride.length, is_waited_for=False)
    assert stride.length == WRITE_CHUNK
    stride.took(3, 12, is_waited_for=False)  # the rest of a page
    assert stride.length == WRITE_CHUNK
