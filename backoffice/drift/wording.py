"""Texts of drift: kinds, likely causes, how a row was resolved, and why it was corrected."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import format_datetime, format_timedelta, ngettext
from flask_babel import gettext as _
from sqlalchemy import Column, Date, Integer, Numeric

from ..audit.facts import ADDED, CHANGED, REMOVED
from ..audit.tables import title_of
from ..base import N_, differences, periods
from ..base.money import UNIT_PRICE_DECIMALS
from ..base.money_columns import MONEY_DECIMALS
from ..figures import Check, Figure, UnknownFigure, registry
from ..figures.declaring.checks import Side
from ..figures.declaring.expressions import leaves
from ..figures.showing.terms import label_of
from ..web import record_links as subjects
from ..web.formats import (
    moment_filter,
    money_filter,
    month_filter,
    quantity_filter,
    recorded_day,
    signed_filter,
    unit_price_filter,
)
from .facts.findings import all_facts, facts_named
from .facts.models import FactDecision
from .figure_status import FigureStatus
from .models import (
    ACCEPTED,
    DIFFERENT,
    FOLLOWS,
    FORGED,
    IMPOSSIBLE,
    MISSING,
    NOTED,
    OWNERLESS,
    RESTORED,
    ROUNDING,
    ROW,
    SURPLUS,
    UNEQUAL,
    UNNOTICED,
)
from .verification.checks import all_checks

KINDS = {
    DIFFERENT: N_("Different"),
    MISSING: N_("Row missing"),
    SURPLUS: N_("Row too many"),
    CHANGED: N_("Changed past the audit trail"),
    ADDED: N_("Added past the audit trail"),
    REMOVED: N_("Removed past the audit trail"),
    IMPOSSIBLE: N_("A date out of range"),
    UNEQUAL: N_("Sums that differ"),
}
"""Texts for how a stored row differs from the expected one."""

CAUSES = {
    UNNOTICED: N_("Changed unnoticed"),
    NOTED: N_("Another program"),
    FOLLOWS: N_("Follows from another row"),
    ROW: N_("Row missing or too many"),
    OWNERLESS: N_("Its record is missing"),
    ROUNDING: N_("Rounding"),
    FORGED: N_("Past the audit trail"),
    IMPOSSIBLE: N_("A date out of range"),
    UNEQUAL: N_("The rows themselves"),
}
"""Texts for the likely cause of a finding."""

CAUSES_IN_WORDS = {
    UNNOTICED: N_(
        "The stored figure is not what its sources give, and nothing noted the change: it was written "
        "while the triggers were switched off, or restored from elsewhere."
    ),
    NOTED: N_(
        "Another program wrote to the database. Its change is noted, and a worker corrects what follows "
        "from it within seconds; this row was checked in between."
    ),
    FOLLOWS: N_("What it is calculated from is wrong itself; corrected there, it follows."),
    ROW: N_("A row that should be there is missing, or one is there that nothing accounts for."),
    OWNERLESS: N_(
        "The record that it belongs to is missing, so nothing is corrected here. Restore that record from a backup, or "
        "delete what is left of it."
    ),
    ROUNDING: N_(
        "The difference is one smallest unit of the currency at most: a matter of rounding."
    ),
    FORGED: N_(
        "What was entered is not what the audit trail recorded: the row was written past the triggers, or "
        "restored from elsewhere. Nothing that builds on it is corrected until a user has decided."
    ),
    IMPOSSIBLE: N_(
        "A date was before 1900 or after 2199. The database refuses such dates, so Backoffice no longer looks for them."
    ),
    UNEQUAL: N_(
        "Every stored figure in it is right by itself: something is counted twice, or nowhere. Find "
        "those rows and correct them; a heal cannot."
    ),
}
"""The likely causes as sentences."""

HEALED_BY = {
    "run": N_("Corrected by a run"),
    "bypass": N_("Recomputed after a write by another program"),
    "save": N_("Right again after a later write; nothing had to be corrected"),
    ACCEPTED: N_("Accepted as it is, by a person"),
    RESTORED: N_("Restored from the audit trail, by a person"),
    "dropped": N_("Closed, since Backoffice no longer looks for this"),
}
"""Texts for how a finding was resolved."""

CORRECTED_BECAUSE = {
    "manual": N_("Recomputed by hand"),
    "heal": N_("Found by a check"),
    "bypass": N_("Recomputed after a write by another program"),
    "upgrade": N_("Computed when Backoffice was upgraded"),
    "rebuild": N_("Rebuilt"),
}
"""Texts for why a figure was corrected."""


def figure_titles() -> Mapping[str, str]:
    """Name of every declared figure → its title, to be translated."""
    return {figure.name: figure.title for figure in registry.figures}


def titles() -> Mapping[str, str]:
    """Name of everything that can have findings → its title, to be translated."""
    of_facts = {facts.name: title_of(facts.table) for facts in all_facts()}
    of_checks = {name: check.title for name, check in all_checks().items()}
    return {**figure_titles(), **of_facts, **of_checks}


def side_in_words(side: Side) -> str:
    """The sums of a check's side: Invoices + Adjustments − Payments."""
    first, *more = side.sums
    signed = [f"− {_(first.title)}" if first.sign == "−" else str(_(first.title))]
    return " ".join([*signed, *(f"{one.sign} {_(one.title)}" for one in more)])


