"""A report as a file: every line that is on the page, from top to bottom."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Integer, Numeric, Text, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from ...base import N_
from ...lists import Column, List, Said
from .sheets import TITLES, Line, name_of
from .showing import Shown

COLUMNS: Mapping[str, Any] = {
    "place": Integer(), "section": Text(), "level": Integer(), "code": Text(), "name": Text(),
    "now": Numeric(), "then": Numeric(), "difference": Numeric(),
}  # fmt: skip


def listing_of(shown: Shown) -> List:
    """The lines of a report, with what they are compared with."""
    rows = [_row(place, section, line) for place, (section, line) in enumerate(shown.report.lines)]
    sent = func.jsonb_to_recordset(cast(literal(json.dumps(rows)), JSONB))
    columns: Any = (column(name, kind) for name, kind in COLUMNS.items())
    lines = sent.table_valued(*columns, name="lines").render_derived(with_types=True)
    c = lines.c
    compared = (
        Column("then", shown.headings[-1], c.then, kind="money"),
        Column("difference", N_("Difference"), c.difference, kind="money"),
    )
    return List(
        shown.name,
        shown.title,
        shown.endpoint,
        rows=lambda _user: select().select_from(lines),
        key=c.place,
        columns=(
            Column("place", N_("Line"), c.place, kind="number", is_shown=False),
            Column("section", N_("Type"), c.section, words=TITLES),
            Column("level", N_("Level"), c.level, kind="number"),
            Column("code", N_("Code"), c.code),
            Column("name", N_("Name"), c.name),
            Column("now", shown.headings[0], c.now, kind="money"),
            *(compared if len(shown.headings) > 1 else ()),
        ),
        default_sort="place",
        filters=tuple(_said(shown)),
    )


def _row(place: int, section: str, line: Line) -> dict[str, Any]:
    reported = dict(zip(("now", "then"), map(str, line.amounts), strict=False))
    difference = None if line.difference is None else str(line.difference)
    named = {"code": line.code, "name": name_of(line), "level": line.level}
    return {"place": place, "section": section, **named, **reported, "difference": difference}


def _said(shown: Shown) -> Iterator[Said]:
    yield Said("days", shown.days_are, " / ".join(shown.headings))
    if shown.wrong:
        yield Said("wrong", N_("Holds amounts that are known to be wrong"), _("yes"))
