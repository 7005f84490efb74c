"""What files of meters, invoices and payments have in common."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SelectBase,
    Text,
    cast,
    func,
    null,
    select,
    tuple_,
)

from ...base import N_
from ...base.upserts import upsert
from ...billing.models import Meter
from ...billing.rules import NUMBER_LENGTH, is_number
from ...customers.models import Customer
from ..files import cells
from ..files.stage import Stage
from ..report import Problem
from .base import Changes

number = cells.number(NUMBER_LENGTH, is_number)
"""The number of a meter or an invoice, or a payment's reference."""


def said(stage: Stage, name: str) -> ColumnElement[Any]:
    """What the lines say in an optional column; NULL where the files lack it."""
    return stage.c[name] if stage.has(name) else cast(null(), Text)


def unknown_customers(stage: Stage) -> Iterator[Problem]:
    """Lines whose customer is not there."""
    yield from stage.problems(
        stage.unknown("customer_code", Customer.code.expression),
        "customer_code",
        N_("There is no customer %(value)s. Import the customers first."),
    )


def unknown_meters(stage: Stage) -> Iterator[Problem]:
    """Lines whose meter is not there; an empty cell names none."""
    yield from stage.problems(
        stage.unknown("meter_number", Meter.number.expression),
        "meter_number",
        N_("There is no meter %(value)s. Import the meters first."),
    )


def changes_of_void(stage: Stage, wanted: Any, is_other: ColumnElement[bool]) -> Iterator[Problem]:
    """Lines of `wanted` that would change a void document; one that repeats it is no harm."""
    yield from stage.problems(
        at(wanted).where(wanted.c.is_void, is_other),
        "",
        N_("This document is void, and a file cannot change it. Leave this line out."),
    )


def write(stage: Stage, model: Any, rows: Select[Any], *key: str) -> Changes:
    """Make the documents as `rows` of what is wanted say, by `key`.

    What a user has made or changed since the lines were compared stays as it is; see `overtaken`.
    """
    wanted = stage.wanted
    compared = select(wanted.c.stored_id, wanted.c.stored_version)
    is_same = tuple_(model.id, model.version).in_(compared)
    changed = {"version": model.version + 1, "updated_at": func.now()}
    ordered = rows.order_by(wanted.c.stored_id, wanted.c.n)
    written = upsert(stage.session, model, ordered, *key, on_change=changed, only=is_same)
    return Changes(*written)


def overtaken(stage: Stage, others: Select[Any]) -> Iterator[Problem]:
    """The lines `others`, which are not in the book though they were written: a user was faster."""
    yield from stage.problems(
        others,
        "",
        N_("Another user has saved this in the meantime. Import the file again."),
    )


def at(lines: Any, *values: ColumnElement[Any]) -> Select[Any]:
    """As `Stage.at`, of lines that know more."""
    return select(lines.c.file, lines.c.line, *values).order_by(lines.c.n)


def lock(stage: Stage, ids: SelectBase, model: Any) -> None:
    """Lock these rows in id order, as everybody does, so that nobody changes them in between."""
    known = select(model.id).where(model.id.in_(ids)).order_by(model.id)
    locked = known.with_for_update(key_share=True).cte("locked")
    stage.session.execute(select(func.count()).select_from(locked))
