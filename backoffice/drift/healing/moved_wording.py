"""Texts for stored totals that change: for a page, and for a terminal."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click
from flask_babel import gettext as _

from ...app.command_line import print_rows
from ...web.formats import money_filter
from ...web.record_links import Place, record_url, title_of
from .moved import Moved


def moved_in_words(moved: Mapping[str, Any]) -> dict[str, Any] | None:
    """The totals that change, for a page (see `Moved.as_dict`); None where there are none."""
    if not moved.get("rows"):
        return None
    return {
        "rows": moved["rows"],
        **{name: Decimal(moved[name]) for name in ("net", "gross")},
        "shown": [_total_in_words(item) for item in moved["items"]],
    }


def _total_in_words(item: Mapping[str, Any]) -> dict[str, Any]:
    place = Place(item["owner"] or 0, item["key"], item["name"] or "")
    amounts = (item.get(name) for name in ("amount_before", "net", "amount_after", "gross"))
    return {
        "name": item["name"] or f"#{item['owner']}",
        "href": record_url(item["subject"], place),
        "title": _(title_of(item["subject"])),
        "amounts": [None if amount is None else Decimal(amount) for amount in amounts],
    }


def print_moved(moved: Moved) -> None:
    """Print the stored totals that change most as a table; nothing where there are none."""
    if not moved.rows:
        return
    rows = []
    for item in moved.sample:
        amounts = (item.get(name) for name in ("amount_before", "net", "amount_after", "gross"))
        before, net, after, gross = ("" if a is None else money_filter(Decimal(a)) for a in amounts)
        name = item["name"] or f"#{item['owner']}"
        rows.append((name, _(title_of(item["subject"])), before, net, after, gross))
    titles = [_("Record"), _("What"), _("Before"), _("Net"), _("After"), _("Gross")]
    print_rows(titles, rows)
    click.echo(
        _(
            "%(count)s stored totals of records that were there before move with it, net %(net)s, gross %(gross)s.",
            count=moved.rows, net=money_filter(moved.net), gross=money_filter(moved.gross),
        )
    )  # fmt: skip
