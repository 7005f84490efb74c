"""`import customers`: created and updated by code."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, Text, or_, select
from sqlalchemy.orm import aliased

from ...base import N_
from ...customers.actions import upsert_customers
from ...customers.models import Customer
from ...customers.rules import CODE_LENGTH, is_code
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, Kind


def code(cell: str) -> str:
    """A customer's code: it is part of the address of the customer's page."""
    if not is_code(cells.text(CODE_LENGTH)(cell)):
        raise cells.CellError(
            N_("This cannot be part of a web address. Write a code like ALFKI, C-001 or PT/001.")
        )
    return cell


def _optional(name: str) -> ImportColumn:
    return ImportColumn(name, cells.text(200), Text(), required=False, may_be_empty=True, empty="")


COLUMNS = (
    ImportColumn("code", code, Text()),
    ImportColumn("name", cells.text(200), Text()),
    *map(_optional, ("contact_name", "phone", "city", "country")),
)


def _check(stage: Stage) -> Iterator[Problem]:
    yield from stage.problems(
        stage.repeated("code"), "code", N_("This code stands in line %(first)s already.")
    )
    yield from stage.problems(
        _changes_of_merged(stage),
        "code",
        N_(
            "Customer %(value)s was merged into %(survivor)s. Change that one, or leave this line out."
        ),
    )


def _changes_of_merged(stage: Stage) -> Select[Any]:
    """Lines that would change a duplicate that was merged; one that repeats what it was is no harm."""
    survivor = aliased(Customer)
    given = (c.name for c in COLUMNS if c.name != "code" and stage.has(c.name))
    return (
        stage.at(Customer.code.label("value"), survivor.code.label("survivor"))
        .join(Customer, Customer.code == stage.c.code)
        .join(survivor, survivor.id == Customer.merged_into_id)
        .where(or_(*(stage.c[name] != getattr(Customer, name) for name in given)))
    )


def _apply(stage: Stage) -> Changes:
    given = [stage.c[column.name] for column in COLUMNS if stage.has(column.name)]
    return Changes(*upsert_customers(stage.session, select(*given).order_by(stage.c.code)))


KIND = Kind("customers", COLUMNS, _check, _apply)
