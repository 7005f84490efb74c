"""Sums of movements are added by the trigger itself, and rows written with their right balance need no drain."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import ForeignKey, Index, Select, Text, case, event, func, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import FigureError, Last, Registry, total
from backoffice.figures.keeping import triggers
from backoffice.figures.verifying import proving
from backoffice.figures.verifying.healing import heal

from .worlds import Building, World


class Base(DeclarativeBase):
    """The tables of this world."""


class House(Base):
    """The owner of wallets, with a total over sums."""

    __tablename__ = "ao_houses"
    id: Mapped[Id]
    worth: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))


class Purse(Base):
    """The owner of movements that are added up at once."""

    __tablename__ = "ao_purses"
    id: Mapped[Id]
    house_id: Mapped[int] = mapped_column(ForeignKey(House.id))
    balance: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))
    spent: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))


class Move(Base):
    """A movement, with the purse's balance before and after it."""

    __tablename__ = "ao_moves"
    __table_args__ = (Index("ix_ao_moves", "purse_id", "id"),)
    id: Mapped[Id]
    purse_id: Mapped[int] = mapped_column(ForeignKey(Purse.id))
    kind: Mapped[str] = mapped_column(Text)
    amount: Mapped[Money]
    before: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))
    after: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))


registry = Registry("at once")


def of_kind(kind: str) -> Any:
    return func.coalesce(total(Move.amount, by=Move.purse_id, where=Move.kind == kind), 0)


sums = registry.figure(
    {Purse.balance: of_kind("in") - of_kind("out"), Purse.spent: of_kind("out")},
    name="purse sums", title="Purse", incremental=True, at_once=True,
)  # fmt: skip


@registry.figure(
    columns=(Move.before, Move.after), leading=Move.after, owner=Move.purse_id, along=Move.id, at_once=True,
    name="running", title="Running balance",
)  # fmt: skip
def running(moves: Any = Move, last: Any = Last(Move)) -> Select[Any]:
    signed = case((moves.c.kind == "out", -moves.c.amount), else_=moves.c.amount)
    until = func.sum(signed).over(partition_by=moves.c.purse_id, order_by=moves.c.id)
    after = func.coalesce(last.c.after, 0) + until
    return select(
        moves.c.id, moves.c.purse_id, (after - signed).label("before"), after.label("after")
    ).select_from(moves.outerjoin(last, last.c.purse_id == moves.c.purse_id))


worth = registry.figure(
    House.worth, func.coalesce(total(Purse.balance, by=Purse.house_id), 0), title="Worth"
)


@pytest.fixture
def world(building: Building) -> Iterator[World]:
    with building(Base, registry) as made:
        with made.sessions() as session:
            session.add(House(id=1))
            session.add_all(Purse(id=i, house_id=1) for i in (1, 2, 3))
            session.commit()
        yield made


def notes(world: World) -> int:
    with world.surgery.cursor() as cursor:
        [count] = cursor.execute(
            "SELECT count(*) FROM figure_notes WHERE bundle IN ('purse sums', 'running')"
        ).fetchone()
    return count


def balances(world: World) -> list[Decimal]:
    return [b for (b,) in world.surgery.execute("SELECT balance FROM ao_purses ORDER BY id")]


def test_whoever_writes_the_sums_follow_at_once_and_nothing_is_left_to_drain(world: World) -> None:
    world.outside.execute(
        "INSERT INTO ao_moves (purse_id, kind, amount, after) VALUES (1, 'in', 10, 10)"
    )
    assert (balances(world), notes(world)) == ([10, 0, 0], 0)
    world.outside.execute(
        "INSERT INTO ao_moves (purse_id, kind, amount, before, after) VALUES (1, 'out', 4, 10, 6), (2, 'in', 3, 0, 3)"
    )
    assert (balances(world), notes(world)) == ([6, 3, 0], 0)
    world.outside.execute("UPDATE ao_moves SET purse_id = 3 WHERE purse_id = 2")
    assert balances(world) == [6, 0, 3]
    world.outside.execute("DELETE FROM ao_moves WHERE purse_id = 3")
    assert balances(world) == [6, 0, 0]
    found = {(f.figure.name, f.owner) for f in world.drift()}
    assert found == {("ao_houses.worth", 1)}  # an outside program's: drained by a worker


