"""Reading a requested reconciliation from its address: the figure, the owners, the days of corrections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext as _
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from .. import figures
from ..base import periods
from ..base.refusals import NOT_A_DAY
from ..figures import Figure
from .files import About
from .queries import owners_of
from .report import Report

LONGEST_RECORD = 100


@dataclass(frozen=True)
class Asked:
    """One requested reconciliation. `owners` None: all records. The days are inclusive."""

    figure: Figure
    record: str = ""
    owners: Sequence[int] | None = None
    since: date | None = None
    until: date | None = None

    @property
    def as_query(self) -> dict[str, str]:
        """Its query arguments in an address."""
        days = {"since": self.since, "until": self.until}
        found = {"figure": self.figure.name, "record": self.record}
        found |= {name: day.isoformat() for name, day in days.items() if day}
        return {name: value for name, value in found.items() if value}

    def report(self, connection: Connection) -> Report:
        """The report, read over a connection in a snapshot."""
        return Report(
            connection,
            figures.registry,
            self.figure,
            owners=self.owners,
            since=periods.start_of(self.since) if self.since else None,
            until=periods.end_of(self.until) if self.until else None,
        )

    def about(self, by: str) -> About:
        """The description at the end of its file."""
        return About(
            self.record or _("all"),
            by,
            periods.start_of(self.since) if self.since else None,
            periods.end_of(self.until) if self.until else None,
        )


@dataclass(frozen=True)
class Form:
    """The typed values, their error, and the requested reconciliation; None while there is an error."""

    values: Mapping[str, str]
    error: str = ""
    asked: Asked | None = None


def form_of(session: Session, arguments: Mapping[str, str]) -> Form:
    """The form filled from an address. An unknown figure is ignored; other invalid arguments give an error."""
    values = {n: _trimmed(arguments.get(n, "")) for n in ("figure", "record", "since", "until")}
    names = {figure.name: figure for figure in figures.registry.figures}
    figure = names.get(values["figure"])
    if figure is None:
        return Form(values)
    since, until = periods.read_day(values["since"]), periods.read_day(values["until"])
    for name, day in (("since", since), ("until", until)):
        if day is None and (text := values[name]):
            return Form(values, _(NOT_A_DAY, text=text))
    if since and until and until < since:
        return Form(values, _("The last day is before the first."))
    owners = None
    if values["record"]:
        owners = owners_of(session, figure, values["record"])
        if not owners:
            reported = _(
                "There is no %(record)s of which this figure is kept.", record=values["record"]
            )
            return Form(values, reported)
    return Form(values, asked=Asked(figure, values["record"], owners, since, until))


def _trimmed(text: str) -> str:
    return text.replace("\0", "").strip()[:LONGEST_RECORD]
