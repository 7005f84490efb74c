"""Codes of a file that name a renamed record: read as its present code."""

from sqlalchemy import Select, func, select, update

from ..base.spelling import look_of
from ..billing.models import Meter
from ..customers.models import Customer
from ..ledger.models import Account
from ..products.models import Product
from ..records.former_names import former_names
from .files.stage import Stage
from .kinds import ImportKind, Reads

RENAMED = (Customer.code, Product.code, Account.code, Meter.number)
"""The codes that are followed. A document's number is not: once it is given up, it is free for the next document."""


def follow_renames(stage: Stage, kind: ImportKind) -> None:
    """Replace the former codes in the lines; a code that a record has now is never one."""
    for each in kind.reads:
        if any(each.name is name for name in RENAMED) and stage.has(each.by[0]):
            _follow(stage, each)


def _follow(stage: Stage, each: Reads) -> None:
    assert each.name is not None, "a column by which rows are called"
    said, called = stage.c[each.by[0]], each.name
    is_called = select(called).where(called == said).exists()
    former = former_names(called).subquery("former_names")
    # A code from before texts were stored composed: the cells are composed now.
    composed: Select[str] = select(func.min(called)).where(
        look_of(called) == look_of(said), func.normalize(called) == said
    )
    present = select(former.c.present).where(former.c.former == said).scalar_subquery()
    stage.session.execute(
        update(stage.lines)
        .where(said.is_not(None), ~is_called)
        .values({said: func.coalesce(composed.scalar_subquery(), present, said)})
        .execution_options(synchronize_session=False)
    )
