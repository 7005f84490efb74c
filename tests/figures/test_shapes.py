"""Gas, wallets and a ledger: after any change by any program, every stored row equals Python's result."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError

from backoffice.figures import Figure, Finding, Last, Preview, Registry
from backoffice.figures.showing.explanation import explain
from backoffice.figures.showing.previews import preview
from backoffice.figures.verifying.healing import heal
from backoffice.figures.verifying.outside import heal_noted
from backoffice.figures.verifying.proving import disproofs
from tests.depth import examples

from .gas import GAS, Calculation, Price, Reading, calculation, priced
from .ledger import LEDGER
from .shapes import (
    NEW,
    Rendered,
    Row,
    Shape,
    Transaction,
    laid_over,
    outside_sessions,
    transactions,
    written,
)
from .wallets import WALLETS, Movement, charge
from .worlds import Building, World

pytestmark = pytest.mark.slow

D = Decimal
SHAPES = (GAS, WALLETS, LEDGER)
shaped = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
searched = settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def world(building: Building, shape: Shape) -> Iterator[World]:
    """The shape's own world."""
    with building(shape.base, shape.registry) as made:
        yield made


def commit(world: World, transaction: Transaction) -> None:
    """Commit as the app or another program does; a foreign key violation leaves everything unchanged."""
    sessions = outside_sessions(world) if transaction.is_outside else world.sessions
    with sessions() as session:
        try:
            written(session, transaction)
            session.commit()
        except (IntegrityError, psycopg.IntegrityError):
            session.rollback()
    if transaction.is_outside:
        heal_noted(world.engine, world.registry)


def unlike(stored: Rendered, expected: Rendered) -> set[tuple[str, tuple[Any, ...]]]:
    """Figure and key of every row that differs."""
    return {
        (name, key)
        for name in stored
        for key in stored[name].keys() | expected[name].keys()
        if stored[name].get(key) != expected[name].get(key)
    }


@shaped
@searched
@given(data=st.data())
def test_every_stored_row_is_what_python_says(
    world: World, shape: Shape, data: st.DataObject
) -> None:
    shape.begin(world)
    for _ in range(data.draw(st.integers(1, 8))):
        commit(world, data.draw(transactions(shape)))
        assert shape.stored(world) == shape.expected(world)
    assert world.drift() == []
    with world.engine.connect() as connection:
        assert [*disproofs(connection, world.registry, sample=None)] == []


@shaped
@searched
@given(data=st.data())
def test_a_preview_says_what_python_says(world: World, shape: Shape, data: st.DataObject) -> None:
    shape.begin(world, with_book=True)
    seen = laid_over(shape.facts(world), data.draw(transactions(shape)))
    names = [figure.name for figure in shape.registry.figures]
    asked = [shape.registry.get(n) for n in data.draw(st.sets(st.sampled_from(names), min_size=1))]
    given = unsaved if data.draw(st.booleans(), "numbered") else without_number
    rows = {
        model: [given(row) for row in seen[model]]
        for model in shape.models
        if model not in shape.derived
    }
    with world.sessions() as session:
        shown = preview(session.connection(), shape.registry, asked, rows, [1, 2, 3])
    expected = shape.oracle(seen)
    for figure in asked:
        assert as_reported(shape, figure, shown) == expected[figure.name], figure.name


def unsaved(row: Row) -> Row:
    """A row as a form sends it: new rows have the ids −1, −2, …"""
    return {**row, "id": row["id"] if row["id"] < NEW else NEW - 1 - row["id"]}


def without_number(row: Row) -> Row:
    return row if row["id"] < NEW else {**row, "id": None}


def as_reported(shape: Shape, figure: Figure, shown: Preview) -> dict[Any, Any]:
    """The figure's rows of a preview in the oracle's form."""

    def numbered(value: Any) -> Any:
        return NEW - 1 - value if type(value) is int and value < 0 else value

    model = next(m for m in shape.models if m.__table__ is figure.table)
    columns = [column.key for column in figure.columns]
    return {
        tuple(map(numbered, key if isinstance(key, tuple) else (key,))): tuple(
            numbered(row[name]) for name in columns
        )
        for key, row in shown.rows(model).items()
        if row.keys() >= set(columns)
    }


