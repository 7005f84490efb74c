"""Rules and states of schedules as text on screen."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from flask_babel import format_date, format_time, ngettext
from flask_babel import gettext as _

from ..base import N_
from ..web.formats import day_filter
from . import queries
from .queries import ScheduleStatus
from .rules import (
    EVERY_MONTH,
    EVERY_QUARTER,
    Daily,
    EveryHours,
    EveryMinutes,
    Monthly,
    Rule,
    Weekly,
)

NIGHT_ENDS = time(6)

STATES: dict[str, tuple[str, str]] = {
    queries.NOT_YET: (N_("Not due yet"), "neutral"),
    queries.MET: (N_("On time"), "good"),
    queries.DUE: (N_("Due now"), "info"),
    queries.WAITS: (N_("Waits"), "info"),
    queries.OVERDUE: (N_("Overdue"), "bad"),
    queries.SKIPPED: (N_("Skipped"), "warning"),
    queries.MISSED: (N_("Not started"), "bad"),
}
"""State of a schedule → its label, and the tone of its badge."""


def rule_in_words(rule: Rule) -> str:
    """When the rule is due, in words."""
    match rule:
        case Daily(at):
            is_night = at < NIGHT_ENDS
            text = N_("every night at %(time)s") if is_night else N_("every day at %(time)s")
            return _(text, time=_clock(at))
        case Weekly(weekday, at):
            return _("every %(weekday)s at %(time)s", weekday=_weekday(weekday), time=_clock(at))
        case Monthly(day, at, months):
            return _monthly(day, at, months)
        case EveryHours(hours):
            return ngettext("every hour", "every %(num)d hours, from midnight", hours)
        case EveryMinutes(minutes):
            return ngettext("every minute", "every %(num)d minutes", minutes)


def _monthly(day: int, at: time, months: tuple[int, ...]) -> str:
    values = {"day": day, "time": _clock(at)}
    if months == EVERY_MONTH:
        return _("every month on day %(day)s at %(time)s", **values)
    if months == EVERY_QUARTER:
        return _("every quarter, on day %(day)s of its first month at %(time)s", **values)
    listed = ", ".join(str(format_date(date(2024, month, 1), "LLLL")) for month in months)
    return _("on day %(day)s of %(months)s at %(time)s", months=listed, **values)


def _clock(at: time) -> str:
    return str(format_time(datetime.combine(date.min, at), "HH:mm", rebase=False))


def _weekday(weekday: int) -> str:
    return str(format_date(date(2024, 1, 1 + weekday), "EEEE"))  # 1 January 2024 was a Monday


def state_in_words(status: ScheduleStatus) -> str:
    """An explanation of its state where the label is not enough; else empty."""
    run = status.held_by
    match status.state:
        case queries.WAITS:
            return _(
                "Run %(run)s does the same at the moment; it starts when that has ended.", run=run
            )
        case queries.SKIPPED:
            return _("Run %(run)s did the same until it was too late.", run=run)
        case queries.OVERDUE:
            return _("Nothing has started it yet. Is a scheduler at work?")
        case queries.MISSED:
            return _("No scheduler looked in time.")
        case _:
            return ""


def summary_in_words(result: Mapping[str, Any]) -> str:
    """A day's summary in one line: drift, corrections, failed runs, coverage."""
    drift, runs, coverage = result["drift"], result["runs"], result["coverage"]
    corrections, failed = (
        sum(result["corrections"].values()),
        runs["failed"] + runs["with_failures"],
    )
    return " · ".join(
        (
            str(day_filter(date.fromisoformat(result["day"]))),
            ngettext("%(num)d row had drifted", "%(num)d rows had drifted", drift["rows"]),
            ngettext("%(num)d correction", "%(num)d corrections", corrections),
            ngettext("%(num)d run failed", "%(num)d runs failed", failed),
            _("%(verified)s of %(figures)s figures verified", **coverage),
            *([] if "books" not in result else [_books_in_words(result["books"])]),
        )
    )


def _books_in_words(books: Mapping[str, Any]) -> str:
    """The state of the books when a summary was made."""
    if books["right"]:
        return str(_("Every stored figure was right."))
    return str(_("Not every stored figure was known to be right."))
