"""The forms of payments: recording one, replacing one, and moving a part of a receipt."""

import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import TextAreaField

from ...app.extensions import db
from ...audit.histories import Event
from ...base.money import format_amount
from ...base.refusals import Invalid, Refusal
from ...customers import queries as customers
from ...customers.models import Customer
from ...records.declaration import Row
from ...records.forms import OfRecord
from ...records.history import events_of
from ...web.form_markup import FormError
from ...web.formats import in_words
from ...web.forms import RecordForm, Required, at_most, trimmed
from ...web.preferences import number_format
from ..invoices.queries import invoice_of
from ..meters.refusals import TooMuchOwed
from ..models import Invoice, Payment
from ..rules import REASON_LENGTH, VOID
from . import actions
from .actions import ReceiptEntry
from .allocation import Part, by_invoice, total_of
from .fields import AMOUNT, PARTS
from .queries import of_another_customer
from .refusals import (
    InvoiceHasNoMeter,
    InvoiceIsVoid,
    InvoiceOfAnother,
    NoSuchInvoice,
    OverAllocated,
    PartsDontAddUp,
)
from .sheets import REST, AllocationSheet, is_as_shown, sheet_of, shown_for

_OWN = re.compile(actions.OWN_REFERENCE.format(year="[0-9]{4}") + "[0-9]+", re.ASCII)
"""A generated reference, which a replacement does not keep: it gets the next one."""


def _first_of_address() -> dict[str, str]:
    """The form data of an opened form: the invoice in the URL is paid first."""
    invoice = invoice_of(db.session(), request.args.get("invoice", ""))
    return {"first": str(invoice.id)} if invoice and invoice.is_open else {}


PLACE = "place-of-"
"""The prefix of the form values that say which sent part a field of the sheet is from: `parts-0-amount`."""

TOTAL = "parts_total"
"""The form value with the total of the parts that an API request has sent."""


def _payable(number: str, payer: Customer) -> Invoice:
    """The invoice of that number. Raises the refusal of one that the payer cannot pay."""
    invoice = invoice_of(db.session(), number)
    if invoice is None:
        raise NoSuchInvoice(number=number[:100])
    if invoice.status == VOID:
        raise InvoiceIsVoid(number=number)
    if of_another_customer(db.session(), payer.id, [invoice.id]):
        raise InvoiceOfAnother(number=number)
    if invoice.meter_id is None:
        raise InvoiceHasNoMeter(number=number)
    return invoice


class PaymentForm(OfRecord):
    """A payment: customer, amount, day and method; the sheet below it allocates the amount."""

    inputs_page = "billing/payment_inputs.html"
    outputs = "billing/payment_outputs.html"
    classes = "order-form payment-form"

    def __init__(self, row: Row | None = None, **options: Any) -> None:
        super().__init__(row, **options)
        sent = options.get("formdata", request.form)
        self._typed: Mapping[str, str] = _first_of_address() if sent is None else sent
        self._is_saving, self._refusal = False, Refusal()

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        """Defaults from the URL: a customer, or an invoice that is to be paid first."""
        invoice = invoice_of(db.session(), request.args.get("invoice", ""))
        customer = invoice.customer if invoice else None
        if customer is None:
            customer = customers.by_code(db.session(), request.args.get("customer", ""))
            customer = customers.survivor_of(db.session(), customer) if customer else None
        amount = invoice.open if invoice and invoice.is_open else None
        return super().suggested() | {
            "customer": customer.id if customer else None,
            "amount": amount,
        }

    @classmethod
    def typed(
        cls, row: Row | None, facts: Mapping[str, Any], given: Collection[str]
    ) -> MultiDict[str, str]:
        """The form data of an API request, as typed into the sheet; without parts the oldest invoice is paid first."""
        typed = super().typed(row, {n: f for n, f in facts.items() if n != "parts"}, given)
        payers = customers.meant_by(db.session(), typed.get("customer", ""))
        if (parts := facts.get("parts")) is None or len(payers) != 1:
            return typed
        amount = AMOUNT.data(typed["amount"])
        total = total_of(Part(Decimal(part["amount"])) for part in parts)
        typed.update({"shown_for": shown_for(payers[0], amount), REST: "", TOTAL: str(total)})
        problems = []
        for number, part in enumerate(parts):
            if not part.get("invoice"):
                typed[REST] = part.get("meter") or ""
                typed[f"{PLACE}{REST}"] = f"{PARTS}-{number}-meter"
                continue
            try:
                invoice = _payable(part["invoice"], payers[0])
            except Refusal as refusal:
                problems.append((f"{PARTS}-{number}-invoice", in_words(refusal)))
            else:
                typed[f"to-{invoice.id}"] = part["amount"]
                typed[f"{PLACE}to-{invoice.id}"] = f"{PARTS}-{number}-amount"
        if problems:
            raise Invalid(problems)
        return typed

    @property
    def payer(self) -> Customer | None:
        """The chosen customer, if there is one."""
        return db.session.get(Customer, self.customer.data) if self.customer.data else None

    def sheet(self) -> AllocationSheet | None:
        """The customer's open invoices with the amount allocated to each; None without a customer.

        When saving, the fields count as posted if the sheet was shown for this customer and amount.
        """
        customer = self.payer
        if customer is None:
            return None
        amount = None if self.amount.process_errors else self.amount.data or Decimal(0)
        follows = not (self._is_saving and is_as_shown(customer, amount, self._typed))
        own = self.own_of(customer)
        sheet = sheet_of(db.session(), customer, amount, self._typed, own=own, follows=follows)
        if isinstance(self._refusal, OverAllocated):
            sheet.add_errors(int(str(self._refusal.values["invoice_id"])), in_words(self._refusal))
        return sheet

    def own_of(self, _customer: Customer) -> Mapping[int, Decimal]:
        """What this payment has already paid of each invoice. A new payment has nothing yet."""
        return {}

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether the form and the sheet below it are valid."""
        self._is_saving = True
        is_valid = super().validate(extra_validators)
        return not self.live()["sheet_errors"] and is_valid

    def live(self) -> dict[str, Any]:
        """The sheet, and its errors for the summary, each linked to its field."""
        sheet, total = self.sheet(), self._typed.get(TOTAL, "")
        errors = sheet_errors(sheet) if self._is_saving else []
        if total and self.amount.data and Decimal(total) != self.amount.data:
            refusal = PartsDontAddUp(parts=Decimal(total), amount=self.amount.data)
            errors.append(FormError(PARTS, "", in_words(refusal)))
        self.form_errors = errors
        return {"sheet": sheet, "sheet_errors": errors}

    def named_in_full(self) -> list[dict[str, str]]:
        """A change of the customer's field to code and name, where less was typed."""
        typed = self._typed.get("customer", "")
        full = customers.label(self.payer) if self.payer else typed
        return [] if typed == full else [{"id": "customer", "was": typed, "now": full}]

    def shows(self, refusal: Refusal) -> bool:
        """Show a refusal that came up while writing, at an invoice of the sheet or at a field."""
        self._refusal = refusal
        if isinstance(refusal, OverAllocated):
            field = f"to-{refusal.values['invoice_id']}"
            self.form_errors = [FormError(field, "", in_words(refusal))]
            return True
        if isinstance(refusal, TooMuchOwed):
            self.add_errors({"amount": refusal})
            return True
        return super().shows(refusal)

    def error_messages(self) -> list[tuple[str, str]]:
        """The errors by field; for an API request those of the sheet are errors of its `parts`."""
        errors, places = super().error_messages(), self._typed
        return [
            (name if name in self else places.get(PLACE + name, PARTS), message)
            for name, message in errors
        ]

    def values(self) -> Any:  # a ReceiptEntry, for the record's own actions
        """The payment as entered; call it on a valid form only."""
        sheet = self.sheet()
        assert sheet is not None
        return ReceiptEntry(
            customer_id=self.customer.data,
            paid_on=self.paid_on.data,
            amount=self.amount.data,
            method=self.method.data,
            parts=sheet.parts(db.session()),
            reference=self.reference.data or "",
        )


