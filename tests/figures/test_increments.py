"""Derived rows to which changes are added: always what an absolute recompute would say."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    CheckConstraint,
    Date,
    DateTime,
    Engine,
    ForeignKey,
    NullPool,
    Select,
    UniqueConstraint,
    case,
    cast,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.figures import Registry, hooks, triggers
from backoffice.figures import drain as drain_module
from backoffice.figures.drain import hold
from backoffice.figures.errors import DeclarationError
from backoffice.figures.healing import heal, heal_noted, noted
from backoffice.figures.models import FigureNote
from backoffice.figures.renewal import renew
from backoffice.money import Money, rounded

from .test_races import at_once
from .worlds import World

D = Decimal
Build = Callable[[type[DeclarativeBase], Registry], World]


class Base(DeclarativeBase):
    """Tables of these tests only."""


class Seller(Base):
    """The owner."""

    __tablename__ = "i_sellers"
    id: Mapped[Id]


class Sale(Base):
    """The source; open without a day. `amount` is itself a figure."""

    __tablename__ = "i_sales"
    id: Mapped[Id]
    seller_id: Mapped[int] = mapped_column(ForeignKey(Seller.id))
    closed_on: Mapped[date | None]
    price: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    fee: Mapped[Money | None]
    is_gift: Mapped[bool] = mapped_column(server_default="false", default=False)
    amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))


class Tally(Base):
    """The derived rows: a seller's month."""

    __tablename__ = "i_tallies"
    __table_args__ = (
        UniqueConstraint("seller_id", "month"),
        CheckConstraint("sales >= 0", name="i_tallies_sales"),
    )
    id: Mapped[Id]
    seller_id: Mapped[int] = mapped_column(ForeignKey(Seller.id))
    month: Mapped[date]
    target: Mapped[Money | None]
    amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    net: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    gifts: Mapped[int] = mapped_column(server_default="0", default=0)
    maybe: Mapped[Money | None]
    sales: Mapped[int] = mapped_column(server_default="0", default=0)


def by_month(sale: Any = Sale) -> Select[Any]:
    """What each seller closed in each month; fees may be NULL, gifts are counted apart."""
    month = cast(func.date_trunc("month", cast(sale.c.closed_on, DateTime)), Date)
    fees = func.coalesce(func.sum(sale.c.fee), 0)
    return (
        select(
            sale.c.seller_id,
            month.label("month"),
            func.sum(sale.c.amount).label("amount"),
            (func.sum(sale.c.amount) - fees).label("net"),
            func.count().filter(sale.c.is_gift).label("gifts"),
            func.count().label("sales"),
            func.max(sale.c.amount).label("largest"),
        )
        .where(sale.c.closed_on.is_not(None))
        .group_by(sale.c.seller_id, month)
    )


COLUMNS = (Tally.amount, Tally.net, Tally.gifts, Tally.sales)
KEY = (Tally.seller_id, Tally.month)


def declared(definition: Callable[..., Select[Any]] = by_month, **options: Any) -> Registry:
    """A registry of the sale's amount and the tallies above it."""
    registry = Registry("increments")
    registry.figure(Sale.amount, rounded(Sale.price * 2), owner=Sale.seller_id, title="Amount")
    given = {"columns": COLUMNS, "key": KEY, "keep": Tally.target.is_not(None)} | options
    registry.figure(
        owner=Tally.seller_id, name="i_tallies.sums", title="Tally", incremental=True, **given
    )(definition)
    return registry


@pytest.fixture
def world(build: Build) -> World:
    """Two sellers without a sale."""
    made = build(Base, declared())
    with made.sessions() as session:
        session.add_all([Seller(), Seller()])
        session.commit()
    return made


