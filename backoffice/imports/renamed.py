"""Former codes in a file: a reference is read as the present code, and a record of its own under one is refused.

After account 1100 was renamed 1110, an old file and a new account 1100 look the same, so a user has to decide.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update

from ..base import N_
from ..base.spelling import look_of
from ..billing.models import Meter
from ..customers.models import Customer
from ..ledger.models import Account
from ..products.models import Product
from ..records.former_names import former_names
from .files.stage import Stage
from .kinds import ImportKind, Reads
from .report import Problem

RENAMED = (Customer.code, Product.code, Account.code, Meter.number)
"""The codes with former ones. A document's number has none: once it is given up, it is free for the next document."""

_RENAMED = N_("%(former)s is now %(present)s. Use the present code.")


def follow_renames(stage: Stage, kind: ImportKind) -> None:
    """Replace the former codes by which lines refer to others; a code that a record has now is never one."""
    for each in _read_by_code(stage, kind):
        said, called = stage.c[each.by[0]], each.name
        # A code from before texts were stored composed: the cells are composed now.
        composed: Select[Any] = select(func.min(called)).where(
            look_of(called) == look_of(said), func.normalize(called) == said
        )
        present = [composed.scalar_subquery()]
        if not _is_own(kind, each):
            former = former_names(called).subquery("former_names")
            now = select(former.c.present).where(former.c.former == said)
            present.append(now.scalar_subquery())
        stage.session.execute(
            update(stage.lines)
            .where(said.is_not(None), ~_is_called(stage, each))
            .values({said: func.coalesce(*present, said)})
            .execution_options(synchronize_session=False)
        )


def former_codes(stage: Stage, kind: ImportKind) -> Iterator[Problem]:
    """A problem for each line of a record under the former code of another one."""
    for each in _read_by_code(stage, kind):
        if _is_own(kind, each):
            name = each.by[0]
            former = former_names(each.name).subquery("former_names")
            lines = stage.at(former.c.former, former.c.present).join(
                former, former.c.former == stage.c[name]
            )
            yield from stage.problems(lines.where(~_is_called(stage, each)), name, _RENAMED)


def _read_by_code(stage: Stage, kind: ImportKind) -> Iterator[Any]:
    for each in kind.reads:
        if any(each.name is name for name in RENAMED) and stage.has(each.by[0]):
            yield each


def _is_own(kind: ImportKind, each: Reads) -> bool:
    """Whether the lines are of these rows, and not only name them."""
    return kind.creates is not None and kind.creates.name == each.by[0]


def _is_called(stage: Stage, each: Any) -> ColumnElement[bool]:
    return select(each.name).where(each.name == stage.c[each.by[0]]).exists()
