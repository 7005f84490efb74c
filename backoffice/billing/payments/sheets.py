"""The allocation sheet below a payment form: its open invoices, the amount allocated to each, and the rest.

Typed amounts are kept; all others follow the amount, oldest first. An invoice's hidden field
`filled-…` holds what was last filled in: any other text was typed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...base import money, periods
from ...base.identifiers import whole_number
from ...customers.models import Customer
from ...web.formats import in_words, money_filter
from ...web.preferences import input_format, number_format
from .. import queries as shared
from ..models import Invoice, Meter
from . import queries
from .allocation import (
    ZERO,
    Part,
    Target,
    excess_of,
    left_of,
    meter_for_rest,
    oldest_first,
    open_for,
    parts_of,
    rest_of,
)
from .refusals import InvoiceOfAnother, MeterOfAnother

Typed = Mapping[str, str]
"""The posted form data."""

_ID = re.compile(r"[0-9]{1,18}", re.ASCII)

REST = "rest_on"
"""The field with the number of the meter for the rest."""


@dataclass
class AllocationLine:
    """One open invoice of the sheet. `text` is its field's text; `amount` is None where that cannot be read."""

    invoice: Invoice
    open: Decimal
    text: str = ""
    filled: str = ""
    amount: Decimal | None = ZERO
    is_touched: bool = False
    error: str = ""

    @property
    def name(self) -> str:
        """The field's name and id."""
        return f"to-{self.invoice.id}"

    @property
    def left(self) -> Decimal | None:
        """The open amount of the invoice after this payment."""
        return None if self.amount is None else left_of(self.open, self.amount)

    @property
    def is_overdue(self) -> bool:
        """Whether its due date has passed."""
        return self.invoice.due_on < periods.today()


@dataclass
class AllocationSheet:
    """The allocation of one payment as it is being entered.

    `amount` is what is paid, None where it cannot be read yet. `shown_for` identifies the customer and
    the amount that the sheet was filled for.
    """

    customer: Customer
    amount: Decimal | None
    lines: list[AllocationLine]
    meters: list[Meter]
    rest_on: str = ""
    rest_error: str = ""
    has_more: bool = False
    has_lost: bool = False
    foreign: str = ""
    first: str = ""

    @property
    def shown_for(self) -> str:
        """The customer and the amount that the sheet was filled for, as a form value."""
        return shown_for(self.customer, self.amount)

    @property
    def rest(self) -> Decimal | None:
        """The rest that no invoice takes; None where an amount cannot be read. Below zero: they get too much."""
        if self.amount is None or any(line.amount is None for line in self.lines):
            return None
        return rest_of(self.amount, self._allocated())

    @property
    def note(self) -> str:
        """The sentence about the rest: where it stays, or why the sheet cannot be saved."""
        rest = self.rest
        if self.amount is None or not rest:
            return ""
        if rest < 0:
            return str(
                _(
                    "The invoices get %(amount)s more than is paid.",
                    amount=money_filter(excess_of(self.amount, self._allocated()), symbol=True),
                )
            )
        if not self.rest_on:
            return str(_("It stays unmatched until a user says where it belongs."))
        return str(_("It stays on meter %(number)s.", number=self.rest_on))

    @property
    def is_short(self) -> bool:
        """Whether the invoices get more than is paid."""
        return self.rest is not None and self.rest < 0

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The errors of the sheet: the id of a field, and a sentence that names the invoice."""
        found = [
            (line.name, f"{line.invoice.number}: {line.error}") for line in self.lines if line.error
        ]
        if self.rest_error:
            found.append((REST, self.rest_error))
        if self.is_short:
            found.append((self.lines[0].name, self.note))
        if self.foreign:
            found.append((REST, in_words(InvoiceOfAnother(number=self.foreign))))
        if self.has_lost:
            said = _(
                "An invoice that had a part of this payment is not open any more. "
                "Look at what goes where, then save again."
            )
            found.append((REST, str(said)))
        return found

    def parts(self, session: Session) -> tuple[Part, ...]:
        """The parts of the payment as allocated; call it only without errors."""
        assert self.amount is not None
        meter = shared.meter_of(session, self.rest_on) if self.rest_on else None
        return parts_of(self.amount, self._allocated(), meter.id if meter else None)

    def add_errors(self, invoice_id: int, sentence: str) -> None:
        """Show a refusal at the field of its invoice; at the meter's field if the sheet does not show that invoice."""
        named = [line for line in self.lines if line.invoice.id == invoice_id]
        for line in named:
            line.error = sentence
        if not named:
            self.rest_error = sentence

    def _allocated(self) -> dict[int, Decimal]:
        return {line.invoice.id: line.amount or ZERO for line in self.lines}


def shown_for(customer: Customer, amount: Decimal | None) -> str:
    """The form value for this customer and amount; the same for a typed and a stored amount."""
    return f"{customer.id}:{'' if amount is None else money.format_amount(amount, 'plain')}"


