"""The open invoices under a payment that is being entered: what of it goes to each, and what is left.

What somebody typed stays as it is; what nobody touched follows the amount, oldest first. The form's
hidden field `filled-…` of an invoice says what it was last filled with: another text was typed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from .. import money, periods
from ..customers.models import Customer
from ..formats import money_filter
from ..preferences import number_format
from . import payment_queries as queries
from . import queries as shared
from .allocation import ZERO, Part, Target, meter_for_rest, oldest_first, parts_of, rest_of
from .models import Invoice, Meter

Typed = Mapping[str, str]
"""What a form was sent with."""

_ID = re.compile(r"[0-9]{1,18}", re.ASCII)

REST = "rest_on"
"""The field with the number of the meter on which the rest stays."""


@dataclass
class Line:
    """One open invoice of the sheet. `text` stands in its field; `amount` None: it cannot be read."""

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
        """What stays open of the invoice."""
        return None if self.amount is None else self.open - self.amount

    @property
    def is_overdue(self) -> bool:
        """Whether it should have been paid by now."""
        return self.invoice.due_on < periods.today()


@dataclass
class Sheet:
    """The allocation of one payment as it is being entered.

    `amount` is what is paid, None where it cannot be read yet. `shown_for` names what the sheet
    shows: whose invoices, filled for which amount.
    """

    customer: Customer
    amount: Decimal | None
    lines: list[Line]
    meters: list[Meter]
    rest_on: str = ""
    rest_error: str = ""
    has_more: bool = False
    has_lost: bool = False
    first: str = ""

    @property
    def shown_for(self) -> str:
        """Whose invoices these are, and the amount that they were filled for."""
        return shown_for(self.customer, self.amount)

    @property
    def rest(self) -> Decimal | None:
        """What no invoice takes; None where something cannot be read. Below zero: they get too much."""
        if self.amount is None or any(line.amount is None for line in self.lines):
            return None
        return rest_of(self.amount, self._allocated())

    @property
    def note(self) -> str:
        """What there is to say of the rest: where it stays, or why it cannot be saved."""
        rest = self.rest
        if rest is None or rest == 0:
            return ""
        if rest < 0:
            return str(
                _(
                    "The invoices get %(amount)s more than is paid.",
                    amount=money_filter(-rest, symbol=True),
                )
            )
        if not self.rest_on:
            return str(_("It stays unmatched until somebody says where it belongs."))
        return str(_("It stays on meter %(number)s.", number=self.rest_on))

    @property
    def is_short(self) -> bool:
        """Whether the invoices get more than is paid."""
        return self.rest is not None and self.rest < 0

    @property
    def errors(self) -> list[tuple[str, str]]:
        """What is wrong in it: the id of a field, and a sentence that names the invoice."""
        found = [
            (line.name, f"{line.invoice.number}: {line.error}") for line in self.lines if line.error
        ]
        if self.rest_error:
            found.append((REST, self.rest_error))
        if self.is_short:
            found.append((self.lines[0].name, self.note))
        if self.has_lost:
            said = _(
                "An invoice that had a part of this payment is not open any more. "
                "Look at what goes where, then save again."
            )
            found.append((REST, str(said)))
        return found

    def parts(self, session: Session) -> tuple[Part, ...]:
        """The parts of the payment as the sheet says; call it only where there are no errors."""
        assert self.amount is not None
        meter = shared.meter_of(session, self.rest_on) if self.rest_on else None
        return parts_of(self.amount, self._allocated(), meter.id if meter else None)

    def blame(self, invoice_id: int, sentence: str) -> None:
        """Show what was refused of an invoice at its field; of none that is here, at the meter's."""
        named = [line for line in self.lines if line.invoice.id == invoice_id]
        for line in named:
            line.error = sentence
        if not named:
            self.rest_error = sentence

    def _allocated(self) -> dict[int, Decimal]:
        return {line.invoice.id: line.amount or ZERO for line in self.lines}


def shown_for(customer: Customer, amount: Decimal | None) -> str:
    """What a sheet for this customer and amount is called."""
    return f"{customer.id}:{'' if amount is None else amount}"