def test_a_row_that_was_not_written_with_its_right_balance_is_put_right_by_the_save(
    world: World,
) -> None:
    with world.sessions() as session:
        session.add(Move(purse_id=1, kind="in", amount=Decimal(10), after=Decimal(10)))
        session.commit()
        session.execute(
            text("INSERT INTO ao_moves (purse_id, kind, amount) VALUES (1, 'out', 3), (2, 'in', 5)")
        )
        session.commit()
        rows = session.execute(
            select(Move.before, Move.after).order_by(Move.purse_id, Move.id)
        ).all()
        assert [tuple(r) for r in rows] == [(0, 10), (10, 7), (0, 5)]
        assert session.get_one(House, 1).worth == 12
    assert world.drift() == []


def test_an_instance_in_the_session_sees_what_the_trigger_added(world: World) -> None:
    with world.sessions() as session:
        purse = session.get_one(Purse, 1)
        assert purse.balance == 0
        session.execute(insert(Move).values(purse_id=1, kind="in", amount=7, after=7))
        session.flush()
        assert session.scalar(select(Purse.balance).where(Purse.id == 1)) == 7
        assert purse.balance == 7
        session.commit()


def test_the_sums_of_many_at_the_same_moment_are_all_there(world: World) -> None:
    """All write to the same two purses, in opposite orders: locked in id order, no transaction is refused."""

    def write(number: int) -> None:
        order = "" if number % 2 else " DESC"
        with world.open_outside() as connection:
            for _ in range(25):
                connection.execute(
                    "INSERT INTO ao_moves (purse_id, kind, amount) "
                    f"SELECT id, 'in', 1 FROM ao_purses WHERE id < 3 ORDER BY id{order}"
                )
                connection.commit()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert balances(world) == [150, 150, 0]


