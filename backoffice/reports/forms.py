"""Reading a report's scope from its address. Invalid arguments are ignored and reported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..base import periods
from ..base.identifiers import whole_number
from ..base.periods import Month
from ..base.refusals import NOT_A_DAY
from ..customers import queries as customers
from ..orders import queries as orders
from ..people.models import User
from . import queries
from .scope import BASES, LONGEST, Period, ReportScope

NO_MATCH = 0
"""An id that no customer has, for a customer filter that names no single customer: it selects no orders."""


@dataclass(frozen=True)
class Asked:
    """A requested report: its scope, the typed arguments, and the problems with them.

    `customer` is the typed code or part of a name; `whom` is the customer that it names, as code and name.
    `managers` are those whom the filter offers.
    """

    scope: ReportScope
    customer: str
    whom: str
    years: range
    managers: Sequence[User]
    problems: Mapping[str, str] = field(default_factory=dict)

    EARLIEST: ClassVar[int] = periods.FIRST_DAY.year
    LATEST: ClassVar[int] = periods.LAST_DAY.year


def read(session: Session, user: Any, arguments: Mapping[str, str]) -> Asked:
    """The report that the address requests; by default this year, or the latest one with orders."""
    basis = arguments.get("basis", "")
    basis = basis if basis in BASES else "closing"
    years = queries.years(session, user, basis)
    problems: dict[str, str] = {}
    period = _period(arguments, years, problems)
    text = arguments.get("customer", "").strip()[:100]
    customer_id, code, whom = _customer(session, text, problems) if text else (None, "", "")
    people = orders.managers_with_orders(session, user)
    manager_id = _manager(people, arguments.get("manager", "").strip(), problems)
    scope = ReportScope(period, basis, manager_id, customer_id, code)
    return Asked(scope, text, whom, years, people, problems)


def _period(arguments: Mapping[str, str], years: range, problems: dict[str, str]) -> Period:
    year = whole_number(arguments.get("year"))
    since, until = (
        periods.read_day(arguments.get("since", "")),
        periods.read_day(arguments.get("until", "")),
    )
    if Asked.EARLIEST <= year <= Asked.LATEST:
        return Period.of_year(year)
    usual = Period.of_year(_usual_year(years))
    problems.update(_unreadable(arguments, since=since, until=until))
    if problems or (since is None and until is None):
        return usual
    if since is None or until is None:
        day = since or until or periods.today()
        since, until = since or date(day.year, 1, 1), until or date(day.year, 12, 31)
    if since > until:
        problems["since"] = _("The first day is after the last one.")
        return usual
    earliest = (Month.of(until) - (LONGEST - 1)).first
    if since < earliest:
        problems["since"] = _(
            "A report covers at most %(years)s years, so it begins later.", years=LONGEST // 12
        )
    return Period(max(since, earliest), until)


def _unreadable(arguments: Mapping[str, str], **days: date | None) -> Iterator[tuple[str, str]]:
    """An error message for each typed year or day that is not valid."""
    if year := arguments.get("year", "").strip():
        yield (
            "year",
            _("%(text)s is not a year from 1900 to 2199. Choose another one.", text=year[:20]),
        )
    for name, day in days.items():
        if day is None and (text := arguments.get(name, "").strip()):
            yield name, _(NOT_A_DAY, text=text[:20])


def _usual_year(years: range) -> int:
    this = periods.today().year
    return this if not years or years[-1] >= this else years[-1]


def _manager(people: Sequence[User], text: str, problems: dict[str, str]) -> int | None:
    """The id of one of the account managers; None, and an entry in `problems`, for anything else."""
    number = whole_number(text)
    if any(person.id == number for person in people):
        return number
    if text:
        problems["manager"] = _("There is no such account manager: all of them are shown.")
    return None


def _customer(session: Session, text: str, problems: dict[str, str]) -> tuple[int, str, str]:
    """The id, code and label of the one customer that the text names; else NO_MATCH, and an entry in `problems`."""
    found = customers.named(session, text, limit=2)
    if len(found) == 1:
        return found[0].id, found[0].code, customers.label(found[0])
    problems["customer"] = (
        _("Several customers fit that. Choose one from the list.")
        if found
        else _("No customer is called that. Type a code or a part of the name.")
    )
    return NO_MATCH, text, text
