"""The list of all schedules. A schedule is added by naming it here, and nowhere else."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from .. import figures
from ..base import N_, periods
from .rules import (
    EVERY_QUARTER,
    Daily,
    EveryHours,
    EveryMinutes,
    Monthly,
    Rule,
    Weekly,
)

MONDAY, SUNDAY = 0, 6
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

Scope = Mapping[str, Any]
Asking = Callable[[datetime], Scope]
"""Returns the scope of a run for its due time."""


class ScheduleError(ValueError):
    """The list of schedules names a kind of run that is not declared, or is wrong in itself."""


def _all(_due_at: datetime) -> Scope:
    return {}


def asking(**scope: Any) -> Asking:
    """Always the same scope."""
    return lambda _due_at: scope


@dataclass(frozen=True)
class Schedule:
    """A kind of run that is requested whenever `rule` is due, in the business time zone.

    `grace` is how long after its due time it is still worth starting: when no scheduler ran, or
    while another run of the same kind and scope was live. `about` is the sentence on screen that
    describes what it does.
    """

    name: str
    title: str
    about: str
    kind: str
    rule: Rule
    grace: timedelta
    scope: Asking = _all


def _grand_totals(_due_at: datetime) -> Scope:
    """The orders' grand totals, and every figure that they build on."""
    wanted = [figures.registry.get("orders.grand_total")]
    for figure in wanted:
        wanted += figures.registry.depends_on(figure) - set(wanted)
    return {"figures": dict.fromkeys(sorted(figure.name for figure in wanted))}


def _day_before(due_at: datetime) -> Scope:
    return {"day": (periods.business_date(due_at) - DAY).isoformat()}


def _chore(name: str, title: str, about: str, rule: Rule, grace: timedelta) -> Schedule:
    return Schedule(f"chore-{name}", title, about, "chore", rule, grace, asking(chore=name))


