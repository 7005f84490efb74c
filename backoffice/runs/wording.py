"""Runs as text: scope, status, result, and the values of an item before and after."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import ngettext

from ..app.domain import declared
from ..base import N_, differences
from ..web import record_links as subjects
from ..web.formats import money_filter, quantity_filter
from .kinds import kinds
from .models import (
    APPLIED,
    AWAITING_APPROVAL,
    CANCELLED,
    DONE,
    DONE_WITH_FAILURES,
    FAILED,
    FOUND,
    ITEM_FAILED,
    QUEUED,
    RUNNING,
    SKIPPED,
    UNCHANGED,
    Run,
)


class Look(NamedTuple):
    """How a status is rendered: its label, tone and icon."""

    word: str
    tone: str
    icon: str


STATUSES = {
    AWAITING_APPROVAL: Look(N_("Waits for approval"), "warning", "lock"),
    QUEUED: Look(N_("Queued"), "info", "history"),
    RUNNING: Look(N_("Running"), "info", "runs"),
    DONE: Look(N_("Done"), "good", "success"),
    DONE_WITH_FAILURES: Look(N_("Finished with failures"), "warning", "warning"),
    FAILED: Look(N_("Failed"), "bad", "error"),
    CANCELLED: Look(N_("Cancelled"), "neutral", "close"),
}
"""Status → how it is rendered."""

OUTCOMES = {
    FOUND: Look(N_("Would be changed"), "warning", "warning"),
    APPLIED: Look(N_("Changed"), "good", "success"),
    UNCHANGED: Look(N_("Was right"), "neutral", "info"),
    SKIPPED: Look(N_("Left alone"), "info", "info"),
    ITEM_FAILED: Look(N_("Failed"), "bad", "error"),
}
"""Outcome of an item → how it is rendered."""

WHAT_TO_DO = {
    QUEUED: N_("It begins as soon as a worker is free."),
    FAILED: N_("It could not go on. What was done until then stays done."),
    DONE_WITH_FAILURES: N_("Some items failed; everything else is done. The list below says why."),
    CANCELLED: N_("What was done until then stays done."),
}
"""Status → what happens next, for the user who reads it."""

NEVER_BEGAN = N_("It was stopped before it began: nothing was done.")
RETRY = N_("Retry does what is left, once the cause is gone.")


def what_to_do(run: Run, can_retry: bool) -> str:
    """What happens next with the run, or what the user can do; empty where the status is enough."""
    if run.never_began:
        return _(NEVER_BEGAN)
    if run.status not in WHAT_TO_DO:
        return ""
    return " ".join([_(WHAT_TO_DO[run.status]), *([_(RETRY)] if can_retry else [])])


_NO_REPORT = {
    FAILED: N_("The run failed, so there is no result."),
    CANCELLED: N_("The run was cancelled, so there is no result."),
    DONE_WITH_FAILURES: N_("Some items failed. The run lists them."),
}


def without_findings(run: Run, nothing: str) -> str:
    """The sentence for a report without any row: `nothing`, unless the run failed or was cancelled."""
    return str(_(_NO_REPORT[run.status])) if run.status in _NO_REPORT else nothing


_RESULTS = {
    "applied": N_("Applied"),
    "corrections": N_("Corrections"),
    "deleted": N_("Deleted"),
    "drifted": N_("Wrong"),
    "failed": N_("Failed"),
    "found": N_("Found"),
    "healed": N_("Healed"),
    "moved": N_("Changed meanwhile, left alone"),
    "notes": N_("Notes drained"),
    "owners": N_("Records looked at"),
    "reports": N_("Reports"),
    "lines": N_("Lines"),
    "rows": N_("Rows"),
    "amount": N_("Amount"),
    "bloated_indexes": N_("Indexes larger than they need to be"),
    "books": N_("Books"),
    "right": N_("Right"),
    "wrong": N_("Wrong"),
    "unverified": N_("Figures never verified"),
    "uncompared": N_("Checks never compared"),
    "waiting": N_("Changes by other programs that wait"),
    "unguarded": N_("Triggers that are not as declared"),
    "net": N_("Net"),
    "gross": N_("Gross"),
    "bypass": N_("Other programs' writes"),
    "bytes": N_("Bytes"),
    "coverage": N_("Verified"),
    "day": N_("Day"),
    "drift": N_("Drift"),
    "figures": N_("Figures"),
    "finished": N_("Ended"),
    "heal": N_("Heals"),
    "open": N_("Wrong still"),
    "queries_are_counted": N_("PostgreSQL counts queries"),
    "runs": N_("Runs"),
    "slow_queries": N_("Slow queries"),
    "unused_indexes": N_("Indexes that nothing uses"),
    "upgrade": N_("Upgrades"),
    "verified": N_("in the last 24 hours"),
    "with_failures": N_("Finished with failures"),
}
"""Key in a run's result → its label on screen."""


def kind_title(name: str) -> str:
    """The title of a kind of run; its name where it is no longer declared."""
    return str(_(kinds()[name].title)) if name in kinds() else name


