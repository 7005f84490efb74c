"""The list of findings: each difference, its amount, since when, and the likely cause."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from ..app.extensions import db
from ..base import N_, counted, money
from ..base.identifiers import is_id
from ..lists import Buttons, Choice, Column, List, Moments, Search, containing
from ..lists.filters import Given
from ..runs.items import by_column
from ..runs.models import Run
from ..runs.wording import columns_in_words
from ..web import record_links as subjects
from ..web.preferences import number_format
from ..web.record_links import Place
from . import queries
from .figure_status import IS_COUNTED, IS_OPEN
from .models import FOLLOWS, DriftFinding
from .wording import CAUSES, KINDS
from .wording import titles as all_titles

ITSELF = "itself"

VERIFY = "figures.verify"
"""The kind of run that finds wrong rows."""


@dataclass(frozen=True)
class AtLeast(Search):
    """Rows with an amount of at least what was typed, in the user's number format."""

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The text, if it is a valid amount."""
        for name, text in super().read(given):
            try:
                money.parse_amount(text, number_format())
            except money.AmountError:
                return
            yield name, text


@dataclass(frozen=True)
class OfRun(Search):
    """Rows that a run found wrong: those it saw last, or those found since by a check that kept the known finding."""

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The run's number, if the text can be one."""
        yield from ((name, text) for name, text in super().read(given) if is_id(text))


def _of_run(text: str) -> ColumnElement[bool]:
    asked, row = int(text), DriftFinding
    run = db.session.get(Run, asked)
    if run is None or run.finished_at is None or run.kind != VERIFY:
        return row.run_id == asked
    return or_(
        row.run_id == asked,
        and_(
            or_(row.run_id > asked, row.run_id.is_(None)),
            row.first_seen_at <= run.finished_at,
            or_(row.healed_at.is_(None), row.healed_at >= run.started_at),
            queries.covered_by(run.scope),
        ),
    )


def _at_least(text: str) -> ColumnElement[bool]:
    return DriftFinding.gross >= money.parse_amount(text, number_format())


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(DriftFinding).where(IS_COUNTED)


def _place(row: Any) -> Place:
    return Place(row.owner_id, row.key_of_row, "" if row.owner.startswith("#") else row.owner)


def _record(row: Any) -> str:
    return url_for("drift.record", finding_id=row.key)


def _calculation(row: Any) -> str | None:
    return subjects.calculation_url(row.figure, _place(row), row.first_column or "")


def _first_column() -> ColumnElement[Any]:
    """The name of one of the differing columns."""
    values = func.coalesce(DriftFinding.expected, DriftFinding.stored)
    names = func.jsonb_object_keys(values).table_valued("name")
    return select(func.min(names.c.name)).select_from(names).scalar_subquery()


def _root() -> ColumnElement[Any]:
    first = DriftFinding.roots[0]["figure"].astext
    return case((DriftFinding.is_root, ITSELF), else_=first)


@cache
def findings() -> List:
    """The list; requires that all figures are declared and all domains have named their rows."""
    titles = all_titles()
    called = queries.name()
    return List(
        "drift",
        N_("Drift"),
        "drift.index",
        export="drift.export",
        bulk="drift.preview",
        buttons=Buttons(
            chosen=N_("Preview the correction"),
            matching=N_("Preview it for all that match"),
            counted=N_("Preview it for all %(count)s that match"),
            icon="calculator",
            posts=True,
        ),
        rows=_rows,
        key=DriftFinding.id,
        also={
            "owner_id": DriftFinding.owner,
            "key_of_row": DriftFinding.key,
            "first_column": _first_column(),
            "stored_json": DriftFinding.stored,
            "expected_json": DriftFinding.expected,
            "has_amounts": DriftFinding.amount.is_not(None),
        },
        columns=_columns(titles, called),
        filters=_filters(titles, called),
        default_sort="-size",
        counted=counted("%(num)s row", "%(num)s rows"),
        nothing_yet=(
            N_("Nothing is wrong"),
            N_("Verification has found no figure that is stored wrongly."),
        ),
        classes="drift-table",
    )


def _columns(titles: Any, called: ColumnElement[str]) -> tuple[Column, ...]:
    row = DriftFinding
    return (
        Column("owner", N_("Belongs to"), called, link=_record, classes="cell-key"),
        Column("figure", N_("Figure"), row.figure, words=titles, link=_calculation),
        Column("kind", N_("Kind"), row.kind, words=KINDS, is_shown=False),
        Column("stored", N_("Stored"), queries.stored(), kind="money", empty=N_("no amount")),
        Column("expected", N_("Expected"), queries.expected(), kind="money", empty=N_("no amount")),
        Column(
            "difference", N_("Net"), row.amount, kind="money", total=True,
            classes="cell-total",
        ),
        Column("size", N_("Gross"), row.gross, kind="money", total=True, is_shown=False),
        Column(
            "by_column", N_("By column"),
            by_column(
                row.figure.expression, row.stored.expression, row.expected.expression,
                row.amount.is_not(None),
            ),
            write=lambda row: columns_in_words(
                row.figure, row.stored_json, row.expected_json, is_plain=row.has_amounts
            ),
            classes="cell-values", is_sortable=False,
        ),
        Column("root", N_("Root"), _root(), words={ITSELF: N_("this row"), **titles}),
        Column("cause", N_("Likely cause"), row.cause, words=CAUSES),
        Column("first_seen_at", N_("First seen"), row.first_seen_at, kind="moment"),
        Column("last_seen_at", N_("Last seen"), row.last_seen_at, kind="moment", is_shown=False),
        Column("healed_at", N_("Right since"), row.healed_at, kind="moment", is_shown=False),
    )  # fmt: skip


def _filters(titles: Any, called: ColumnElement[str]) -> tuple[Any, ...]:
    row = DriftFinding
    return (
        Search("q", N_("Search"), containing(called), placeholder=N_("Order number or name")),
        Choice.of("figure", N_("Figure"), row.figure, titles),
        Choice.of("cause", N_("Likely cause"), row.cause, CAUSES),
        Choice(
            "rows",
            N_("Rows"),
            {
                "roots": (N_("Roots only"), row.is_root.expression),
                FOLLOWS: (N_("What follows from them"), ~row.is_root),
            },
        ),
        AtLeast("at_least", N_("Amount at least"), _at_least),
        Choice(
            "state",
            N_("Status"),
            {
                "healed": (N_("Right again"), row.healed_at.is_not(None)),
                "all": (N_("All"), row.id.is_not(None)),
            },
            assumed=(N_("Open"), IS_OPEN),
        ),
        Moments("since", "until", N_("First seen from"), N_("to"), row.first_seen_at),
        OfRun("run", N_("Found by run"), _of_run, is_quiet=True),
    )