@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "unlocked"])
def test_of_two_who_write_a_balance_at_once_the_second_is_looked_at_after_the_first(
    building: Building, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    """Each balance is right as far as its writer sees; without waiting, a wrong one would stay without a note."""
    alone = Registry(f"running alone {is_locked}")
    alone.declare([running])
    if not is_locked:
        steps = triggers._looked_at

        def unlocked(*given: Any) -> Iterator[str]:
            return (step for step in steps(*given) if "FOR NO KEY UPDATE" not in step)

        monkeypatch.setattr(triggers, "_looked_at", unlocked)
    write = "INSERT INTO ao_moves (purse_id, kind, amount, after) VALUES (1, 'in', %s, %s)"
    with building(Base, alone) as world:
        world.outside.execute("INSERT INTO ao_houses (id) OVERRIDING SYSTEM VALUE VALUES (1)")
        world.outside.execute(
            "INSERT INTO ao_purses (id, house_id) OVERRIDING SYSTEM VALUE VALUES (1, 1)"
        )
        with (
            world.open_outside() as first,
            world.open_outside() as second,
            ThreadPoolExecutor(1) as pool,
        ):
            first.execute(write, [10, 10])
            waiting = pool.submit(second.execute, write, [5, 5])
            wait([waiting], timeout=1)
            assert waiting.done() is not is_locked
            first.commit()
            waiting.result(20)
            second.commit()
        assert len(world.drift()) == 1
        assert bool(notes(world)) is is_locked


def test_a_flush_over_several_owners_holds_them_first_and_of_one_nobody(world: World) -> None:
    with world.sessions() as session:
        moves = [Move(purse_id=p, kind="in", amount=Decimal(1), after=Decimal(1)) for p in (2, 3)]
        session.add_all(moves)
        session.commit()
        [moved, gone] = moves
        assert (moved.purse_id, gone.purse_id) == (2, 3)
        sent: list[tuple[str, Any]] = []

        @event.listens_for(world.engine, "before_cursor_execute")
        def keep(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
            sent.append((sql, values))

        moved.purse_id = 1
        session.delete(gone)
        session.flush()
        sql, values = sent[0]
        assert "FOR NO KEY UPDATE" in sql
        assert values["owners"] == [1, 2, 3]
        session.commit()
        sent.clear()
        session.add(Move(purse_id=3, kind="in", amount=Decimal(1), after=Decimal(1)))
        session.commit()
        assert "INSERT" in sent[0][0]
        event.remove(world.engine, "before_cursor_execute", keep)
    assert world.drift() == []


def test_a_tampered_sum_is_noted_and_no_program_can_pretend_to_be_the_trigger(world: World) -> None:
    world.outside.execute(
        "INSERT INTO ao_moves (purse_id, kind, amount, after) VALUES (1, 'in', 10, 10)"
    )
    forged = "purse sums:" + "0" * 64
    with world.open_outside() as connection:
        connection.execute("SELECT set_config('backoffice.adding', %s, true)", [forged])
        connection.execute("SELECT set_config('backoffice.settling', 'purse sums', true)")
        connection.execute("UPDATE ao_purses SET balance = 99 WHERE id = 1")
        connection.commit()
    assert notes(world) == 1
    with world.sessions() as session:
        session.execute(text("UPDATE ao_purses SET balance = 98 WHERE id = 1"))
        session.commit()
        assert session.scalar(select(Purse.balance).where(Purse.id == 1)) == 10


@pytest.mark.parametrize("written", ["after", "before"])
def test_what_is_right_by_all_before_it_is_not_continued_from_a_row_that_was_written_over(
    world: World, written: str
) -> None:
    world.outside.execute(
        "INSERT INTO ao_moves (purse_id, kind, amount, before, after) VALUES (1, 'in', 10, 0, 10), (1, 'out', 4, 10, 6)"
    )
    world.surgery.execute(f"UPDATE ao_moves SET {written} = 17 WHERE id = 2")
    with world.sessions() as session:
        session.add(
            Move(purse_id=1, kind="in", amount=Decimal(1), before=Decimal(6), after=Decimal(7))
        )
        session.commit()
        rows = session.execute(select(Move.before, Move.after).order_by(Move.id)).all()
        assert tuple(rows[-1]) == (6, 7)
    assert {(f.figure.name, f.key["id"]) for f in world.drift()} - {("ao_houses.worth", 1)} == {
        ("running", 2)
    }
    world.outside.execute("INSERT INTO ao_moves (purse_id, kind, amount) VALUES (1, 'in', 2)")
    assert notes(world) == 1, "a row without its balances is still noted"


def test_what_is_not_there_for_the_app_to_read_cannot_be_said_by_it(
    app: Any, database_url: str
) -> None:
    """The trigger's proof is derived from data that only the database owner can read."""
    with (
        psycopg.connect(database_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT token_hash FROM process_keys")


def test_heal_and_proof_know_no_difference(world: World) -> None:
    with world.sessions() as session:
        for number in range(1, 30):
            session.add(
                Move(
                    purse_id=number % 3 + 1, kind=("in", "out")[number % 2], amount=Decimal(number)
                )
            )
        session.commit()
    with world.engine.connect() as connection:
        assert list(proving.disproofs(connection, registry, sample=None)) == []
    world.surgery.execute("UPDATE ao_purses SET balance = balance + 1 WHERE id = 2")
    assert [(f.figure.name, f.owner) for f in world.drift()] == [("purse sums", 2)]
    assert heal(world.engine, registry).corrections == 1
    assert world.drift() == []


def test_what_is_no_fact_is_not_added_up_at_once() -> None:
    bad = Registry("at once over a figure")
    bad.figure(Purse.balance, of_kind("in"), title="Balance", incremental=True, at_once=True)
    bad.figure(
        House.worth, func.coalesce(total(Purse.balance, by=Purse.house_id), 0), title="Worth",
        incremental=True, at_once=True,
    )  # fmt: skip
    with pytest.raises(FigureError, match="at_once adds up facts, and ao_purses"):
        bad.seal()


def test_at_once_is_for_sums_and_rows_that_run() -> None:
    bad = Registry("at once without either")
    bad.figure(Purse.balance, of_kind("in"), title="Balance", at_once=True)
    with pytest.raises(FigureError, match="at_once is for sums"):
        bad.seal()