def check_in_words(check: Check) -> str:
    """The equation of a check: Paid on the invoice + Payments on no invoice = Payments."""
    return f"{side_in_words(check.left)} = {side_in_words(check.right)}"


def formula_in_words(figure: Figure) -> str:
    """A figure's formula; without one the sum that it is, else the amounts that it holds."""
    if figure.formula:
        return str(_(figure.formula))
    definitions = list(figure.definitions.values())
    signed = list(leaves(definitions[0])) if len(definitions) == 1 else []
    if signed and all(isinstance(leaf, Column) for _sign, leaf in signed):
        return " ".join(f"{sign} {_(label_of(leaf))}".strip() for sign, leaf in signed)
    return ", ".join(_(label_of(column)) for column in figure.columns)


def cause_of_correction(cause: str) -> str:
    """The text for why a figure was corrected."""
    return str(_(CORRECTED_BECAUSE.get(cause, cause)))


def value(figure: str, column: str, reported: Any) -> str:
    """A recorded value of a figure's column in the user's format; a dash where there is none."""
    if reported is None:
        return "–"
    held = _column_of(figure, column)
    if isinstance(reported, Mapping):
        parts = {} if held is None else held.info.get("parts", {})
        said = (_part(parts.get(name), name, each) for name, each in reported.items())
        return ", ".join(said)
    return _as_read(held, _type_of(figure, column), reported)


def _part(held: Column[Any] | None, name: str, reported: Any) -> str:
    """One of several values in one column; `held` gives its label and format."""
    if held is None:
        return f"{name}: {reported}"
    return f"{_(label_of(held))}: {_as_read(held, held.type, reported)}"


def _as_read(held: Column[Any] | None, kind: Any, reported: Any) -> str:
    if isinstance(kind, Date):
        return recorded_day(reported)
    if held is not None and held.info.get("is_month"):
        return _month(str(reported))
    if not isinstance(kind, Numeric | Integer):
        return str(reported)
    try:
        number = Decimal(str(reported))
    except InvalidOperation:
        return str(reported)
    return _writer_of(kind)(number)


def _month(code: str) -> str:
    """A stored month (YYYY-MM) in words; any other text as it is stored."""
    try:
        return month_filter(periods.Month.parse(code).first)
    except ValueError:
        return code


def difference(figure: str, column: str, before: Any, after: Any) -> str:
    """The signed difference of two recorded values of a figure's column; empty where they are not numbers."""
    kind = _type_of(figure, column)
    apart = differences.difference(before, after) if isinstance(kind, Numeric | Integer) else None
    return signed_filter(apart, _writer_of(kind))


def _writer_of(kind: Any) -> Callable[[Decimal], str]:
    """The formatter for numbers of a column of that type: amounts, prices per unit, or quantities."""
    writers: dict[int | None, Callable[[Decimal], str]] = {
        MONEY_DECIMALS: money_filter,
        UNIT_PRICE_DECIMALS: unit_price_filter,
    }
    return writers.get(getattr(kind, "scale", None), quantity_filter)


def _type_of(figure: str, column: str) -> Any:
    if figure in all_checks():
        return Numeric(scale=MONEY_DECIMALS)
    held = _column_of(figure, column)
    return None if held is None else held.type


def _column_of(figure: str, column: str) -> Column[Any] | None:
    """The table's column; None where the figure is no longer declared, or it is a check."""
    facts = facts_named(figure)
    if facts is not None:
        return facts.table.c.get(column)
    try:
        return registry.get(figure).table.c.get(column)
    except UnknownFigure:
        return None


def decision_in_words(decision: FactDecision, who: str) -> str:
    """The sentence with a decision on a fact: who decided, what, when and why."""
    sentence = {
        ACCEPTED: N_("Accepted as it is by %(who)s, %(when)s: %(reason)s"),
        RESTORED: N_("Restored from the audit trail by %(who)s, %(when)s: %(reason)s"),
    }[decision.decision]
    return str(_(sentence, who=who, when=when(decision.decided_at), reason=decision.reason))


