"""What the invoice form shows of the amount while it is being typed."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...base.refusals import Refusal
from ...web.formats import in_words
from .actions import compute, problems_of, usage_of
from .forms import InvoiceForm
from .proposals import is_typed


@dataclass(frozen=True)
class Preview:
    """What the typed charges come to; None where one of them cannot be read.

    `usage` is units × rate, None too where no units are typed. `note` is the sentence under the
    amount; `problems` says why an amount that is known could not be saved.
    """

    amount: Decimal | None
    usage: Decimal | None
    note: str
    problems: dict[str, Refusal]


def preview_of(session: Session, form: InvoiceForm) -> Preview:
    """The amount of what has been typed: the same computation that saving checks."""
    charges = form.charges()
    unreadable = list(_unreadable(form))
    amount = compute(session, charges)
    problems = {} if unreadable else problems_of(charges, amount)
    notes = unreadable or [_told(form, name, problem) for name, problem in problems.items()]
    is_another = not charges.is_entered and form.amount.data not in (None, amount)
    if is_another and not notes and not form.holds.data:
        notes = [_("Another amount is typed as well. Saving asks which of the two holds.")]
    is_begun = any(form[name].data is not None for name in ("units", "amount")) or (
        is_typed(form.rate, form.proposed_rate)
        or is_typed(form.fixed_charge, form.proposed_fixed_charge)
    )
    return Preview(
        amount=None if unreadable else amount,
        usage=None if unreadable or charges.is_entered else usage_of(session, charges),
        note=notes[0] if notes and (unreadable or is_begun) else "",
        problems=problems,
    )


def _unreadable(form: InvoiceForm) -> Iterator[str]:
    """A sentence for each number that cannot be read and would count."""
    names = ["units", "rate", "fixed_charge"]
    if form.units.data is None and not form.units.process_errors:
        names.append("amount")
    for name in names:
        for message in form[name].process_errors:
            yield _("%(field)s: %(problem)s", field=form[name].label.text, problem=message)


def _told(form: InvoiceForm, name: str, problem: Refusal) -> str:
    return str(_("%(field)s: %(problem)s", field=form[name].label.text, problem=in_words(problem)))
