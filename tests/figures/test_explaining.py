"""Explanations: the terms of every column of every figure add up to it, and the rows of each term to the term."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice import figures as product
from backoffice.figures import Figure, Registry, total
from backoffice.figures.errors import DeclarationError
from backoffice.figures.showing.explanation import ColumnExplained, Explanation, explain
from backoffice.figures.showing.terms import Term
from backoffice.figures.verifying.findings import findings
from tests.drift.whole_book import FIGURES, write_everything

from . import gas, ledger, wallets
from .models import Box, Item, Month, Movement, Price, Purse, Shelf, Slot, Thing, Transfer, Usage
from .models import registry as world_registry
from .worlds import Building

D = Decimal


def worth(terms: list[Term]) -> Any:
    """The value of the terms, evaluated from left to right."""
    reported = D(0)
    for term in terms:
        value = D(term.value or 0)
        reported = {
            "": reported + value,
            "+": reported + value,
            "−": reported - value,
            "×": reported * value,
        }[term.sign]
    return reported


def check(figure: Figure, column: ColumnExplained) -> None:
    """The rows add up to each term, and the terms to the column: rounded to its decimals, or bounded by zero."""
    terms = [term for term in column.terms if not term.is_beside]
    assert terms, f"{figure.name}.{column.column} is not explained at all"
    assert all(term.label for term in column.terms)
    for term in terms:
        assert "SELECT" not in term.label
        if term.rows and len(term.rows) == term.row_count:
            rows = sum(row.amount for row in term.rows)
            assert rows == term.value, f"{figure.name}.{column.column}, {term.label}: {rows}"
        assert all(row.id is not None and row.values for row in term.rows)
    if isinstance(column.expected, (Decimal, int)):
        held = figure.table.c[column.column].type
        reported = worth(terms).quantize(
            D(1).scaleb(-(getattr(held, "scale", 0) or 0)), ROUND_HALF_UP
        )
        assert column.expected in (reported, max(reported, D(0))), (
            f"{figure.name}.{column.column}: {reported}"
        )


def explanations(db: Session, registry: Registry, figure: Figure) -> Iterator[Explanation]:
    """The explanation of every stored row of the figure."""
    for key in db.scalars(select(figure.primary_key)).all():
        explained = explain(db.connection(), registry, figure, key)
        assert explained is not None
        yield explained


def all_add_up(db: Session, registry: Registry) -> None:
    for figure in registry.figures:
        count = 0
        for explained in explanations(db, registry, figure):
            count += 1
            for column in explained.columns:
                check(figure, column)
        assert count, f"{figure.name} has no row here"


def test_every_kind_of_figure_is_explained_by_terms_and_rows_that_add_up(db: Session) -> None:
    shelf = Shelf()
    db.add(shelf)
    db.flush()
    box = Box(shelf_id=shelf.id)
    thing = Thing(weight=D("1.5"))
    purse, other = Purse(), Purse()
    db.add_all([box, thing, purse, other])
    db.flush()
    db.add_all(
        [
            Item(box_id=box.id, quantity=D(2), price=D("1.125")),
            Item(box_id=box.id, quantity=D(1), price=D(3), colour="blue"),
            Slot(box_id=box.id, thing_id=thing.id),
            Slot(box_id=box.id, thing_id=thing.id, active=False),
            Movement(box_id=box.id, on=date(2026, 1, 1), amount=D(3)),
            Movement(box_id=box.id, on=date(2026, 1, 9), amount=D(-1)),
            Movement(box_id=box.id, on=date(2026, 2, 9), amount=D(7)),
            Price(box_id=box.id, since=date(2026, 1, 1), price=D("2.5")),
            Usage(box_id=box.id, on=date(2026, 1, 5), quantity=D(3)),
            Transfer(to_id=purse.id, amount=D(10)),
            Transfer(from_id=purse.id, to_id=other.id, amount=D(4)),
            Transfer(to_id=purse.id, amount=D(99), void=True),
        ]
    )
    db.commit()
    all_add_up(db, world_registry)


def test_a_running_balance_is_explained_by_the_rows_up_to_it(db: Session) -> None:
    box = Box()
    db.add(box)
    db.flush()
    moves = [Movement(box_id=box.id, on=date(2026, 1, day), amount=D(day)) for day in (1, 2, 3)]
    db.add_all(moves)
    db.commit()
    explained = explain(
        db.connection(), world_registry, world_registry.get("t_movements.balance"), moves[1].id
    )
    assert explained is not None
    [term] = explained.columns[0].terms
    assert {(row.table, row.id) for row in term.rows} == {("t_movements", m.id) for m in moves[:2]}


def test_a_derived_row_is_explained_by_the_rows_of_its_group_and_by_its_labelled_columns(
    db: Session,
) -> None:
    box = Box()
    db.add(box)
    db.flush()
    db.add_all(
        Movement(box_id=box.id, on=date(2026, month, 1), amount=D(month)) for month in (1, 1, 2)
    )
    db.commit()
    january = db.scalar(select(Month.id).where(Month.month == "2026-01"))
    explained = explain(
        db.connection(), world_registry, world_registry.get("t_months.sums"), january or 0
    )
    assert explained is not None
    added, moves = explained.columns
    assert [(t.label, t.value, t.row_count, t.is_beside) for t in added.terms] == [
        ("Added", D(2), 2, False), ("Largest", D(1), 0, True),
    ]  # fmt: skip
    assert [row.amount for row in moves.terms[0].rows] == [1, 1]


@pytest.mark.leaves_drift
@pytest.mark.parametrize("target", [None, 5])
def test_a_row_that_should_not_be_there_is_not_right_whatever_it_holds(
    db: Session, surgery: Any, target: int | None
) -> None:
    """A month without movements is kept only for what was entered in it."""
    box = Box()
    db.add(box)
    db.commit()
    [(month,)] = surgery.execute(
        "INSERT INTO t_months (box_id, month, target) VALUES (%s, '2026-05', %s) RETURNING id",
        [box.id, target],
    )
    sums = world_registry.get("t_months.sums")
    explained = explain(db.connection(), world_registry, sums, month)
    assert explained is not None
    found = findings(db.connection(), world_registry, world_registry.bundle_of(sums), [box.id])
    assert explained.is_right is (not found) is (target is not None)


def test_a_longer_list_says_how_many_there_are_and_its_value_is_that_of_all(
    db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backoffice.figures.showing import terms

    monkeypatch.setattr(terms, "ROWS", 2)
    box = Box()
    db.add(box)
    db.flush()
    db.add_all(Item(box_id=box.id, quantity=D(1), price=D(n)) for n in range(1, 6))
    db.commit()
    explained = explain(
        db.connection(), world_registry, world_registry.get("t_boxes.totals"), box.id
    )
    assert explained is not None
    [term] = explained.of("total").terms
    assert (term.value, len(term.rows), term.row_count) == (D(15), 2, 5)


@pytest.mark.parametrize(
    "shape", [gas.GAS, wallets.WALLETS, ledger.LEDGER], ids=lambda shape: shape.name
)
def test_the_figures_of_a_shape_are_explained_by_terms_and_rows_that_add_up(
    shape: Any, building: Building
) -> None:
    with building(shape.base, shape.registry) as world:
        shape.begin(world, with_book=True)
        with world.sessions() as db:
            all_add_up(db, shape.registry)


def test_every_figure_of_the_product_is_explained_by_terms_and_rows_that_add_up(
    session: Any,
) -> None:
    write_everything()
    for figure in FIGURES:
        found = list(explanations(session, product.registry, figure))
        assert found, figure
        for explained in found:
            for column in explained.columns:
                check(figure, column)
                if (
                    any(not t.figure and not t.entered for t in column.terms)
                    and not column.terms[0].rows
                ):
                    assert all(t.column for t in column.terms), (figure, column)


def a_world(behind: Any, **options: Any) -> Registry:
    """The running balance of the world's movements, in a registry of its own, with a `behind`."""
    own = Registry("behind")

    @own.figure(
        Movement.balance, owner=Movement.box_id, title="Balance", behind=behind(), **options
    )
    def balance(movement: Any = Movement) -> Any:
        return select(movement.c.id, movement.c.box_id, movement.c.amount.label("balance"))

    return own


@pytest.mark.parametrize(
    ("behind", "sentence"),
    [
        (lambda: {Movement.amount: Movement.balance}, "tells of the columns of a SELECT"),
        (lambda: {Movement.balance: Box.total}, "reads columns of its own row"),
        (lambda: {Movement.balance: total(Item.amount, by=Item.box_id)}, "not derived from its"),
        (
            lambda: {Movement.balance: total(Movement.amount, by=Movement.id)},
            "not derived from its",
        ),
    ],
)
def test_what_stands_behind_is_what_the_figure_is_derived_from(behind: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        a_world(behind).seal()
