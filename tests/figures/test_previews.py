"""A preview equals what a save would store, for any figures asked for and any path from the unsaved rows."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.figures.showing.previews import preview

from .models import (
    Box,
    Item,
    Shelf,
    Slot,
    Thing,
    box_totals,
    box_weight,
    item_amount,
    registry,
    shelf_total,
)

D = Decimal


def items_of(session: Session, box: Box) -> list[dict[str, Any]]:
    """The facts of the box's items."""
    found = session.scalars(select(Item).where(Item.box_id == box.id))
    names = ("id", "box_id", "colour", "quantity", "price")
    return [{name: getattr(item, name) for name in names} for item in found]


@pytest.mark.parametrize(
    "asked", [[shelf_total], [shelf_total, box_totals], [shelf_total, box_totals, item_amount]]
)
def test_figures_between_are_computed_though_nobody_asked_for_them(
    db: Session, shelf: Shelf, asked: list[Any]
) -> None:
    boxes = db.scalars(select(Box).order_by(Box.id)).all()
    rows = [row for box in boxes for row in items_of(db, box)]
    new = {"id": -1, "box_id": boxes[1].id, "colour": "red", "quantity": D(2), "price": D(50)}
    seen = preview(db.connection(), registry, asked, {Item: [*rows, new]}, [shelf.id])
    assert seen.row(Shelf, shelf.id) == {"total": shelf.total + 100}
    db.add(Item(**{**new, "id": None}))
    db.commit()
    assert seen.row(Shelf, shelf.id) == {"total": shelf.total}


def test_an_unsaved_row_between_leads_to_what_it_names(db: Session, shelf: Shelf) -> None:
    box = db.scalars(select(Box).order_by(Box.id)).first()
    light, heavy = Thing(weight=D(1)), Thing(weight=D(50))
    db.add_all([light, heavy])
    db.flush()
    assert box is not None
    db.add(Slot(box_id=box.id, thing_id=light.id))
    db.commit()
    slots = [
        {"id": -1, "box_id": box.id, "thing_id": heavy.id, "active": True},
        {"id": -2, "box_id": box.id, "thing_id": light.id, "active": False},
    ]
    seen = preview(db.connection(), registry, [box_weight], {Slot: slots}, [box.id])
    assert seen.row(Box, box.id) == {"weight": D(50)}


def test_what_names_an_unsaved_row_finds_it_whatever_the_order(db: Session, shelf: Shelf) -> None:
    rows = {
        Box: [{"id": -1, "shelf_id": shelf.id}, {"shelf_id": shelf.id}],
        Item: [
            {"id": -5, "box_id": -1, "colour": "red", "quantity": D(2), "price": D(3)},
            {"box_id": -2, "colour": "red", "quantity": D(1), "price": D(5)},
        ],
    }
    seen = preview(db.connection(), registry, [item_amount, box_totals], rows)
    assert {key: row["total"] for key, row in seen.rows(Box).items()} == {-1: D(6), -2: D(5)}
    assert {key: row["amount"] for key, row in seen.rows(Item).items()} == {-5: D(6), -1: D(5)}