SCHEDULES: tuple[Schedule, ...] = (
    Schedule(
        "balance-verify-sync",
        N_("Verify every figure and heal"),
        N_("Compares every stored total with its sources and puts right what is wrong."),
        "figures.verify", Daily(time(2)), 12 * HOUR, asking(fix=True),
    ),
    Schedule(
        "balance-rebuild-monthly",
        N_("Monthly rebuild"),
        N_("Recomputes every stored total from its sources and writes what differs."),
        "figures.rebuild", Monthly(1, time(3)), 7 * DAY,
    ),
    Schedule(
        "balance-health",
        N_("Balance health"),
        N_("Compares every stored total with its sources and reports what is wrong; changes nothing."),
        "figures.verify", EveryHours(6), 6 * HOUR,
    ),
    Schedule(
        "balance-sheet-maintenance",
        N_("Balance sheet maintenance"),
        N_("Compares the accounts with their lines, corrects what is safe to heal, and sends the alerts."),
        "ledger.maintenance", EveryHours(6), 6 * HOUR,
        asking(figures={"accounts.sums": None, "accounts.balance": None}, fix=True),
    ),
    Schedule(
        "balance-sync-daily",
        N_("Daily sync"),
        N_("Puts right what has drifted during the day."),
        "figures.heal", Daily(time(21)), 6 * HOUR,
    ),
    Schedule(
        "balance-sync-weekly",
        N_("Weekly full recalculation"),
        N_("Recomputes every stored total from its sources and writes what differs."),
        "figures.rebuild", Weekly(SUNDAY, time(4)), 3 * DAY,
    ),
    Schedule(
        "grand-total-integrity",
        N_("Weekly check of grand totals"),
        N_("Compares the grand totals of all orders, and what they are made of, with the order lines."),
        "figures.verify", Weekly(MONDAY, time(5)), 3 * DAY, _grand_totals,
    ),
    Schedule(
        "nightly-reconciliation",
        N_("Nightly reconciliation"),
        N_("Writes a file per figure, stored beside expected, and keeps it for 90 days."),
        "reconciliation.nightly", Daily(time(3, 30)), 12 * HOUR,
    ),
    Schedule(
        "ledger-post",
        N_("Post documents to the journal"),
        N_("Posts what orders, billing, gas and wallets come to and the journal does not say yet."),
        "ledger.post", Daily(time(2, 45)), 12 * HOUR,
    ),
    Schedule(
        "audit-verify",
        N_("Verify the audit trail"),
        N_("Checks the chain of seals, and every event under it."),
        "audit.verify", Daily(time(4, 30)), 12 * HOUR,
    ),
    Schedule(
        "audit-facts",
        N_("Verify facts against the audit trail"),
        N_("Compares every recorded row with what the audit trail says of it; changes nothing."),
        "audit.facts", Daily(time(1, 50)), 12 * HOUR,
    ),
    Schedule(
        "daily-summary",
        N_("Daily summary"),
        N_("Sums up the day before: drift, corrections, failed runs, what was verified."),
        "summary.daily", Daily(time(6, 30)), 17 * HOUR, _day_before,
    ),
    Schedule(
        "database-routine",
        N_("Quarterly database routine"),
        N_("Renews statistics and looks at indexes, slow queries and the growth of tables."),
        "database.routine", Monthly(1, time(1), EVERY_QUARTER), 14 * DAY,
    ),
    Schedule(
        "audit-seal",
        N_("Seal the audit trail"),
        N_("Adds a seal over what was recorded since the last one."),
        "audit.seal", EveryMinutes(5), 5 * MINUTE,
    ),
    Schedule(
        "audit-anchor",
        N_("Anchor the audit trail"),
        N_("Writes the newest seal to a place outside the database."),
        "audit.anchor", EveryHours(1), HOUR,
    ),
    _chore(
        "expired-sessions",
        N_("Forget ended sessions"),
        N_("Removes browsers whose session has ended."),
        EveryHours(1), HOUR,
    ),
    _chore(
        "idempotency-keys",
        N_("Forget old answers to forms"),
        N_("Removes answers to repeated forms after 7 days."),
        Daily(time(1, 10)), 12 * HOUR,
    ),
    _chore(
        "uploads",
        N_("Remove old uploads"),
        N_("Removes the bytes of imported files after 90 days; what was imported stays."),
        Daily(time(1, 20)), 12 * HOUR,
    ),
    _chore(
        "run-items",
        N_("Remove old run items"),
        N_("Removes the items of runs after 90 days; runs and corrections stay."),
        Daily(time(1, 30)), 12 * HOUR,
    ),
    _chore(
        "reconciliations",
        N_("Remove old reconciliations"),
        N_("Removes nightly reconciliations and their files after 90 days."),
        Daily(time(1, 35)), 12 * HOUR,
    ),
    _chore(
        "quiet-runs",
        N_("Remove old housekeeping runs"),
        N_("Removes finished housekeeping runs after 14 days."),
        Daily(time(1, 40)), 12 * HOUR,
    ),
)  # fmt: skip
"""Every schedule, in the order in which the screen shows them."""


def check(kinds: Container[str], schedules: Sequence[Schedule] = SCHEDULES) -> None:
    """Check that every schedule requests one of these kinds of runs. Raises ScheduleError."""
    complaints = list(_complaints(schedules, kinds))
    if complaints:
        raise ScheduleError("\n".join(complaints))


def _complaints(schedules: Iterable[Schedule], kinds: Container[str]) -> Iterator[str]:
    names: set[str] = set()
    for schedule in schedules:
        if schedule.name in names:
            yield f"Two schedules are called {schedule.name!r}."
        names.add(schedule.name)
        if schedule.kind not in kinds:
            yield f"The schedule {schedule.name!r} asks for {schedule.kind!r}; nobody has declared that kind of run."
        if schedule.grace <= timedelta(0):
            yield f"The schedule {schedule.name!r} leaves no time to start; give it some grace."


def schedule_of(name: str) -> Schedule | None:
    """The schedule of that name, if there is one."""
    return next((schedule for schedule in SCHEDULES if schedule.name == name), None)
