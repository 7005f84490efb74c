"""The payment status of an invoice: void, paid, overdue, part paid or open, for Python and SQL alike."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Date, and_, bindparam, case, literal, not_

from ..base import N_, periods
from .models import Invoice
from .rules import VOID

Holds = Callable[[Any, Any], Any]
"""Whether a status holds for an invoice today. Given the mapped class it is a SQL condition."""


@dataclass(frozen=True)
class InvoiceWord:
    """A payment status: its name in URLs, its label on screen, its tone, and its condition."""

    name: str
    label: str
    tone: str
    holds: Holds


INVOICE_WORDS = (
    InvoiceWord("void", N_("Void"), "void", lambda invoice, _: invoice.status == VOID),
    InvoiceWord(
        "paid", N_("Paid in full"), "good", lambda invoice, _: invoice.paid >= invoice.amount
    ),
    InvoiceWord("overdue", N_("Overdue"), "bad", lambda invoice, today: invoice.due_on < today),
    InvoiceWord("part_paid", N_("Part paid"), "warning", lambda invoice, _: invoice.paid > 0),
    InvoiceWord("open", N_("Unpaid"), "info", lambda _invoice, _: True),
)
"""In order: the first one that holds is the invoice's. An overdue invoice may be part paid."""

LABELS_OF_WORDS = {word.name: word.label for word in INVOICE_WORDS}
TONES_OF_WORDS = {word.name: word.tone for word in INVOICE_WORDS}

TODAY: ColumnElement[date] = bindparam("today", callable_=periods.today, type_=Date, unique=True)
"""Today in the business time zone, evaluated whenever a statement that contains it is executed."""


def word_of(invoice: Invoice, today: date | None = None) -> InvoiceWord:
    """The status of a stored invoice, today or on another day."""
    day = today or periods.today()
    return next(word for word in INVOICE_WORDS if word.holds(invoice, day))


def is_called(name: str, today: Any = TODAY) -> ColumnElement[bool]:
    """The condition that an invoice has the status of that name; it can use an index."""
    names = [word.name for word in INVOICE_WORDS]
    *earlier, own = INVOICE_WORDS[: names.index(name) + 1]
    return and_(*(not_(_condition(word, today)) for word in earlier), _condition(own, today))


def word_column(today: Any = TODAY) -> ColumnElement[str]:
    """The name of an invoice's status, in SQL."""
    return case(*((_condition(word, today), word.name) for word in INVOICE_WORDS))


def _condition(word: InvoiceWord, today: Any) -> ColumnElement[bool]:
    condition = word.holds(Invoice, today)
    return literal(True, Boolean) if condition is True else condition
