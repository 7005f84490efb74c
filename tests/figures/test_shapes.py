"""Gas, wallets and a ledger: whatever is changed by whomever, every stored row is what Python says."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy.exc import IntegrityError

from backoffice.figures import Figure, Finding, Preview
from backoffice.figures.explanation import explain
from backoffice.figures.healing import heal
from backoffice.figures.outside import heal_noted
from backoffice.figures.previews import preview
from backoffice.figures.proving import disproofs
from tests.depth import examples

from .gas import GAS
from .ledger import LEDGER
from .shapes import Shape, Told, Transaction, laid_over, outside_sessions, transactions, written
from .wallets import WALLETS
from .worlds import Building, World

pytestmark = pytest.mark.slow

SHAPES = (GAS, WALLETS, LEDGER)
shaped = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
searched = settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def world(building: Building, shape: Shape) -> Iterator[World]:
    """The shape's own."""
    with building(shape.base, shape.registry) as made:
        yield made


def commit(world: World, transaction: Transaction) -> None:
    """As the app or another program does; what a foreign key refuses leaves everything as it was."""
    sessions = outside_sessions(world) if transaction.is_outside else world.sessions
    with sessions() as session:
        try:
            written(session, transaction)
            session.commit()
        except (IntegrityError, psycopg.IntegrityError):
            session.rollback()
    if transaction.is_outside:
        heal_noted(world.engine, world.registry)


def unlike(stored: Told, expected: Told) -> set[tuple[str, tuple[Any, ...]]]:
    """Figure and key of every row that is not as it should be."""
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
        assert [*disproofs(connection, world.registry, sample=None, seconds=60)] == []


@shaped
@searched
@given(data=st.data())
def test_a_preview_says_what_python_says(world: World, shape: Shape, data: st.DataObject) -> None:
    shape.begin(world, with_book=True)
    seen = laid_over(shape.facts(world), data.draw(transactions(shape)))
    names = [figure.name for figure in shape.registry.figures]
    asked = [shape.registry.get(n) for n in data.draw(st.sets(st.sampled_from(names), min_size=1))]
    rows = {model: seen[model] for model in shape.models if model not in shape.derived}
    with world.sessions() as session:
        shown = preview(session.connection(), shape.registry, asked, rows, [1, 2, 3])
    expected = shape.oracle(seen)
    for figure in asked:
        told = as_told(shape, figure, shown)
        if shape.registry.deriving(figure.table) not in (None, figure):
            told = {
                key: told[key] for key in expected[figure.name]
            }  # of a row that goes, its own figure says so
        assert told == expected[figure.name], figure.name


def as_told(shape: Shape, figure: Figure, shown: Preview) -> dict[Any, Any]:
    """The figure's rows of a preview as the oracle tells them."""
    model = next(m for m in shape.models if m.__table__ is figure.table)
    columns = [column.key for column in figure.columns]
    return {
        key if isinstance(key, tuple) else (key,): tuple(row[name] for name in columns)
        for key, row in shown.rows(model).items()
        if row.keys() >= set(columns)
    }


# Tampering


def found(world: World) -> dict[tuple[str, tuple[Any, ...]], Finding]:
    """What verification finds, by figure and key."""
    return {(f.row.figure, tuple(f.key.values())): f for f in world.drift()}


def roots(findings: dict[tuple[str, tuple[Any, ...]], Finding]) -> set[tuple[str, tuple[Any, ...]]]:
    """What the findings name as their cause."""
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
    for figure in shape.registry.figures:
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
    """The condition that a row has this key."""
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
                told = explain(session.connection(), shape.registry, figure, row[0])
                assert told is not None
                assert told.is_right
                assert [c.column for c in told.columns] == [c.key for c in figure.columns]
