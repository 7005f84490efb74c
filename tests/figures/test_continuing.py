"""Running rows are continued from the last stored one before the change, however it was written and how far back."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Date,
    DateTime,
    ForeignKey,
    Index,
    Select,
    UniqueConstraint,
    cast,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Last, Registry, total
from backoffice.figures.computing.relations import ONE_OWNER
from backoffice.figures.keeping.recomputing import recompute, recompute_since
from backoffice.figures.verifying import proving
from backoffice.figures.verifying.healing import heal

from .worlds import Building, World


class Base(DeclarativeBase):
    """The tables of this world."""


class Account(Base):
    """The owner of movements."""

    __tablename__ = "ct_accounts"
    id: Mapped[Id]
    moved: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))


class Movement(Base):
    """An amount on a day."""

    __tablename__ = "ct_movements"
    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    day: Mapped[date]
    amount: Mapped[Money]


class Closing(Base):
    """An account's closing balance of a month with movements."""

    __tablename__ = "ct_closings"
    __table_args__ = (UniqueConstraint("account_id", "month"),)
    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    month: Mapped[date]
    opening: Mapped[Money]
    closing: Mapped[Money]


registry = Registry("continuing")


def month_of(day: Any) -> Any:
    return cast(func.date_trunc("month", cast(day, DateTime)), Date)


Index("ix_ct_movements", Movement.account_id, month_of(Movement.day))


@registry.figure(
    columns=(Closing.opening, Closing.closing),
    row_per=(Closing.account_id, Closing.month),
    owner=Closing.account_id,
    along=Closing.month,
    since={Movement: month_of(Movement.day)},
    name="closings",
    title="Closings",
)
def closings(movements: Any = Movement, last: Any = Last(Closing)) -> Select[Any]:
    month = month_of(movements.c.day)
    moved = (
        select(
            movements.c.account_id, month.label("month"), func.sum(movements.c.amount).label("sum")
        )
        .group_by(movements.c.account_id, month)
        .subquery()
    )
    carried = func.coalesce(last.c.closing, 0)
    until = func.sum(moved.c.sum).over(partition_by=moved.c.account_id, order_by=moved.c.month)
    return select(
        moved.c.account_id,
        moved.c.month,
        (carried + until - moved.c.sum).label("opening"),
        (carried + until).label("closing"),
    ).select_from(moved.outerjoin(last, last.c.account_id == moved.c.account_id))


moved = registry.figure(
    Account.moved,
    func.coalesce(total(Closing.closing - Closing.opening, by=Closing.account_id), 0),
    title="Moved",
    incremental=True,
)


def carrying_what_comes_later() -> Registry:
    """A month's closing balance less the next month's movements: an earlier row depends on a later one."""
    bad = Registry("continuing backwards")

    @bad.figure(
        columns=(Closing.opening, Closing.closing), row_per=(Closing.account_id, Closing.month),
        owner=Closing.account_id, along=Closing.month, since={Movement: month_of(Movement.day)},
        name="closings", title="Closings",
    )  # fmt: skip
    def backwards(movements: Any = Movement) -> Select[Any]:
        month = month_of(movements.c.day)
        moved = func.sum(movements.c.amount)
        until = func.sum(moved).over(partition_by=movements.c.account_id, order_by=month)
        return select(
            movements.c.account_id,
            month.label("month"),
            moved.label("opening"),
            until.label("closing"),
        ).group_by(movements.c.account_id, month)

    return bad