class ReplacementForm(PaymentForm):
    """A payment that replaces a recorded one: prefilled with it, and with the reason for voiding that."""

    reason = TextAreaField(
        _l("Reason"),
        filters=[trimmed],
        validators=[
            Required(_l("Say why it becomes void. The reason is kept with it.")),
            at_most(REASON_LENGTH),
        ],
    )
    newest: Event | None = None

    @classmethod
    def over_row(cls, row: Payment, facts: Mapping[str, str] | None = None) -> Self:
        """The form prefilled with the receipt, including its allocation."""
        form, total = super().over_row(row, facts), total_of(row.parts)
        form.amount.data = total
        if _OWN.fullmatch(row.reference):
            form.reference.data = ""
        form._typed, form._is_saving = _as_recorded(row.parts, total), True
        return form

    row: Payment

    def own_of(self, customer: Customer) -> Mapping[int, Decimal]:
        """What the receipt has paid of each invoice: open again, for the same customer."""
        return by_invoice(part for part in self.row.parts if part.customer_id == customer.id)

    def merged(self, session: Session, row: Payment) -> tuple[Self, None]:
        """The same entries over the receipt as it is now; none of its values is taken over."""
        again = type(self)(row)
        again.validate()
        again.newest = next(iter(events_of(session, self.record, row)), None)
        again.reopen(row.id, self.record.version_of(row))
        return again, None

    def beside(self) -> dict[str, Any]:
        """The total that becomes void, and the meters of its parts without an invoice."""
        rests = {
            p.meter.number if p.meter else _("No meter") for p in self.row.parts if not p.invoice
        }
        return {"total": total_of(self.row.parts), "rests": sorted(rests), "newest": self.newest}

    def values(self) -> Any:
        """The reason, and the payment as entered."""
        return self.reason.data, super().values()


def _as_recorded(parts: Sequence[Payment], total: Decimal) -> dict[str, str]:
    """The form data of the sheet as the receipt was allocated; its fields count as filled in, not as typed."""
    style, typed = number_format(), {"shown_for": shown_for(parts[0].customer, total)}
    for part in parts:
        if part.invoice_id is None:
            typed.setdefault(REST, part.meter.number if part.meter else "")
    for invoice_id, amount in by_invoice(parts).items():
        text = format_amount(amount, style)
        typed |= {f"to-{invoice_id}": text, f"filled-{invoice_id}": text}
    return typed


class PlaceForm(RecordForm):
    """Moving a part of a receipt: its allocation to invoices, and the meter of the rest."""


def sheet_errors(sheet: AllocationSheet | None) -> list[str | FormError]:
    """The errors of a sheet for the summary of its form, each linked to its field."""
    return [FormError(field, "", sentence) for field, sentence in (sheet.errors if sheet else ())]