def sheet_of(
    session: Session,
    customer: Customer,
    amount: Decimal | None,
    typed: Typed,
    *,
    own: Mapping[int, Decimal] | None = None,
    own_meter: str = "",
    follows: bool = True,
) -> AllocationSheet:
    """The sheet of a payment of `amount`, with what is `typed` into it.

    `own` is what the payment itself has on each invoice, `own_meter` its meter. `follows`: fields that
    were not typed are filled anew for the amount; else every field counts as posted.
    """
    own, counts = own or {}, typed if _is_shown_for(customer, typed) else {}
    named, first = set(_named_invoices(counts)), whole_number(typed.get("first"))
    found, has_more = _offered_invoices(session, customer, named | {first}, own)
    first = first if first in {invoice.id for invoice in found} else 0
    found.sort(key=lambda i: (i.id != first, i.due_on, i.issued_on, i.id))
    lines = [_allocation_line(invoice, own.get(invoice.id, ZERO), counts) for invoice in found]
    _allocate(lines, amount or ZERO, follows)
    meters = queries.meters_by_newest_invoice(session, customer.id)
    sheet = AllocationSheet(
        customer, amount, lines, meters, has_more=has_more, first=str(first or "")
    )
    lost = named - {invoice.id for invoice in found}
    foreign = queries.of_another_customer(session, customer.id, lost)
    sheet.foreign, sheet.has_lost = ", ".join(foreign), len(lost) > len(foreign)
    _place_rest(session, sheet, counts, own_meter)
    return sheet


def is_as_shown(customer: Customer, amount: Decimal | None, typed: Typed) -> bool:
    """Whether the posted fields were filled for this customer and amount, so that they count as posted."""
    return typed.get("shown_for") == shown_for(customer, amount)


def changed_fields(sheet: AllocationSheet, typed: Typed) -> list[dict[str, str]] | None:
    """The page's fields with another text now; None where the sheet must be rendered anew.

    Each with its former text, so that the page keeps a field that was typed into since.
    """
    now = {"shown_for": sheet.shown_for}
    for line in sheet.lines:
        now |= {line.name: line.text, f"filled-{line.invoice.id}": line.filled}
    if not _is_shown_for(sheet.customer, typed) or not set(now) <= set(typed):
        return None
    return [
        {"id": name, "was": typed[name], "now": text}
        for name, text in now.items()
        if typed[name].strip() != text
    ]


def _is_shown_for(customer: Customer, typed: Typed) -> bool:
    """Whether the page shows this customer's invoices."""
    return typed.get("shown_for", "").partition(":")[0] == str(customer.id)


def _offered_invoices(
    session: Session, customer: Customer, chosen: set[int], own: Mapping[int, Decimal]
) -> tuple[list[Invoice], bool]:
    """The invoices that the sheet shows, and whether more are open than that."""
    most = queries.MOST_OFFERED
    found = queries.payable_invoices(session, customer.id, chosen, own=own, limit=most + 1)
    return found[:most], len(found) > most


def _named_invoices(typed: Typed) -> Iterator[int]:
    """The ids of the invoices with a non-empty field."""
    for name, text in typed.items():
        head, _dash, key = name.partition("-")
        if head == "to" and _ID.fullmatch(key) and text.strip():
            yield int(key)


def _allocation_line(invoice: Invoice, own: Decimal, typed: Typed) -> AllocationLine:
    line = AllocationLine(invoice, open_for(invoice.open, own))
    if line.name not in typed:
        return line
    line.text = typed[line.name].strip()
    line.filled = typed.get(f"filled-{invoice.id}", "").strip()
    line.is_touched = line.text != line.filled
    try:
        line.amount = (
            money.parse_amount(line.text, input_format(), minimum=ZERO) if line.text else ZERO
        )
    except money.AmountError as refusal:
        line.amount, line.error = None, str(_(refusal.message, **refusal.params))
    if line.amount is not None and line.amount > max(line.open, ZERO):
        still_open = money_filter(max(line.open, ZERO), symbol=True)
        line.error = str(_("Only %(amount)s is open.", amount=still_open))
    return line


def _allocate(lines: list[AllocationLine], amount: Decimal, follows: bool) -> None:
    """Fill the fields that were not typed with their share of the amount."""
    fixed = {
        line.invoice.id: line.amount or ZERO for line in lines if line.is_touched or not follows
    }
    targets = [Target(ln.invoice.id, ln.invoice.meter_id or 0, ln.open) for ln in lines]
    allocated = oldest_first(amount, targets, fixed)
    for line in lines:
        if line.invoice.id not in fixed:
            given = allocated[line.invoice.id]
            line.amount, line.error = given, ""
            line.text = line.filled = money.format_amount(given, number_format()) if given else ""


def _place_rest(session: Session, sheet: AllocationSheet, typed: Typed, own_meter: str) -> None:
    """Set the posted meter of the rest, or propose one."""
    numbers = {meter.id: meter.number for meter in sheet.meters}
    for line in sheet.lines:
        if line.invoice.meter is not None:
            numbers[line.invoice.meter.id] = line.invoice.meter.number
    if REST in typed:
        sheet.rest_on = typed[REST].strip()
        if sheet.rest_on not in {"", own_meter, *numbers.values()}:
            sheet.rest_error = _rest_refusal(session, sheet.customer, sheet.rest_on)
        return
    targets = [Target(ln.invoice.id, ln.invoice.meter_id or 0, ln.open) for ln in sheet.lines]
    proposed = meter_for_rest([meter.id for meter in sheet.meters], targets)
    sheet.rest_on = numbers.get(proposed or 0, "")


def _rest_refusal(session: Session, customer: Customer, number: str) -> str:
    """Why the rest cannot stay on the meter of that number; empty where it can."""
    meter = shared.meter_of(session, number)
    if meter is None:
        return str(_("There is no meter %(number)s. Choose one from the list.", number=number))
    if queries.was_ever_theirs(session, customer.id, meter.id):
        return ""
    return in_words(MeterOfAnother(number=number))
