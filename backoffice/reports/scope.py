"""The scope of a revenue report: its days, the date that counts, the account manager and the customer."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ..base import N_
from ..base.periods import Month, year_before

LONGEST = 120
"""The most months that one report covers."""

BASES = {"closing": N_("Closing date"), "order": N_("Order date")}
"""Basis of a report, the date by which an order counts → its name on screen."""

RULES = {
    "closing": N_("Closed orders, each on the day on which it was closed."),
    "order": N_("All orders, open ones too, each on the day on which it was ordered."),
}
"""Basis of a report → which orders it includes, as a sentence."""


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included."""

    since: date
    until: date

    @classmethod
    def of_year(cls, year: int) -> "Period":
        """A calendar year."""
        return cls(date(year, 1, 1), date(year, 12, 31))

    @property
    def months(self) -> list[Month]:
        """The months that it touches, in order."""
        return list(Month.of(self.since).through(Month.of(self.until)))

    @property
    def year(self) -> int | None:
        """The calendar year that the period equals, if it is exactly one."""
        whole = Period.of_year(self.since.year)
        return self.since.year if self == whole else None

    @property
    def year_before(self) -> "Period":
        """The same days a year earlier; the end of a month stays the end of the month."""
        return Period(year_before(self.since), year_before(self.until))

    def part_in(self, month: Month) -> "Period":
        """Its days in `month`."""
        return Period(max(self.since, month.first), min(self.until, month.last))


@dataclass(frozen=True)
class ReportScope:
    """The orders that a report sums up."""

    period: Period
    basis: str = "closing"
    manager_id: int | None = None
    customer_id: int | None = None
    customer_code: str = ""

    @property
    def as_query(self) -> dict[str, Any]:
        """The query arguments of the report's address."""
        year = self.period.year
        days: dict[str, Any] = (
            {"year": year} if year else {"since": self.period.since, "until": self.period.until}
        )
        further = {
            "basis": self.basis if self.basis != "closing" else "",
            "manager": self.manager_id,
            "customer": self.customer_code,
        }
        return {name: str(value) for name, value in (days | further).items() if value}

    @property
    def as_order_query(self) -> dict[str, Any]:
        """The query arguments with which the list of orders shows exactly the orders of the report."""
        by = ("closed_since", "closed_until") if self.basis == "closing" else ("since", "until")
        arguments = {
            by[0]: self.period.since,
            by[1]: self.period.until,
            "manager": self.manager_id,
            "customer": self.customer_code,
        }
        return {name: str(value) for name, value in arguments.items() if value}

    def within(self, period: Period) -> "ReportScope":
        """The same scope in another period."""
        return replace(self, period=period)

    @property
    def year_before(self) -> "ReportScope":
        """The same scope a year earlier."""
        return self.within(self.period.year_before)