def sheet_of(
    session: Session,
    customer: Customer,
    amount: Decimal | None,
    typed: Typed,
    *,
    own: Mapping[int, Decimal] | None = None,
    follows: bool = True,
) -> Sheet:
    """The sheet of a payment of `amount`, with what is `typed` into it.

    `own` is what of an invoice is paid by the very payment. `follows`: what nobody touched is filled
    anew for the amount; else every field counts as it stands.
    """
    own, is_shown = own or {}, _is_of(customer, typed)
    named = set(_named(typed)) if is_shown else set()
    first = typed.get("first", "")
    also = named | set(own) | ({int(first)} if _ID.fullmatch(first) else set())
    found = queries.payable_invoices(session, customer.id, also, queries.MOST_OFFERED + 1)
    shown = sorted(found[: queries.MOST_OFFERED], key=lambda invoice: str(invoice.id) != first)
    lines = [_line(i, own.get(i.id, ZERO), typed if is_shown else {}) for i in shown]
    _share(lines, amount or ZERO, follows)
    meters = queries.meters_by_newest_invoice(session, customer.id)
    sheet = Sheet(customer, amount, lines, meters, has_more=len(found) > len(shown), first=first)
    sheet.has_lost = not named <= {invoice.id for invoice in found}
    _place_rest(session, sheet, typed if is_shown else {})
    return sheet


def is_as_shown(customer: Customer, amount: Decimal | None, typed: Typed) -> bool:
    """Whether what stands in the fields was filled for this very customer and amount: it counts as it is."""
    return typed.get("shown_for") == shown_for(customer, amount)


def changed(sheet: Sheet, typed: Typed) -> list[dict[str, str]] | None:
    """The page's fields that hold something else now; None where it must be drawn anew.

    Each with what it held: where somebody has typed since, the page leaves it alone.
    """
    now = {"shown_for": sheet.shown_for}
    for line in sheet.lines:
        now |= {line.name: line.text, f"filled-{line.invoice.id}": line.filled}
    if not _is_of(sheet.customer, typed) or not set(now) <= set(typed):
        return None
    return [
        {"id": name, "was": typed[name], "now": text}
        for name, text in now.items()
        if typed[name].strip() != text
    ]


def _is_of(customer: Customer, typed: Typed) -> bool:
    """Whether it is this customer's invoices that the page shows."""
    return typed.get("shown_for", "").partition(":")[0] == str(customer.id)


def _named(typed: Typed) -> Iterator[int]:
    """The invoices to which something was typed or filled."""
    for name, text in typed.items():
        head, _dash, key = name.partition("-")
        if head == "to" and _ID.fullmatch(key) and text.strip():
            yield int(key)


def _line(invoice: Invoice, own: Decimal, typed: Typed) -> Line:
    line = Line(invoice, max(invoice.amount - invoice.paid + own, own))
    if line.name not in typed:
        return line
    line.text = typed[line.name].strip()
    line.filled = typed.get(f"filled-{invoice.id}", "").strip()
    line.is_touched = line.text != line.filled
    try:
        line.amount = (
            money.parse_amount(line.text, number_format(), minimum=ZERO) if line.text else ZERO
        )
    except money.AmountError as refusal:
        line.amount, line.error = None, str(_(refusal.message, **refusal.params))
    if line.amount is not None and line.amount > max(line.open, ZERO):
        still_open = money_filter(max(line.open, ZERO), symbol=True)
        line.error = str(_("Only %(amount)s is open.", amount=still_open))
    return line


def _share(lines: list[Line], amount: Decimal, follows: bool) -> None:
    """Fill what nobody touched with what is left for it."""
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


def _place_rest(session: Session, sheet: Sheet, typed: Typed) -> None:
    """Read the meter of the rest, or propose one."""
    if REST in typed:
        sheet.rest_on = typed[REST].strip()
        if sheet.rest_on and shared.meter_of(session, sheet.rest_on) is None:
            said = _(
                "There is no meter %(number)s. Choose one from the list.", number=sheet.rest_on
            )
            sheet.rest_error = str(said)
        return
    numbers = {meter.id: meter.number for meter in sheet.meters}
    for line in sheet.lines:
        if line.invoice.meter is not None:
            numbers[line.invoice.meter.id] = line.invoice.meter.number
    targets = [Target(ln.invoice.id, ln.invoice.meter_id or 0, ln.open) for ln in sheet.lines]
    proposed = meter_for_rest([meter.id for meter in sheet.meters], targets)
    sheet.rest_on = numbers.get(proposed or 0, "")