def forgetting_owners(carried: Any) -> Registry:
    """A wrong definition that continues every owner from the last row of any owner."""
    bad = Registry("continuing anybody")

    @bad.figure(
        columns=(Closing.opening, Closing.closing), row_per=(Closing.account_id, Closing.month),
        owner=Closing.account_id, along=Closing.month, since={Movement: month_of(Movement.day)},
        name="closings", title="Closings",
    )  # fmt: skip
    def anybody(movements: Any = Movement, last: Any = Last(Closing)) -> Select[Any]:
        month = month_of(movements.c.day)
        moved = func.sum(movements.c.amount)
        until = func.sum(moved).over(partition_by=movements.c.account_id, order_by=month)
        before = func.coalesce(carried(last.c.closing), 0)
        return select(
            movements.c.account_id, month.label("month"), (before + until - moved).label("opening"),
            (before + until).label("closing"),
        ).group_by(movements.c.account_id, month)  # fmt: skip

    return bad


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (carrying_what_comes_later, "continued from a place along ct_closings.month it expects"),
        (
            lambda: forgetting_owners(lambda c: select(c).scalar_subquery()),
            "more than one row returned",
        ),
        (
            lambda: forgetting_owners(lambda c: select(func.max(c)).scalar_subquery()),
            "continued from a place",
        ),
    ],
    ids=["later", "anybody", "greatest"],
)
def test_what_cannot_be_continued_is_disproved(world: World, bad: Any, says: str) -> None:
    with world.sessions() as session:
        for account in (1, 2):
            for month in range(1, 6):
                session.add(
                    Movement(
                        account_id=account,
                        day=date(2025, month, 3),
                        amount=Decimal(month * account),
                    )
                )
        session.commit()
    with world.engine.connect() as connection:
        assert list(proving.disproofs(connection, registry)) == []
        [found] = proving.disproofs(connection, bad())
    assert says in str(found)


def test_a_save_reads_what_comes_after_the_change_and_the_last_row_before(world: World) -> None:
    """A change without triggers further back is left to verification: a save does not read that far."""
    with world.sessions() as session:
        for month in range(1, 13):
            session.add(Movement(account_id=1, day=date(2025, month, 3), amount=Decimal(10)))
        session.commit()
        world.surgery.execute("UPDATE ct_movements SET amount = 1000 WHERE day = '2025-02-03'")
        session.add(Movement(account_id=1, day=date(2025, 12, 30), amount=Decimal(5)))
        session.add(Movement(account_id=1, day=date(2025, 6, 30), amount=Decimal(1)))
        session.commit()
        rows = stored(session)
        assert rows[1, date(2025, 6, 1)] == (50, 61)
        assert rows[1, date(2025, 12, 1)] == (111, 126)
        found = {f.key["month"] for f in world.drift() if f.figure is closings}
        assert found == {date(2025, month, 1) for month in range(2, 13)}
        world.surgery.execute("UPDATE ct_movements SET amount = 10 WHERE day = '2025-02-03'")
    assert world.drift() == []


@pytest.fixture
def world(building: Building) -> Iterator[World]:
    with building(Base, registry) as made:
        with made.sessions() as session:
            session.execute(insert(Account), [{"id": i} for i in (1, 2, 3)])
            session.commit()
        yield made


def expected(
    movements: list[tuple[int, int, date, Decimal]],
) -> dict[tuple[int, date], tuple[Decimal, Decimal]]:
    found: dict[tuple[int, date], tuple[Decimal, Decimal]] = {}
    for account in {m[1] for m in movements}:
        balance = Decimal(0)
        for month in sorted({m[2].replace(day=1) for m in movements if m[1] == account}):
            moved = sum(
                (m[3] for m in movements if m[1] == account and m[2].replace(day=1) == month),
                Decimal(0),
            )
            found[account, month] = (balance, balance + moved)
            balance += moved
    return found


def stored(session: Any) -> dict[tuple[int, date], tuple[Decimal, Decimal]]:
    rows = session.execute(
        select(Closing.account_id, Closing.month, Closing.opening, Closing.closing)
    )
    return {(a, m): (o, c) for a, m, o, c in rows}


def facts(session: Any) -> list[tuple[int, int, date, Decimal]]:
    return [
        tuple(r)
        for r in session.execute(
            select(Movement.id, Movement.account_id, Movement.day, Movement.amount)
        )
    ]


DAYS = st.dates(date(2024, 1, 1), date(2025, 12, 31))
AMOUNTS = st.decimals(Decimal("-999.99"), Decimal("999.99"), places=2)
STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 3), DAYS, AMOUNTS),
    st.tuples(st.just("many"), st.integers(1, 3), DAYS, AMOUNTS),
    st.tuples(st.just("day"), st.integers(0, 30), DAYS, AMOUNTS),
    st.tuples(st.just("amount"), st.integers(0, 30), DAYS, AMOUNTS),
    st.tuples(st.just("move"), st.integers(0, 30), DAYS, AMOUNTS),
    st.tuples(st.just("delete"), st.integers(0, 30), DAYS, AMOUNTS),
)


