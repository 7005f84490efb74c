"""The rows behind one line of a step's report."""

from dataclasses import dataclass, replace

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from ...base import N_
from ...lists import Column, List
from ...runs.items import items_of
from ...runs.models import Run, RunItem
from ...web import record_links as subjects

_ALWAYS = ("owner_name", "concerns", "error", "at")
_AMOUNTS = ("amount_before", "amount_after", "amount")


@dataclass(frozen=True)
class ItemSummary:
    """Which details the items of one name have: amounts, other values, `about`, and how many reasons."""

    amounts: bool
    values: bool
    about: bool
    whys: int


def summary_of(session: Session, run_id: int, name: str) -> ItemSummary:
    """Summarise the items of that name in a run."""
    about = RunItem.details["about"].astext
    said = select(
        func.coalesce(func.bool_or(RunItem.amount.is_not(None)), False),
        func.coalesce(func.bool_or(RunItem.after != literal({}, JSONB)), False),
        func.coalesce(func.bool_or(about.is_not(None)), False),
        func.count(RunItem.error.distinct()),
    ).where(RunItem.run_id == run_id, RunItem.subject == name)
    return ItemSummary(*session.execute(said).one())


def item_list(run: Run, name: str, reported: ItemSummary) -> List:
    """The items of that name in a run, as a variant of the run's own list; columns without differences are left out."""
    items = items_of(run.id)
    kept = {*_ALWAYS, "gross"} | set(_AMOUNTS if reported.amounts else ())
    kept |= {"by_column"} if reported.values else set()
    columns = [_shown_column(column, reported) for column in items.columns if column.name in kept]
    about = RunItem.details["about"].astext
    columns.insert(1, Column("about", N_("Details"), about, is_shown=reported.about))
    is_mine = (RunItem.run_id == run.id, RunItem.subject == name)
    return replace(
        items,
        name=f"migration-{run.id}-{name}",
        title=subjects.title_of(name),
        path="billing.migration_items",
        export="billing.export_migration_items",
        rows=lambda _user: select().select_from(RunItem).where(*is_mine),
        columns=tuple(columns),
        also={**items.also, "owner": RunItem.owner, "subject": RunItem.subject},
        filters=(),
        nothing_yet=(
            (N_("Nothing found"), N_("Every row passes this check."))
            if run.is_completed
            else (N_("No result"), N_("The run did not finish."))
        ),
    )


def _shown_column(column: Column, reported: ItemSummary) -> Column:
    """Show a column only where its values differ: a reason that all items share is shown above the list."""
    shown = {
        "error": reported.whys > 1,
        "concerns": not reported.amounts,
        "gross": reported.amounts,
    }
    return replace(column, is_shown=shown.get(column.name, column.is_shown))
