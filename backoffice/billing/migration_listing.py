"""The rows behind one line of a step's report."""

from dataclasses import dataclass, replace

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from .. import subjects
from ..base import N_
from ..lists import Column, List
from ..runs.items import items_of
from ..runs.models import RunItem

_ALWAYS = ("owner_name", "amount", "error", "at")
_VALUES = ("before", "after", "stored", "expected")


@dataclass(frozen=True)
class Told:
    """What the items of one name say beside their amount."""

    values: bool
    about: bool
    whys: int


def told_by(session: Session, run_id: int, name: str) -> Told:
    """Whether they say what was before and after, and beside what; and how many reasons there are."""
    about = RunItem.details["about"].astext
    said = select(
        func.coalesce(func.bool_or(RunItem.after != literal({}, JSONB)), False),
        func.coalesce(func.bool_or(about.is_not(None)), False),
        func.count(RunItem.error.distinct()),
    ).where(RunItem.run_id == run_id, RunItem.subject == name)
    return Told(*session.execute(said).one())


def found(run_id: int, name: str, told: Told) -> List:
    """The items of that name in a run, as the run's own list draws them; what all say alike is not repeated."""
    items = items_of(run_id)
    kept = {*_ALWAYS, *(_VALUES if told.values else ()), "size"}
    columns = [_called(column, told) for column in items.columns if column.name in kept]
    about = RunItem.details["about"].astext
    columns.insert(1, Column("about", N_("Beside it"), about, is_shown=told.about))
    is_mine = (RunItem.run_id == run_id, RunItem.subject == name)
    return replace(
        items,
        name=f"migration-{run_id}-{name}",
        title=subjects.title_of(name),
        path="billing.migration_items",
        export="billing.export_migration_items",
        rows=lambda _user: select().select_from(RunItem).where(*is_mine),
        columns=tuple(columns),
        also={**items.also, "owner": RunItem.owner, "subject": RunItem.subject},
        filters=(),
        nothing_yet=(N_("Nothing found"), N_("Every row stands this check.")),
    )


def _called(column: Column, told: Told) -> Column:
    """What is left has an amount, and no difference; one reason stands above the list."""
    if column.name == "error":
        return replace(column, is_shown=told.whys > 1)
    return replace(column, label=N_("Amount")) if column.name == "amount" else column
