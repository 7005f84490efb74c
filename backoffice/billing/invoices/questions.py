"""What the invoice form asks before it saves: which of two amounts holds, and whether an invoice is a second one."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import extract, select
from sqlalchemy.orm import Session

from ..models import Invoice
from ..rules import VOID
from .actions import compute
from .entries import InvoiceEntry
from .forms import InvoiceForm

COMPUTED, TYPED = "computed", "typed"

MOST_NAMED = 5
"""Invoices like the one that is entered that are named."""


@dataclass(frozen=True)
class TwoAmounts:
    """Units × rate and the fixed charge come to `computed`, and `typed` is typed as the amount."""

    computed: Decimal
    typed: Decimal

    def answer(self, which: str) -> str:
        """What the form sends when that one is chosen: it answers this question and no later one."""
        return f"{which} {self.computed} {self.typed}"


@dataclass(frozen=True)
class Same:
    """Invoices of the same meter, month and amount that there are already."""

    numbers: Sequence[str]

    @property
    def answer(self) -> str:
        """What the form sends when it shall be recorded all the same."""
        return " / ".join(self.numbers)


def unanswered(session: Session, form: InvoiceForm, entry: InvoiceEntry) -> dict[str, Any]:
    """What has to be answered before `entry` is saved, by the name of the question; nothing: it may be."""
    both = two_amounts(session, form)
    if both is not None and form.holds.data not in (both.answer(COMPUTED), both.answer(TYPED)):
        return {"two_amounts": both}
    same = same_as(session, form, entry)
    if same is not None and form.anyway.data != same.answer:
        return {"two_amounts": both, "same": same}
    return {}


def two_amounts(session: Session, form: InvoiceForm) -> TwoAmounts | None:
    """The two amounts of a form that says both; None where they agree, or one of them is missing or unreadable."""
    typed, charges = form.amount.data, form.usage()
    if typed is None or charges.units is None or charges.rate is None:
        return None
    if form.units.process_errors or form.rate.process_errors or form.fixed_charge.process_errors:
        return None
    computed = compute(session, charges)
    return None if computed == typed else TwoAmounts(computed, typed)


def same_as(session: Session, form: InvoiceForm, entry: InvoiceEntry) -> Same | None:
    """Posted invoices like the one that is entered; None where there are none, or it was one of them before."""
    amount = compute(session, entry.charges)
    stored, day = form.invoice, entry.issued_on
    if stored is not None:
        was = stored.meter_id, stored.amount, stored.issued_on.replace(day=1)
        if was == (entry.meter_id, amount, day.replace(day=1)):
            return None
    found = (
        select(Invoice.number)
        .where(
            Invoice.meter_id == entry.meter_id,
            Invoice.amount == amount,
            Invoice.status != VOID,
            Invoice.id != (stored.id if stored else 0),
            extract("year", Invoice.issued_on) == day.year,
            extract("month", Invoice.issued_on) == day.month,
        )
        .order_by(Invoice.number)
        .limit(MOST_NAMED)
    )
    numbers = session.scalars(found).all()
    return Same(numbers) if numbers else None
