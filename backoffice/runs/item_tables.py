"""The items of a run for a terminal and for JSON, largest differences first."""

from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from ..app.command_line import print_rows
from ..app.extensions import db
from ..base import differences
from ..web.record_links import called
from .models import RunItem
from .wording import OUTCOMES, columns_in_words, error_in_words, value_in_words

SHOWN = 50
"""The default number of rows printed on a terminal."""

_AMOUNTS = {
    "amount_before": "amount_before",
    "amount_after": "amount_after",
    "amount": "net",
    "gross": "gross",
    "concerns": "concerns",
}
"""Amount of an item → its name in JSON."""


def items_as_dicts(run_id: int, count: int | None = None, *outcomes: str) -> list[dict[str, Any]]:
    """The first `count` items of the run (None: all) with one of these outcomes (none given: any), for JSON."""
    return [_as_dict(*named) for named in _named(run_id, count, outcomes)]


def print_items(run_id: int, count: int = SHOWN, *outcomes: str) -> None:
    """Print the items as a table; nothing where there are none."""
    items = _named(run_id, count, outcomes)
    if not items:
        return
    amounts = (_("Before"), _("After"), _("Net"), _("Gross"))
    titles = [_("Record"), _("What"), *amounts, _("By column"), _("Outcome"), _("Why")]
    rows = []
    for item, name in items:
        key = ", ".join(f"{column}={value}" for column, value in item.key.items())
        reported = (item.amount_before, item.amount_after, item.amount, item.gross)
        columns = columns_in_words(
            item.subject, item.before, item.after, is_plain=item.amount is not None
        )
        row = (
            name or key or f"#{item.owner}", item.subject,
            *("" if amount is None else value_in_words(str(amount)) for amount in reported),
            columns, _(OUTCOMES[item.outcome].word), error_in_words(item.error),
        )  # fmt: skip
        rows.append(row)
    print_rows(titles, rows)


def _as_dict(item: RunItem, name: str | None) -> dict[str, Any]:
    reported = ("subject", "owner", "key", "outcome", "before", "after", "error", "details")
    amounts = {as_named: getattr(item, each) for each, as_named in _AMOUNTS.items()}
    return {
        "name": name,
        **{each: getattr(item, each) for each in reported},
        "difference": differences.differences(item.before, item.after),
        **{each: None if amount is None else str(amount) for each, amount in amounts.items()},
    }


def _named(
    run_id: int, count: int | None, outcomes: tuple[str, ...]
) -> list[tuple[RunItem, str | None]]:
    size = RunItem.gross.desc().nulls_last()
    mine = select(RunItem).where(RunItem.run_id == run_id)
    if outcomes:
        mine = mine.where(RunItem.outcome.in_(outcomes))
    items = list(db.session.scalars(mine.order_by(size, RunItem.id.desc()).limit(count)))
    names = called(db.session.connection(), ((i.subject, i.owner, i.key) for i in items))
    return list(zip(items, names, strict=True))
