"""Derived rows to which changes are added always equal an absolute recompute."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase

from backoffice.figures import Registry
from backoffice.figures.keeping import triggers
from backoffice.figures.models import FigureNote
from backoffice.figures.verifying.healing import heal, renew
from backoffice.figures.verifying.outside import heal_noted, noted
from tests.depth import examples

from .tallies import Sale, Tally, declared, owner, rows_of, two_sellers
from .worlds import World

D = Decimal
Build = Callable[[type[DeclarativeBase], Registry], World]


@pytest.fixture
def world(build: Build) -> World:
    """Two sellers without a sale."""
    return two_sellers(build)


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
    """Execute one step, in various kinds of SQL; numbers select sales by remainder."""
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
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
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


def test_how_a_user_writes_days_does_not_change_which_row_is_meant(world: World) -> None:
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