def scope_in_words(scope: Mapping[str, Any]) -> str:
    """The scope of a run, in one line."""
    parts = [*_figures(scope.get("figures"))]
    for name, value in scope.items():
        if name == "run":
            parts.append(_("what run %(run)s found", run=value))
        elif name == "retry":
            parts.append(_("what run %(run)s left undone", run=value))
        elif name == "fix":
            parts += [_("corrects what it finds")] if value else []
        elif name == "chore":
            parts.append(str(value).replace("_", " "))
        elif name in declared().scopes:
            parts.append(_(declared().scopes[name]))
        elif name != "figures":
            parts.append(f"{name}: {_plain(value)}")
    return " · ".join(parts) or _("everything")


def _figures(figures: Any) -> Iterator[str]:
    asked = dict(figures or {})
    of_some = {name: owners for name, owners in asked.items() if owners is None or owners}
    for name, owners in (of_some or asked).items():
        title = _(subjects.title_of(name))
        if owners is None:
            yield title
        else:
            yield ngettext(
                "%(title)s of %(num)d record",
                "%(title)s of %(num)d records",
                len(owners),
                title=title,
            )


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value[:5])) + (" …" if len(value) > 5 else "")
    return str(value)


def report_of(run: Run) -> str:
    """The endpoint of the screen that shows its result; empty where there is none."""
    kind = kinds().get(run.kind)
    return "" if kind is None else kind.report


def findings_of(run: Run) -> str:
    """The endpoint that lists what it has found; empty where it found nothing, or its kind has no such list."""
    kind = kinds().get(run.kind)
    return kind.findings if kind is not None and run.result.get("found") else ""


def result_in_words(run: Run) -> list[tuple[str, str]]:
    """Its result beyond its counters, as labels with values; empty where a screen shows it."""
    return [] if report_of(run) else list(_reported(run.result))


def _reported(
    result: Mapping[str, Any], of: str = "", *, is_by_bundle: bool = False
) -> Iterator[tuple[str, str]]:
    for name, value in result.items():
        if is_by_bundle:
            title = ", ".join(_(title) for title in subjects.titles_of_bundle(name))
        else:
            title = _(_RESULTS[name] if name in _RESULTS else subjects.title_of(name))
        reported = f"{of}: {title}" if of else title
        if isinstance(value, Mapping):
            yield from _reported(value, reported, is_by_bundle=name == "owners")
        else:
            yield reported, value_in_words(value)


def value_in_words(value: Any) -> str:
    """An amount (a string with a decimal point) or a count in the user's format; anything else unchanged."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return quantity_filter(value)
    if isinstance(value, list):
        return _plain(value)
    text = str(value)
    try:
        number = Decimal(text) if text[-1:].isdigit() and " " not in text else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        return text
    return money_filter(number) if number.as_tuple().exponent == -2 else quantity_filter(number)


def columns_in_words(
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    is_plain: bool,
) -> str:
    """The values of an item before and after, column by column, with the signed difference of numbers.

    Empty where there is only one column, an amount (`is_plain`: it has amounts), which is listed as such.
    """
    is_plain = is_plain and len(subjects.labels_of(subject)) < 2
    both = sorted({**(before or {}), **(after or {})}, key=_as_jsonb)
    if is_plain and len(both) == 1 and before is not None and after is not None:
        return ""
    return " · ".join(_column_in_words(subject, name, before, after) for name in both)


def _as_jsonb(name: str) -> tuple[int, bytes]:
    """Sort key: the order in which PostgreSQL stores the keys of a jsonb object."""
    encoded = name.encode()
    return len(encoded), encoded


def _column_in_words(
    subject: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> str:
    reported = [(values or {}).get(name) for values in (before, after)]
    label, (was, is_now) = _(subjects.label_of(subject, name)), map(value_in_words, reported)
    apart = differences.difference(*reported)
    if apart is None:
        return f"{label} {was} → {is_now}"
    sign = "+" if apart > 0 else ""
    return f"{label} {was} → {is_now} ({sign}{value_in_words(str(apart))})"


@dataclass(frozen=True)
class Reason:
    """A declared sentence on why an item was skipped or failed; lists and their files show it in the user's language.

    `leads_to` is the endpoint, with its `arguments`, of the screen that shows the cause.
    """

    sentence: str
    leads_to: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Sentences(Mapping[str, str]):
    """Every declared reason; read from the domains at each look-up."""

    def __getitem__(self, sentence: str) -> str:
        """The sentence itself. Raises KeyError where it is not declared."""
        return declared().reasons[sentence].sentence

    def __iter__(self) -> Iterator[str]:
        """All sentences."""
        return iter(declared().reasons)

    def __len__(self) -> int:
        """The number of sentences."""
        return len(declared().reasons)


def error_in_words(error: str) -> str:
    """Why an item failed or was skipped: a declared sentence is translated, PostgreSQL's message is kept."""
    return str(_(error)) if error else ""


def duration_in_words(duration: timedelta | None) -> str:
    """A duration in words: seconds, minutes and seconds, or hours and minutes."""
    if duration is None:
        return "–"
    seconds = max(int(duration.total_seconds()), 0)
    if seconds < 60:
        return _("%(seconds)d s", seconds=seconds)
    if seconds < 3600:
        return _("%(minutes)d min %(seconds)d s", minutes=seconds // 60, seconds=seconds % 60)
    return _("%(hours)d h %(minutes)d min", hours=seconds // 3600, minutes=seconds % 3600 // 60)
