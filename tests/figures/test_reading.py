"""Preview, explanation and reconciliation: other readings of the same declaration."""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from backoffice.base import money
from backoffice.figures.declaring.expressions import leaves
from backoffice.figures.models import FigureNote
from backoffice.figures.showing.explanation import explain
from backoffice.figures.showing.previews import preview
from backoffice.figures.verifying.healing import heal
from backoffice.reconciliation.report import Report, Totals, new_totals

from .models import Box, Item, Movement, Price, Shelf, Usage, registry

D = Decimal


def test_a_preview_over_unsaved_rows_equals_what_saving_them_gives(db: Session) -> None:
    figures = [registry.get("t_items.amount"), registry.get("t_boxes.totals")]
    given = preview(
        db.connection(),
        registry,
        figures,
        {
            Box: [{"id": -1}],
            Item: [
                {
                    "id": -1,
                    "box_id": -1,
                    "colour": "red",
                    "quantity": D("1.5"),
                    "price": D("3.33"),
                },
                {
                    "id": -2,
                    "box_id": -1,
                    "colour": "blue",
                    "quantity": D(2),
                    "price": D(10),
                },
            ],
        },
    )
    assert given.row(Box, -1) == {"total": D("25.00"), "red": D("5.00")}
    assert given.rows(Item) == {-1: {"amount": D("5.00")}, -2: {"amount": D("20.00")}}
    box = Box()
    db.add(box)
    db.flush()
    db.add_all(
        [
            Item(box_id=box.id, quantity=D("1.5"), price=D("3.33")),
            Item(box_id=box.id, quantity=D(2), price=D(10), colour="blue"),
        ]
    )
    db.commit()
    assert (box.total, box.red) == (D(25), D(5))


def test_a_preview_replaces_what_is_stored_and_writes_nothing(db: Session, shelf: Shelf) -> None:
    totals = registry.get("t_boxes.totals")
    given = preview(
        db.connection(),
        registry,
        [totals],
        {
            Box: [{"id": 1, "shelf_id": 1}],
            Item: [{"id": 1, "box_id": 1, "colour": "red", "quantity": D(9), "price": D(1)}],
        },
    )
    assert given.row(Box, 1)["total"] == D(9)
    assert db.scalar(select(Box.total).where(Box.id == 1)) == D(25)
    assert db.scalar(select(func.count()).select_from(FigureNote)) == 0


def test_a_preview_reads_tables_that_are_not_given_as_they_are_stored(
    db: Session, shelf: Shelf
) -> None:
    totals = registry.get("t_boxes.totals")
    given = preview(db.connection(), registry, [totals], {Box: [{"id": 1}]}, owners=[1])
    assert given.row(Box, 1)["total"] == D(25)


def test_a_preview_of_a_select_uses_the_unsaved_price(db: Session) -> None:
    box = Box()
    db.add(box)
    db.flush()
    db.add(Usage(box_id=box.id, on=date(2026, 2, 1), quantity=D(3)))
    db.commit()
    given = preview(
        db.connection(),
        registry,
        [registry.get("t_usages.cost")],
        {
            Price: [
                {
                    "id": -1,
                    "box_id": box.id,
                    "since": date(2026, 1, 1),
                    "price": D("2.5"),
                }
            ]
        },
        owners=[box.id],
    )
    assert given.row(Usage, 1) == {"price_used": D("2.5"), "cost": D("7.50")}


@pytest.fixture
def dong() -> Any:
    """A deployment in a currency without minor unit."""
    money.set_currency("VND")
    yield
    money.set_currency("IDR")


def test_rounding_follows_the_currencys_minor_unit(db: Session, dong: None) -> None:
    given = preview(
        db.connection(),
        registry,
        [registry.get("t_items.amount")],
        {Item: [{"id": -1, "box_id": -1, "quantity": D(1), "price": D("1.5")}]},
    )
    assert given.row(Item, -1) == {"amount": D(2)}


