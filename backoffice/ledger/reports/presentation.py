"""How reports are presented on their page and in exports: headings, links, and marks of wrong amounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import zip_longest
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import Integer, Numeric, Text

from ...app.extensions import db
from ...base import N_
from ...base.periods import Month, year_before
from ...drift.marks import FINDINGS, known
from ...lists import Column, List, Said, computed_list
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
UNCLOSED_INCOME = N_("Income that is not closed yet")


Day = tuple[str, str, date | None]
"""A day input of the form above a report: its argument, its label, and its day."""


@dataclass(frozen=True)
class ReportPage:
    """A report with what its page needs. `spans` are the date ranges of its columns, `choices` usual ones to compare.

    `days_are` is the label of its days.
    """

    name: str
    title: str
    days_are: str
    report: Report
    spans: Sequence[DateRange]
    inputs: Sequence[Day]
    choices: Mapping[str, Mapping[str, Any]]

    @property
    def place(self) -> str:
        """Its name in those of endpoints: that of the page, and of its exports."""
        return self.name.replace("-", "_")

    @property
    def query(self) -> dict[str, Any]:
        """The query arguments of the same report."""
        days = {name: day for name, _label, day in self.inputs if day is not None}
        return days | ({UNCLOSED: 1} if self.title == UNCLOSED_INCOME else {})

    @cached_property
    def wrong(self) -> frozenset[int]:
        """The accounts that are known to be wrong."""
        ids = sorted({number for _type, line in self.report.lines for number in line.accounts})
        places = known({one.name: ids for one in LEDGER_FIGURES}).places
        return frozenset(int(key[0]) for _figure, _column, key in places)

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
    spans = balance_sheet_ranges(given)
    days = [span.until for span in spans]
    choices = {
        _("End of the month before"): {"against": Month.of(days[0]).previous.last},
        _("A year earlier"): {"against": year_before(days[0])},
    }
    inputs = _inputs({"as_of": N_("As of"), "against": N_("Compared with")}, days)
    report = balance_sheet_of(db.session(), days)
    return ReportPage("balance-sheet", BALANCE_SHEET, N_("As of"), report, spans, inputs, choices)


def income_statement_page(given: Given) -> ReportPage:
    """The income statement for the query arguments."""
    spans = income_statement_ranges(given)
    period = spans[0]
    usual = {_("The period before"): period.previous, _("A year earlier"): period.year_before}
    choices = {
        name: {"against_since": one.since, "against_until": one.until}
        for name, one in usual.items()
        if one is not None
    }
    labels = {
        "since": N_("From"), "until": N_("to"),
        "against_since": N_("Compared with"), "against_until": N_("to"),
    }  # fmt: skip
    inputs = _inputs(labels, [day for span in spans for day in (span.since, span.until)])
    title = UNCLOSED_INCOME if period.since is None else INCOME_STATEMENT
    report = income_statement_of(db.session(), spans)
    return ReportPage("income-statement", title, N_("Period"), report, spans, inputs, choices)


def _inputs(labels: Mapping[str, str], days: Sequence[date | None]) -> list[Day]:
    """The day inputs of these arguments, in order; those of a comparison are empty where there is none."""
    return [(*named, day) for named, day in zip_longest(labels.items(), days)]


def listing_of(shown: ReportPage) -> List:
    """The lines of a report as a list, for exports."""
    columns = [
        Column("section", N_("Type"), Text(), words=TITLES),
        Column("level", N_("Level"), Integer(), kind="number"),
        Column("code", N_("Code"), Text()),
        Column("name", N_("Name"), Text()),
        Column("now", shown.headings[0], Numeric(), kind="money"),
    ]
    if len(shown.spans) > 1:
        columns.append(Column("then", shown.headings[1], Numeric(), kind="money"))
        columns.append(Column("difference", N_("Difference"), Numeric(), kind="money"))
    said = [Said("days", shown.days_are, " / ".join(shown.headings))]
    if shown.wrong:
        said.append(Said("wrong", N_("Holds amounts that are known to be wrong"), _("yes")))
    rows = (_row(section, line) for section, line in shown.report.lines)
    return computed_list(
        shown.name, shown.title, f"ledger.{shown.place}", columns, rows, filters=said
    )


def _row(section: str, line: ReportLine) -> dict[str, Any]:
    amounts = dict(zip(("now", "then"), line.amounts, strict=False))
    named = {"code": line.code, "name": name_of(line), "level": line.level}
    return {"section": section, **named, **amounts, "difference": line.difference}