def owner(url: str) -> Engine:
    """The tables' owner, who upgrades; its connections are not kept."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


DAYS = [None, date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1), date(2024, 12, 31)]
PRICES = st.decimals(-999, 999, places=2)
SELLERS = st.sampled_from([1, 2])
FEES = st.none() | PRICES

STEPS = st.one_of(
    st.tuples(st.just("add"), SELLERS, st.sampled_from(DAYS), PRICES, FEES, st.booleans()),
    st.tuples(st.just("move"), SELLERS, st.integers(0, 6)),
    st.tuples(st.just("re-date"), st.sampled_from(DAYS), st.integers(0, 6)),
    st.tuples(st.just("re-price"), PRICES, st.integers(0, 6)),
    st.tuples(st.just("fee"), FEES, st.integers(0, 6)),
    st.tuples(st.just("delete"), st.integers(0, 6)),
    st.tuples(st.just("target"), SELLERS, st.sampled_from(DAYS[1:]), FEES),
    st.tuples(st.just("read")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("roll back")),
)


def take(session: Any, step: tuple[Any, ...]) -> None:
    """One step, in SQL of several kinds; numbers choose among the sales by remainder."""
    verb, *values = step
    if verb == "add":
        names = ("seller_id", "closed_on", "price", "fee", "is_gift")
        session.execute(insert(Sale).values(dict(zip(names, values, strict=True))))
    elif verb in ("move", "re-date", "re-price", "fee"):
        column = {"move": "seller_id", "re-date": "closed_on", "re-price": "price", "fee": "fee"}
        value, remainder = values
        chosen = update(Sale).where(Sale.id % 7 == remainder)
        session.execute(chosen.values({column[verb]: value}))
    elif verb == "delete":
        session.execute(delete(Sale).where(Sale.id % 7 == values[0]))
    elif verb == "target":
        seller, day, amount = values
        values = {"seller_id": seller, "month": day.replace(day=1), "target": amount}
        if session.execute(
            update(Tally).filter_by(seller_id=seller, month=values["month"]).values(target=amount)
        ).rowcount:
            return
        session.add(Tally(**values))
        session.flush()
    elif verb == "read":
        session.execute(select(func.sum(Tally.amount))).one()
    elif verb == "commit":
        session.commit()
    else:
        session.rollback()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=14))
def test_after_any_sequence_of_writes_the_rows_are_those_of_an_absolute_recompute(
    world: World, steps: list[tuple[Any, ...]]
) -> None:
    with world.sessions() as session:
        for step in steps:
            take(session, step)
        session.commit()
    assert world.drift() == []
    with world.sessions() as session:
        assert not session.scalar(select(func.count()).select_from(FigureNote))
        session.execute(delete(Sale))
        session.execute(update(Tally).values(target=None))
        session.commit()
        assert session.scalar(select(func.count(Tally.id))) == 0, "rows without sales are gone"


def rows_of(world: World) -> dict[tuple[int, date], tuple[Any, ...]]:
    """The tallies by seller and month."""
    with world.sessions() as session:
        found = session.execute(select(*KEY, Tally.amount, Tally.sales)).all()
        return {(seller, month): (amount, sales) for seller, month, amount, sales in found}


def test_a_sale_that_moves_between_months_and_sellers_leaves_both_right(world: World) -> None:
    january, february = date(2026, 1, 1), date(2026, 2, 1)
    with world.sessions() as session:
        sale = Sale(seller_id=1, closed_on=date(2026, 1, 31), price=D(10))
        session.add_all([sale, Sale(seller_id=1, closed_on=january, price=D(1))])
        session.commit()
        assert rows_of(world) == {(1, january): (D(22), 2)}
        sale.closed_on = february
        session.commit()
        assert rows_of(world) == {(1, january): (D(2), 1), (1, february): (D(20), 1)}
        sale.seller_id, sale.price = 2, D(7)
        session.commit()
        assert rows_of(world) == {(1, january): (D(2), 1), (2, february): (D(14), 1)}
        sale.closed_on = None
        session.commit()
        assert rows_of(world) == {(1, january): (D(2), 1)}
    assert world.drift() == []


def test_a_month_with_a_target_stays_when_its_last_sale_goes(world: World) -> None:
    month = date(2026, 1, 1)
    with world.sessions() as session:
        session.add_all(
            [Tally(seller_id=1, month=month, target=D(5)), Sale(seller_id=1, closed_on=month)]
        )
        session.commit()
        session.execute(delete(Sale))
        session.commit()
        assert rows_of(world) == {(1, month): (D(0), 0)}
        session.execute(update(Tally).values(target=None))
        session.commit()
        assert rows_of(world) == {}
    assert world.drift() == []


def test_changes_are_added_and_what_was_wrong_before_is_found_and_healed(world: World) -> None:
    month = date(2026, 1, 1)
    with world.sessions() as session:
        session.add(Sale(seller_id=1, closed_on=month, price=D(10)))
        session.commit()
        world.surgery.execute("UPDATE i_tallies SET amount = 1000")
        session.add(Sale(seller_id=1, closed_on=month, price=D(1)))
        session.commit()
        assert rows_of(world) == {(1, month): (D(1002), 2)}
    [finding] = world.drift()
    assert finding.figure.name == "i_tallies.sums"
    assert heal(world.engine, world.registry).corrections == 1
    assert rows_of(world) == {(1, month): (D(22), 2)}
    world.surgery.execute("DELETE FROM i_tallies")
    assert heal(world.engine, world.registry).corrections == 1
    assert world.drift() == []


def test_what_another_program_writes_is_noted_and_recomputed_absolutely(world: World) -> None:
    world.outside.execute(
        "INSERT INTO i_sales (seller_id, closed_on, price) VALUES (1, '2026-01-09', 5), (2, NULL, 5)"
    )
    assert world.drift() != []
    assert heal_noted(world.engine, world.registry).failures == []
    assert rows_of(world) == {(1, date(2026, 1, 1)): (D(10), 1)}
    assert world.drift() == []


def test_notes_of_a_figure_that_this_process_does_not_know_stay_for_one_that_does(
    world: World,
) -> None:
    with world.sessions() as session:
        world.outside.execute("INSERT INTO figure_notes (bundle) VALUES ('of a newer version')")
        session.add(Sale(seller_id=1, closed_on=date(2026, 1, 9), price=D(5)))
        session.commit()
        heal_noted(world.engine, world.registry)
    assert noted(world.engine) == {"of a newer version": 1}
    assert world.drift() == []


def sales_at_once(world: World, rounds: int) -> None:
    """Two sessions close sales of one seller's month at once, again and again.

    One enters another month's target as well, so that it recomputes the seller absolutely.
    """
    month, other = date(2026, 1, 1), date(2026, 2, 1)
    with world.sessions() as session:
        session.add(Tally(seller_id=1, month=other, target=D(0)))
        session.commit()

    def close(price: int, target: int | None = None) -> None:
        with world.sessions() as session:
            session.add(Sale(seller_id=1, closed_on=month, price=D(price)))
            if target is not None:
                hold(session.connection(), world.registry.bundles[-1], [1])
                session.execute(update(Tally).where(Tally.month == other).values(target=target))
            session.commit()

    for number in range(rounds):
        at_once(lambda: close(1), lambda n=number: close(2, target=n), lambda: close(3))


def test_changes_and_absolute_recomputes_of_one_owner_do_not_meet(world: World) -> None:
    sales_at_once(world, 40)
    assert world.drift() == []


def test_the_first_sales_of_a_month_from_two_sessions_make_one_row(world: World) -> None:
    for number in range(50):
        day = date(2000 + number // 12, number % 12 + 1, 9)

        def close(price: int, day: date = day) -> None:
            with world.sessions() as session:
                session.add(Sale(seller_id=1, closed_on=day, price=D(price)))
                session.commit()

        at_once(lambda f=close: f(1), lambda f=close: f(2))
    assert world.drift() == []
    assert set(rows_of(world).values()) == {(D(6), 2)}


def add_while_recomputing(world: World) -> None:
    """One session has added a sale and not committed; another recomputes the seller meanwhile."""
    january, february = date(2026, 1, 1), date(2026, 2, 1)
    with world.sessions() as session:
        session.add_all(
            [
                Sale(seller_id=1, closed_on=january, price=D(1)),
                Tally(seller_id=1, month=february, target=D(1)),
            ]
        )
        session.commit()

    def recompute() -> None:
        with world.sessions() as other:
            other.add(Sale(seller_id=1, closed_on=january, price=D(10)))
            other.execute(update(Tally).where(Tally.month == february).values(target=D(2)))
            other.commit()

    with world.sessions() as session, ThreadPoolExecutor(1) as pool:
        session.add(Sale(seller_id=1, closed_on=january, price=D(100)))
        hooks.settle(session, world.registry)
        waiting = pool.submit(recompute)
        while not world.outside.execute(SOMEBODY_WAITS).fetchone()[0]:  # type: ignore[index]
            assert not waiting.done()
        session.commit()
        waiting.result()


SOMEBODY_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def test_an_absolute_recompute_waits_for_a_change_that_is_not_committed(world: World) -> None:
    add_while_recomputing(world)
    assert world.drift() == []
    assert rows_of(world)[1, date(2026, 1, 1)] == (D(222), 3)


@pytest.mark.leaves_drift
def test_without_the_owners_lock_the_change_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "lock_owners", lambda _c, _b, owners, _r: owners)
    add_while_recomputing(world)
    assert world.drift() != [], "Without the lock nothing went wrong: the lock guards nothing."


def test_a_figure_healed_before_what_it_builds_on_counts_no_change_twice(world: World) -> None:
    month = date(2026, 1, 1)
    with world.sessions() as session:
        sale = Sale(seller_id=1, closed_on=month, price=D(10))
        session.add(sale)
        session.commit()
        world.outside.execute("UPDATE i_sales SET price = 20")
        tally = [world.registry.get("i_tallies.sums")]
        heal(world.engine, world.registry, tally, owners=[1])
        sale.price = D(21)
        session.commit()
        heal_noted(world.engine, world.registry)
        assert rows_of(world) == {(1, month): (D(42), 1)}
    assert world.drift() == []
    world.outside.execute("UPDATE i_sales SET price = 5")
    heal(world.engine, world.registry, tally)
    assert rows_of(world) == {(1, month): (D(10), 1)}, "what it builds on is healed before it"
    heal_noted(world.engine, world.registry)
    assert world.drift() == []


def test_a_process_with_another_declaration_leaves_the_changes_for_one_that_knows_them(
    world: World, owner_database_url: str
) -> None:
    newer = declared(columns=(Tally.sales, Tally.gifts, Tally.net, Tally.amount))
    with owner(owner_database_url).begin() as connection:
        triggers.sync(connection, newer)
    with world.sessions() as session:
        session.add(Sale(seller_id=1, closed_on=date(2026, 1, 9), price=D(5)))
        session.commit()
    assert heal_noted(world.engine, newer).failures == []
    assert rows_of(world) == {(1, date(2026, 1, 1)): (D(10), 1)}
    with owner(owner_database_url).begin() as connection:
        triggers.sync(connection, world.registry)
    assert world.drift() == []


def test_how_somebody_writes_days_does_not_change_which_row_is_meant(world: World) -> None:
    with world.sessions() as session:
        session.execute(text("SET LOCAL datestyle = 'SQL, MDY'"))
        session.add(Sale(seller_id=1, closed_on=date(2026, 2, 9), price=D(5)))
        session.flush()
        session.execute(text("SET LOCAL datestyle = 'SQL, DMY'"))
        session.commit()
    assert rows_of(world) == {(1, date(2026, 2, 1)): (D(10), 1)}
    assert world.drift() == []


def test_what_was_written_while_nothing_watched_is_computed_by_the_next_renewal(
    world: World, owner_database_url: str
) -> None:
    assert {bundle.name for bundle, _ in renew(owner(owner_database_url), world.registry)} == {
        "i_sellers",
        "i_tallies.sums",
    }
    assert list(renew(owner(owner_database_url), world.registry)) == []
    world.outside.execute("DROP FUNCTION backoffice_note_i_sales_insert CASCADE")
    world.outside.execute(
        "INSERT INTO i_sales (seller_id, closed_on, price) VALUES (1, '2026-01-09', 5)"
    )
    with owner(owner_database_url).begin() as connection:
        assert triggers.sync(connection, world.registry) == ["backoffice_note_i_sales_insert"]
    done = {
        bundle.name: result for bundle, result in renew(owner(owner_database_url), world.registry)
    }
    assert rows_of(world) == {(1, date(2026, 1, 1)): (D(10), 1)}
    assert done["i_tallies.sums"].failures == []
    assert world.drift() == []


def changed(**changes: Any) -> Callable[..., Select[Any]]:
    """`by_month` with other columns."""

    def definition(sale: Any = Sale) -> Select[Any]:
        rows = by_month(sale)
        kept = [c for c in rows.selected_columns if c.key not in changes]
        made = [make(sale).label(name) for name, make in changes.items()]
        return rows.with_only_columns(*kept, *made)

    return definition


def limited(sale: Any = Sale) -> Select[Any]:
    """Only the first rows."""
    return by_month(sale).limit(3)


def large_only(sale: Any = Sale) -> Select[Any]:
    """Only the large months."""
    return by_month(sale).having(func.sum(sale.c.amount) > 3)


def joined(sale: Any = Sale, seller: Any = Seller) -> Select[Any]:
    """With the sellers."""
    return by_month(sale).join(seller, seller.c.id == sale.c.seller_id)


REFUSED: dict[str, tuple[Callable[..., Select[Any]], str]] = {
    "a maximum": (changed(amount=lambda s: func.max(s.c.amount)), "no sum or count"),
    "a sum that may be NULL": (changed(amount=lambda s: func.sum(s.c.fee)), "no sum or count"),
    "a filtered sum that may be NULL": (
        changed(amount=lambda s: func.sum(s.c.amount).filter(s.c.is_gift)),
        "no sum or count",
    ),
    "a share": (changed(amount=lambda s: func.sum(s.c.amount) / 2), "no sum or count"),
    "a sum with more decimals": (
        changed(amount=lambda s: func.sum(s.c.amount * D("0.125"))),
        "no sum or count",
    ),
    "no count": (changed(sales=lambda s: func.sum(s.c.id)), "is count()"),
    "a count of some": (
        changed(sales=lambda s: func.count().filter(s.c.is_gift)),
        "is count()",
    ),
    "a count of different values": (
        changed(gifts=lambda s: func.count(s.c.fee.distinct())),
        "no sum or count",
    ),
    "a sum of some cases": (
        changed(amount=lambda s: func.sum(case((s.c.is_gift, s.c.price)))),
        "no sum or count",
    ),
    "a fallback that is none": (
        changed(amount=lambda s: func.coalesce(func.sum(s.c.fee))),
        "no sum or count",
    ),
    "a limit": (limited, "HAVING, DISTINCT or LIMIT"),
    "a condition on sums": (large_only, "HAVING, DISTINCT or LIMIT"),
    "two tables": (joined, "one SELECT from one table"),
}


@pytest.mark.parametrize(("definition", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_added_up_is_refused(
    definition: Callable[..., Select[Any]], sentence: str
) -> None:
    with pytest.raises(DeclarationError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        declared(definition).seal()


def test_a_column_that_may_be_null_is_refused_for_nothing_can_be_added_to_it() -> None:
    definition = changed(maybe=lambda s: func.sum(s.c.price))
    with pytest.raises(DeclarationError, match="NOT NULL"):
        declared(definition, columns=(Tally.maybe, Tally.sales)).seal()


@pytest.mark.parametrize(
    "summand",
    [
        lambda s: func.coalesce(s.c.fee, s.c.price),
        lambda s: case((s.c.is_gift, s.c.price), else_=0),
        lambda s: -(s.c.price + s.c.amount) * 2,
        lambda s: rounded(s.c.price * 3),
    ],
)
def test_whatever_has_a_value_in_every_row_can_be_summed(summand: Callable[[Any], Any]) -> None:
    declared(changed(amount=lambda s: func.sum(summand(s)))).seal()
