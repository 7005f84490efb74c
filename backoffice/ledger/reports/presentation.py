"""How reports are presented on their page and in exports: headings, links, and marks of wrong amounts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import Integer, Numeric, Text, select

from ...app.extensions import db
from ...base import N_
from ...base.periods import Month, year_before
from ...drift.marks import FINDINGS, known
from ...lists import Column, List, Said, computed_rows
from ...lists.marking import Mark
from ...web.formats import day_filter
from ..figures import LEDGER_FIGURES
from .queries import (
    UNCLOSED,
    DateRange,
    Given,
    balance_sheet_of,
    balance_sheet_ranges,
    income_statement_of,
    income_statement_ranges,
)
from .sheets import EARNINGS, TITLES, Report, ReportLine, name_of

BALANCE_SHEET, INCOME_STATEMENT = N_("Balance sheet"), N_("Income statement")


@dataclass(frozen=True)
class DayInput:
    """A day input of the form above a report."""

    name: str
    label: str
    value: date | None


@dataclass(frozen=True)
class ReportPage:
    """A report with what its page needs. `spans` are the date ranges of its columns, `choices` usual ones to compare.

    `days_are` is the label of its days. `wrong` are the accounts that are known to be wrong.
    """

    name: str
    title: str
    endpoint: str
    export: str
    days_are: str
    report: Report
    spans: Sequence[DateRange]
    query: Mapping[str, Any]
    inputs: Sequence[DayInput]
    choices: Mapping[str, Mapping[str, Any]]
    wrong: frozenset[int] = field(default_factory=frozenset)

    @property
    def headings(self) -> list[str]:
        """The headings of the amount columns."""
        return [heading(span) for span in self.spans]

    def mark(self, line: ReportLine) -> Mark | None:
        """The mark of a line that includes an account known to be wrong; None without one."""
        if self.wrong.isdisjoint(line.accounts):
            return None
        return Mark(FINDINGS.address_of({one.name for one in LEDGER_FIGURES}))

    def lines_behind(self, line: ReportLine, place: int) -> str | None:
        """The address of the journal lines behind an amount; None for a sum, of which the parts are on the page."""
        span = self.spans[place]
        days: dict[str, Any] = {"since": span.since, "until": span.until}
        if line.title == EARNINGS:
            return url_for("ledger.income_statement", **days | {UNCLOSED: 1})
        closing = None if span.since is None else "without"  # as `sums_between` leaves them out
        return (
            None
            if line.is_sum
            else url_for("accounts.statement", code=line.code, closing=closing, **days)
        )


def heading(span: DateRange) -> str:
    """The date range of a column as text; only its last day where it counts from the beginning."""
    until = day_filter(span.until)
    return until if span.since is None else f"{day_filter(span.since)} – {until}"


def balance_sheet_page(given: Given) -> ReportPage:
    """The balance sheet for the query arguments."""
    asked = balance_sheet_ranges(given)
    day, against = asked.period.until, asked.against
    report = balance_sheet_of(db.session(), [one.until for one in asked.all])
    choices = {
        _("End of the month before"): {"against": Month.of(day).previous.last},
        _("A year earlier"): {"against": year_before(day)},
    }
    inputs = (
        DayInput("as_of", N_("As of"), day),
        DayInput("against", N_("Compared with"), against.until if against else None),
    )
    return ReportPage(
        "balance-sheet", BALANCE_SHEET, "ledger.balance_sheet", "ledger.export_balance_sheet", N_("As of"),
        report, asked.all, _query(inputs), inputs, choices, _wrong(report),
    )  # fmt: skip


def income_statement_page(given: Given) -> ReportPage:
    """The income statement for the query arguments."""
    asked = income_statement_ranges(given)
    report = income_statement_of(db.session(), asked.all)
    period, against = asked.period, asked.against
    choices = {_("The period before"): period.previous, _("A year earlier"): period.year_before}
    inputs = (
        DayInput("since", N_("From"), period.since), DayInput("until", N_("to"), period.until),
        DayInput("against_since", N_("Compared with"), against.since if against else None),
        DayInput("against_until", N_("to"), against.until if against else None),
    )  # fmt: skip
    title, marker = INCOME_STATEMENT, {}
    if period.since is None:
        title, marker = N_("Income that is not closed yet"), {UNCLOSED: 1}
    return ReportPage(
        "income-statement", title, "ledger.income_statement", "ledger.export_income_statement",
        N_("Period"), report, asked.all, _query(inputs) | marker, inputs,
        {
            name: {"against_since": one.since, "against_until": one.until}
            for name, one in choices.items()
            if one is not None
        },
        _wrong(report),
    )  # fmt: skip


def _query(inputs: Sequence[DayInput]) -> dict[str, Any]:
    """The query arguments of the same report."""
    return {one.name: one.value for one in inputs if one.value is not None}


def _wrong(report: Report) -> frozenset[int]:
    """The accounts of a report that are known to be wrong."""
    ids = sorted({number for _type, line in report.lines for number in line.accounts})
    places = known({one.name: ids for one in LEDGER_FIGURES}).places
    return frozenset(int(key[0]) for _figure, _column, key in places)


COLUMNS: Mapping[str, Any] = {
    "place": Integer(), "section": Text(), "level": Integer(), "code": Text(), "name": Text(),
    "now": Numeric(), "then": Numeric(), "difference": Numeric(),
}  # fmt: skip


def listing_of(shown: ReportPage) -> List:
    """The lines of a report as a list, for exports."""
    numbered = enumerate(shown.report.lines)
    lines = computed_rows(
        COLUMNS, (_row(place, section, line) for place, (section, line) in numbered)
    )
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


def _row(place: int, section: str, line: ReportLine) -> dict[str, Any]:
    amounts = dict(zip(("now", "then"), line.amounts, strict=False))
    named = {"code": line.code, "name": name_of(line), "level": line.level}
    return {"place": place, "section": section, **named, **amounts, "difference": line.difference}


def _said(shown: ReportPage) -> Iterator[Said]:
    yield Said("days", shown.days_are, " / ".join(shown.headings))
    if shown.wrong:
        yield Said("wrong", N_("Holds amounts that are known to be wrong"), _("yes"))