# Tampering


def found(world: World) -> dict[tuple[str, tuple[Any, ...]], Finding]:
    """The findings of a verification, by figure and key."""
    return {(f.row.figure, tuple(f.key.values())): f for f in world.drift()}


def roots(findings: dict[tuple[str, tuple[Any, ...]], Finding]) -> set[tuple[str, tuple[Any, ...]]]:
    """The roots that the findings name."""
    return {
        (root.figure, tuple(value for _, value in root.key))
        for finding in findings.values()
        for root in finding.roots
    }


@shaped
def test_every_stored_value_that_was_tampered_with_is_found_and_named_and_healed(
    world: World, shape: Shape
) -> None:
    shape.begin(world, with_book=True)
    right = shape.stored(world)
    for figure in (f for f in shape.registry.figures if not f.generated):
        for column in figure.columns:
            for key in right[figure.name]:
                raised = sql.SQL("UPDATE {table} SET {column} = {column} + 1 WHERE {row}").format(
                    table=sql.Identifier(figure.table.name),
                    column=sql.Identifier(column.name),
                    row=row_of(figure.key, key),
                )
                world.surgery.execute(raised)
                findings = found(world)
                assert (figure.name, key) in findings
                assert roots(findings) == {(figure.name, key)}
                assert heal(world.engine, world.registry).failures == []
                assert shape.stored(world) == right


def row_of(columns: Any, values: tuple[Any, ...]) -> sql.Composed:
    """The SQL condition that a row has this key."""
    parts = (
        sql.SQL("{} = {}").format(sql.Identifier(column.name), sql.Literal(value))
        for column, value in zip(columns, values, strict=True)
    )
    return sql.SQL(" AND ").join(parts)


@shaped
def test_every_derived_row_that_was_taken_away_is_found_and_named_and_healed(
    world: World, shape: Shape
) -> None:
    shape.begin(world, with_book=True)
    for figure in (f for f in shape.registry.figures if f.derived_rows):
        for key in shape.stored(world)[figure.name]:
            taken = sql.SQL("DELETE FROM {} WHERE {}")
            table = sql.Identifier(figure.table.name)
            world.surgery.execute(taken.format(table, row_of(figure.key, key)))
            findings = {at: f for at, f in found(world).items() if not f.is_orphan}
            assert findings[figure.name, key].kind == "missing"
            assert roots(findings) == {(figure.name, key)}
            assert heal(world.engine, world.registry).failures == []
            assert unlike(shape.stored(world), shape.expected(world)) == set()


@shaped
def test_of_every_fact_that_was_changed_past_the_triggers_exactly_what_follows_is_found(
    world: World, shape: Shape
) -> None:
    shape.begin(world, with_book=True)
    for model, columns in shape.entered.items():
        amounts = [
            name for name in columns if model.__table__.c[name].type.python_type not in (bool, str)
        ]
        for row in shape.facts(world)[model]:
            for name in (name for name in amounts if row[name] is not None):
                change = f"UPDATE {model.__table__} SET {name} = {name} + 1 WHERE id = {row['id']}"
                world.surgery.execute(change)
                expected = unlike(shape.stored(world), shape.expected(world))
                findings = found(world)
                assert findings.keys() == expected
                assert roots(findings) <= expected
                assert heal(world.engine, world.registry).failures == []
                assert unlike(shape.stored(world), shape.expected(world)) == set()


@shaped
def test_every_stored_value_is_explained(world: World, shape: Shape) -> None:
    shape.begin(world, with_book=True)
    with world.sessions() as session:
        for figure in shape.registry.figures:
            for row in session.query(figure.primary_key):
                reported = explain(session.connection(), shape.registry, figure, row[0])
                assert reported is not None
                assert reported.is_right
                assert [c.column for c in reported.columns] == [c.key for c in figure.columns]


# Continuing