def key_in_words(figure: str, key: Mapping[str, Any]) -> str:
    """A row's key with the names of its columns."""
    return ", ".join(
        f"{_(subjects.label_of(figure, name))} {reported}" for name, reported in key.items()
    )


def when(moment: datetime) -> str:
    """A moment in the form used in a sentence: for today only the time."""
    if periods.business_date(moment) == periods.today():
        return str(format_datetime(moment, "HH:mm"))
    return moment_filter(moment)


def age(moment: datetime) -> str:
    """How long ago something was, roughly: 3 days."""
    return str(format_timedelta(datetime.now(UTC) - moment))


def status_in_words(figure_status: FigureStatus) -> str:
    """The status of the books, in a few sentences."""
    return _in_a_line(
        wrong_in_words(figure_status) if figure_status.wrong else _verdict(figure_status),
        figure_status,
    )


def books_in_words(figure_status: FigureStatus) -> str:
    """The same without its numbers, for a page that shows them below."""
    verdict = (
        _("Not every stored figure is right.") if figure_status.wrong else _verdict(figure_status)
    )
    return _in_a_line(verdict, figure_status)


def _in_a_line(verdict: str, figure_status: FigureStatus) -> str:
    reported = (
        verdict,
        unguarded_in_words(figure_status) if figure_status.unguarded else "",
        failed_in_words(figure_status) if figure_status.failed else "",
        waiting_in_words(figure_status) if figure_status.waiting else "",
        checked_in_words(figure_status),
    )
    return " ".join(filter(None, reported))


def _verdict(figure_status: FigureStatus) -> str:
    """Whether every figure is right, for books without known errors."""
    if figure_status.unverified or figure_status.uncompared:
        return ""
    if not figure_status.verified:
        return _("There is no figure to check yet.")
    if figure_status.state == "right":
        return _("Every stored figure is right.")
    return _("Every stored figure was right.")


def wrong_in_words(figure_status: FigureStatus) -> str:
    """How many stored totals are wrong, by how much, and since when."""
    assert figure_status.oldest is not None
    return ngettext(
        "%(count)s stored total is wrong: %(amount)s, first seen %(age)s ago.",
        "%(count)s stored totals are wrong: %(amount)s gross, the oldest first seen %(age)s ago.",
        figure_status.wrong,
        count=quantity_filter(figure_status.wrong),
        amount=money_filter(figure_status.amount, symbol=True),
        age=age(figure_status.oldest),
    )


def unguarded_in_words(figure_status: FigureStatus) -> str:
    """The sentence that the database's triggers are not as declared."""
    return ngettext(
        "Changes may go unnoticed: %(num)d trigger is not as declared. Run: backoffice db upgrade",
        "Changes may go unnoticed: %(num)d triggers are not as declared. Run: backoffice db upgrade",
        figure_status.unguarded,
    )


def failed_in_words(figure_status: FigureStatus) -> str:
    """The sentence that a verification has failed since the last successful one."""
    return ngettext(
        "The last check of %(num)d figure failed.",
        "The last check of %(num)d figures failed.",
        figure_status.failed,
    )


def waiting_in_words(figure_status: FigureStatus) -> str:
    """The sentence that other programs have changed something that the figures do not yet follow."""
    return ngettext(
        "%(count)s change by another program is not counted in yet.",
        "%(count)s changes by other programs are not counted in yet.",
        figure_status.waiting,
        count=quantity_filter(figure_status.waiting),
    )


def checked_in_words(figure_status: FigureStatus) -> str:
    """When the figures were last verified, or that they never were."""
    if figure_status.unverified or figure_status.uncompared:
        return unverified_in_words(figure_status)
    if figure_status.verified_at is None:
        return ""
    if figure_status.is_stale:
        return stale_in_words(figure_status)
    return _("Checked %(when)s.", when=when(figure_status.verified_at))


def unverified_in_words(figure_status: FigureStatus) -> str:
    """How many figures were never verified, so that their state is unknown."""
    if not figure_status.verified:
        return _("No figure has been verified yet.")
    if not figure_status.unverified:
        return ngettext(
            "%(num)d check has never been compared.",
            "%(num)d checks have never been compared.",
            figure_status.uncompared,
        )
    return ngettext(
        "%(num)d figure has never been verified.",
        "%(num)d figures have never been verified.",
        figure_status.unverified,
    )


def stale_in_words(figure_status: FigureStatus) -> str:
    """The sentence that the nightly check has not run."""
    assert figure_status.verified_at is not None
    return _(
        "Figures were last verified %(age)s ago; the nightly check has not run since.",
        age=age(figure_status.verified_at),
    )