def test_an_explanation_names_terms_signs_values_and_the_rows_behind_them(
    db: Session, shelf: Shelf
) -> None:
    explained = explain(db.connection(), registry, registry.get("t_boxes.totals"), 1)
    assert explained is not None
    assert explained.is_right
    total, red = explained.columns
    assert (total.label, total.expected) == ("Total", D(25))
    assert [(t.sign, t.value, t.row_count) for t in total.terms] == [("", D(25), 2)]
    assert [(r.table, r.id, r.amount, r.figure) for r in red.terms[0].rows] == [
        ("t_items", 1, D(20), "t_items.amount"),
        ("t_items", 2, D(5), "t_items.amount"),
    ]
    item = explain(db.connection(), registry, registry.get("t_items.amount"), 1)
    assert item is not None
    assert [(t.sign, t.label, t.value) for t in item.columns[0].terms] == [
        ("", "Quantity", D(2)),
        ("×", "Price", D(10)),
    ]
    assert explain(db.connection(), registry, registry.get("t_items.amount"), 999) is None


def test_an_explanation_shows_expected_beside_stored_and_the_corrections(
    db: Session,
    shelf: Shelf,
    surgery: psycopg.Connection[Any],
    figure_engine: Engine,
) -> None:
    surgery.execute("UPDATE t_boxes SET total = 1 WHERE id = 1")
    figure = registry.get("t_boxes.totals")
    wrong = explain(db.connection(), registry, figure, 1)
    assert wrong is not None
    assert not wrong.is_right
    assert (wrong.columns[0].stored, wrong.columns[0].expected) == (D(1), D(25))
    db.rollback()
    heal(figure_engine, registry)
    healed = explain(db.connection(), registry, figure, 1)
    assert healed is not None
    assert healed.is_right
    assert [c.after["total"] for c in healed.corrections] == ["25.00"]


def test_a_select_explains_itself_by_its_labelled_columns(db: Session) -> None:
    box = Box()
    db.add(box)
    db.flush()
    db.add(Movement(box_id=box.id, on=date(2026, 1, 1), amount=D(3)))
    db.commit()
    explained = explain(db.connection(), registry, registry.get("t_months.sums"), 1)
    assert explained is not None
    [beside] = [t for t in explained.columns[0].terms if t.is_beside]
    assert (beside.label, beside.value) == ("Largest", D(3))


def test_a_minus_before_a_bracket_turns_the_signs_within() -> None:
    formula = Box.total - (Box.red - Box.weight) + Box.id
    signs = [(sign, leaf.key) for sign, leaf in leaves(formula.__clause_element__())]
    assert signs == [("", "total"), ("−", "red"), ("+", "weight"), ("+", "id")]


def reconciled(engine: Engine, name: str, **scope: Any) -> tuple[dict[str, Totals], list[Any]]:
    """The control totals of a figure and its lines, as in the figure's report."""
    figure, lines = registry.get(name), []
    totals = new_totals(figure)
    with engine.connect() as connection:
        report = Report(connection, registry, figure, **scope)
        for page in report.pages():
            for column, sums in report.totals(page).items():
                totals[column].add(sums)
            lines += connection.execute(select(report.lines).order_by("owner", "k0"), page)
    return totals, lines


def test_a_reconciliation_ties_out_and_shows_the_difference(
    db: Session, shelf: Shelf, surgery: psycopg.Connection[Any], figure_engine: Engine
) -> None:
    surgery.execute("UPDATE t_items SET amount = amount + 1 WHERE id = 2")
    totals, lines = reconciled(figure_engine, "t_items.amount")
    assert [(line.key, line.stored, line.expected, line.is_right) for line in lines] == [
        ({"id": 1}, D(20), D(20), True),
        ({"id": 2}, D(6), D(5), False),
        ({"id": 3}, D(3), D(3), True),
    ]
    total = totals["amount"]
    assert (total.rows, total.drifted, total.stored, total.expected) == (
        3,
        1,
        D(29),
        D(28),
    )
    assert total.difference == D(-1)
    heal(figure_engine, registry)
