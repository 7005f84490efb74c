"""`import customers`: created and updated by code."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import aliased

from ...base import N_
from ...customers.actions import upsert_customers
from ...customers.fields import CODE, FIELDS
from ...customers.models import Customer
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, creates, reads
from .field_columns import columns_of

COLUMNS = columns_of(FIELDS)


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
    """Lines that would change a merged customer; lines that repeat what is stored are fine."""
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


KIND = ImportKind(
    "customers", COLUMNS, _check, _apply, creates=creates("code", CODE),
    reads=(reads("code", Customer.code, is_locked_here=True),),
)  # fmt: skip