def test_a_charge_is_continued_from_the_last_movement_and_reads_none_before(
    building: Building,
) -> None:
    with building(WALLETS.base, WALLETS.registry) as world:
        WALLETS.begin(world, with_book=True)
        world.surgery.execute("UPDATE shape_movements SET amount = amount + 1000 WHERE id = 1")
        with world.sessions() as session:
            charge(session, 1, D(1))
            session.add(Movement(wallet_id=1, kind="refund", amount=D(1)))
            session.commit()
        shown = WALLETS.stored(world)["running"]
        assert [shown[9,], shown[10,]] == [(D(76), D(75)), (D(75), D(76))]
        assert {f.owner for f in world.drift()} == {1}
        world.surgery.execute("UPDATE shape_movements SET amount = amount - 1000 WHERE id = 1")
        assert world.drift() == []


def test_a_reading_is_priced_and_carried_on_without_what_lies_before_its_month(
    building: Building,
) -> None:
    with building(GAS.base, GAS.registry) as world:
        GAS.begin(world, with_book=True)
        right = GAS.stored(world)
        world.surgery.execute(
            "UPDATE shape_readings SET volume = 9999 WHERE read_on < '2024-02-01'"
        )
        world.surgery.execute(
            "UPDATE shape_deposits SET amount = 9999 WHERE deposited_on < '2024-02-01'"
        )
        with world.sessions() as session:
            session.add(Reading(customer_id=1, read_on=date(2024, 3, 6), volume=D(1)))
            session.commit()
        stored = GAS.stored(world)
        earlier = {key: row for key, row in right["months"].items() if key[1] < date(2024, 3, 1)}
        assert {key: stored["months"][key] for key in earlier} == earlier
        assert stored["months"][1, date(2024, 3, 1)][0] == earlier[1, date(2024, 2, 1)][-1]
        assert len(world.drift()) > len(earlier)
        GAS.begin(world)


def backwards(movements: Any = Movement, last: Any = Last(Movement)) -> Select[Any]:
    """A balance that depends on later rows: it runs from the other end."""
    m = movements.c
    after = func.sum(m.amount).over(partition_by=m.wallet_id, order_by=m.id.desc())
    return select(m.id, m.wallet_id, after.label("balance_after"))


def forgetful(movements: Any = Movement) -> Select[Any]:
    """A running balance that does not declare how it is continued."""
    m = movements.c
    after = func.sum(m.amount).over(partition_by=m.wallet_id, order_by=m.id)
    return select(m.id, m.wallet_id, after.label("balance_after"))


@pytest.mark.parametrize("definition", [backwards, forgetful])
def test_movements_that_do_not_follow_from_those_before_are_disproved(
    building: Building, definition: Any
) -> None:
    wrong = Registry("wrong wallets")
    wrong.figure(
        Movement.balance_after, owner=Movement.wallet_id, along=Movement.id, title="Wrong"
    )(definition)
    with building(WALLETS.base, WALLETS.registry) as world:
        WALLETS.begin(world, with_book=True)
        assert refuted(world, wrong) == ["shape_movements.balance_after"]
        assert refuted(world, WALLETS.registry) == []


def test_a_price_list_of_which_only_the_later_prices_are_read_is_disproved(
    building: Building,
) -> None:
    wrong = Registry("wrong gas")
    wrong.figure(
        columns=calculation.columns, row_per=calculation.key, owner=calculation.owner,
        along=Calculation.dated, since={Reading: Reading.read_on, Price: Price.effective_from},
        name="calculations", title="Wrong",
    )(priced)  # fmt: skip
    with building(GAS.base, GAS.registry) as world:
        GAS.begin(world, with_book=True)
        assert refuted(world, wrong) == ["calculations"]
        assert refuted(world, GAS.registry) == []


def refuted(world: World, registry: Registry) -> list[str]:
    """The figures with declarations that are disproved on the world's book."""
    with world.engine.connect() as connection:
        found = disproofs(connection, registry, sample=None)
        return [disproof.figure.name for disproof in found]
