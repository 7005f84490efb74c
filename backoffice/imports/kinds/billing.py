"""Checks and writes that the imports of meters, invoices and payments share."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SelectBase,
    Text,
    and_,
    case,
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


def optional_column(stage: Stage, name: str) -> ColumnElement[Any]:
    """An optional column of the lines; NULL if the files lack it."""
    return stage.c[name] if stage.has(name) else cast(null(), Text)


def unknown_customers(stage: Stage) -> Iterator[Problem]:
    """Problems of lines with an unknown customer."""
    yield from stage.problems(
        stage.unknown("customer_code", Customer.code.expression),
        "customer_code",
        N_("There is no customer %(value)s. Import the customers first."),
    )


def unknown_meters(stage: Stage) -> Iterator[Problem]:
    """Problems of lines with an unknown meter; an empty cell names none."""
    yield from stage.problems(
        stage.unknown("meter_number", Meter.number.expression),
        "meter_number",
        N_("There is no meter %(value)s. Import the meters first."),
    )


def changes_of_void(stage: Stage, wanted: Any, is_other: ColumnElement[bool]) -> Iterator[Problem]:
    """Problems of lines of `wanted` that would change a void document; lines that repeat it are fine."""
    yield from stage.problems(
        at(wanted).where(wanted.c.is_void, is_other),
        "",
        N_("This document is void, and a file cannot change it. Leave this line out."),
    )


def said_amount(amount: ColumnElement[Any], is_void: ColumnElement[bool]) -> ColumnElement[Any]:
    """The amount of a line; NULL, as if it was empty, for the 0 that exports have of a void document."""
    return case((and_(is_void, amount == 0), None), else_=amount)


def nothing(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of lines of `wanted` with an amount of 0."""
    yield from stage.problems(
        at(wanted).where(wanted.c.amount == 0, ~wanted.c.is_void), "amount", cells.NOTHING
    )


def write(stage: Stage, model: Any, rows: Select[Any], *key: str) -> Changes:
    """Create or update the documents from `rows` of `wanted`, by `key`.

    Documents that a user has created or changed since the comparison are left alone; see `changed_concurrently`.
    """
    wanted = stage.wanted
    compared = select(wanted.c.stored_id, wanted.c.stored_version)
    is_same = tuple_(model.id, model.version).in_(compared)
    changed = {"version": model.version + 1, "updated_at": func.now()}
    ordered = rows.order_by(wanted.c.stored_id, wanted.c.n)
    written = upsert(stage.session, model, ordered, *key, on_change=changed, only=is_same)
    return Changes(*written)


def changed_concurrently(stage: Stage, others: Select[Any]) -> Iterator[Problem]:
    """Problems of the lines `others`, which were not written because a user changed the record meanwhile."""
    yield from stage.problems(
        others,
        "",
        N_("Another user has saved this in the meantime. Import the file again."),
    )


def at(lines: Any, *values: ColumnElement[Any]) -> Select[Any]:
    """As `Stage.at`, for a table with further columns."""
    return select(lines.c.file, lines.c.line, *values).order_by(lines.c.n)


def lock(stage: Stage, ids: SelectBase, model: Any) -> None:
    """Lock these rows in id order, as all writers do, against changes until the transaction ends."""
    known = select(model.id).where(model.id.in_(ids)).order_by(model.id)
    locked = known.with_for_update(key_share=True).cte("locked")
    stage.session.execute(select(func.count()).select_from(locked))