@given(st.lists(st.tuples(STEP, st.booleans()), max_size=25))
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_whatever_happens_the_rows_are_what_python_makes_of_the_facts(
    world: World, steps: list[Any]
) -> None:
    with world.sessions() as session:
        session.execute(delete(Movement))
        session.commit()
        for (kind, number, day, amount), commits in steps:
            there = session.scalars(select(Movement).order_by(Movement.id)).all()
            row = there[number % len(there)] if there else None
            if kind == "add":
                session.add(Movement(account_id=number, day=day, amount=amount))
            elif kind == "many":
                session.execute(
                    text(
                        "INSERT INTO ct_movements (account_id, day, amount) "
                        "SELECT a, :day, :n + a FROM ct_accounts AS t(a)"
                    ),
                    {"day": day, "n": amount},
                )
            elif row is not None and kind == "day":
                row.day = day
            elif row is not None and kind == "amount":
                row.amount = amount
            elif row is not None and kind == "move":
                row.account_id = row.account_id % 3 + 1
            elif row is not None:
                session.delete(row)
            if commits:
                session.commit()
                assert stored(session) == expected(facts(session))
        session.commit()
        assert stored(session) == expected(facts(session))
    assert world.drift() == []
    with world.engine.connect() as connection:
        assert list(proving.disproofs(connection, registry, sample=None)) == []


@pytest.mark.parametrize(
    "month", [6, 9, 11, 12], ids=["the row before", "after it", "later", "the last"]
)
def test_a_row_overwritten_without_triggers_is_found_and_healed_after_a_save(
    world: World, month: int
) -> None:
    """A save continues from the last stored row; the next verification finds what was overwritten."""
    with world.sessions() as session:
        for each in range(1, 13):
            session.add(Movement(account_id=1, day=date(2025, each, 3), amount=Decimal(10)))
        session.commit()
        over = "UPDATE ct_closings SET closing = closing + 7 WHERE account_id = 1 AND month = %s"
        world.surgery.execute(over, [date(2025, month, 1)])
        session.add(Movement(account_id=1, day=date(2025, 7, 30), amount=Decimal(1)))
        session.commit()
        heal(world.engine, registry)
        session.expire_all()
        assert stored(session) == expected(facts(session))
        assert session.get_one(Account, 1).moved == 121
    assert world.drift() == []


@pytest.mark.parametrize("is_continued", [False, True], ids=["from the beginning", "continued"])
def test_of_one_owner_nobody_elses_rows_are_read(world: World, is_continued: bool) -> None:
    """An overestimate of changed rows must not make PostgreSQL read the whole table for one owner."""
    world.surgery.execute("INSERT INTO ct_accounts (id) SELECT n FROM generate_series(10, 30) n")
    world.surgery.execute(
        "INSERT INTO ct_movements (account_id, day, amount) SELECT n, date '1900-01-05' + 31 * m, 10 "
        "FROM generate_series(10, 30) n, generate_series(1, 2000) m"
    )
    assert heal(world.engine, registry).corrections > 30_000
    world.surgery.execute("ANALYZE ct_movements, ct_closings, ct_accounts")
    bundle = registry.bundle_of(closings)
    if is_continued:
        statement = recompute_since(registry, bundle, ONE_OWNER)
    else:
        statement = recompute(registry, bundle, ONE_OWNER, correct=False, by_facts=False)
    with world.engine.connect() as connection:
        text, values = statement._compiled_with(connection, {"owner": 20, "place": "2026-01-01"})
        plan = "\n".join(row for (row,) in connection.exec_driver_sql(f"EXPLAIN {text}", values))
    assert "Seq Scan on ct_" not in plan
    world.surgery.execute(
        "DELETE FROM ct_movements; DELETE FROM ct_closings; DELETE FROM ct_accounts WHERE id > 9"
    )
