"""What may be typed about an invoice. Its amount counts only where there are no units; what is paid is no field."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, HiddenField, StringField, ValidationError

from ...app.extensions import db
from ...customers import queries as customers
from ...customers.forms import customer_named
from ...customers.models import Customer
from ...web.formats import in_words
from ...web.forms import (
    RecordForm,
    Required,
    Stamp,
    at_most,
    must_be_number,
    trimmed,
)
from ...web.idempotency import new_key
from ...web.typed_fields import AmountField, DayField, QuantityField, UnitPriceField
from .. import queries
from ..models import Invoice, Meter
from ..rules import NUMBER_LENGTH, is_number
from .entries import Charges, InvoiceEntry
from .queries import meters_of, number_is_taken
from .refusals import NumberTaken

DAYS_TO_PAY = timedelta(days=30)
"""From the day of an invoice to the day that is proposed as its due date."""


class InvoiceForm(RecordForm):
    """An invoice: whose, for which meter, when, and units × rate + fixed charge or one amount.

    The hidden `proposed_…` hold what was last filled in for a field: what somebody typed stays. `holds` and `anyway`
    answer what the form has asked (`invoice_questions`).
    """

    issued_on = DayField(_l("Issued"), validators=[Required(_l("Enter the day of issue."))])
    due_on = DayField(_l("Due"))
    number = StringField(
        _l("Invoice number"),
        filters=[trimmed],
        validators=[at_most(NUMBER_LENGTH)],
    )
    customer = StringField(
        _l("Customer"), filters=[trimmed], validators=[Required(_l("Choose a customer."))]
    )
    meter = StringField(_l("Meter"), filters=[trimmed])
    units = QuantityField(_l("Units"))
    rate = UnitPriceField(_l("Rate"))
    fixed_charge = AmountField(_l("Fixed charge"), empty_is_zero=True)
    amount = AmountField(_l("Amount"))
    holds = StringField(_l("Which amount holds?"))
    anyway = StringField(_l("Record anyway"))
    proposed_due = HiddenField()
    proposed_rate = HiddenField()
    proposed_fixed_charge = HiddenField()

    def __init__(self, invoice: Invoice | None, **options: Any) -> None:
        """A form for `invoice`; None for a new one."""
        super().__init__(**options)
        self.invoice = invoice
        self.found_customer: Customer | None = None
        self.found_meter: Meter | None = None

    @classmethod
    def for_invoice(cls, invoice: Invoice, entry: InvoiceEntry | None = None) -> "InvoiceForm":
        """The stored invoice for editing, or `entry` over what it holds now."""
        shown = entry or InvoiceEntry.of(invoice)
        meter = db.session.get(Meter, shown.meter_id) if shown.meter_id else None
        charges = shown.charges
        data = {
            "number": shown.number,
            "customer": customers.label(db.session.get_one(Customer, shown.customer_id)),
            "meter": meter.number if meter else "",
            "issued_on": shown.issued_on,
            "due_on": shown.due_on,
            "units": charges.units,
            "rate": charges.rate,
            "fixed_charge": charges.fixed_charge or None,
            "amount": charges.amount if charges.is_entered else None,
            "version": str(Stamp(invoice.id, invoice.version)),
            "base": json.dumps(InvoiceEntry.of(invoice).facts()),
            "idempotency_key": new_key(),
        }
        return cls(invoice, formdata=None, data=data)

    # What was typed

    def charges(self) -> Charges:
        """What the amount is made of: units and rate, or where it is said to hold the amount alone."""
        if (self.holds.data or "").startswith("typed ") and self.amount.data is not None:
            return Charges(amount=self.amount.data)
        return self.usage()

    def usage(self) -> Charges:
        """Units, rate and fixed charge as typed; what is empty or unreadable counts as 0, but empty units mean none."""
        units = self.units.data
        if units is None and self.units.process_errors:
            units = Decimal(0)
        return Charges(
            units=units,
            rate=self.rate.data,
            fixed_charge=self.fixed_charge.data or Decimal(0),
            amount=self.amount.data or Decimal(0),
        )

    def entry(self) -> InvoiceEntry:
        """The invoice as entered; call it on a valid form only."""
        assert self.found_customer is not None
        assert self.issued_on.data is not None
        return InvoiceEntry(
            number=self.number.data or "",
            customer_id=self.found_customer.id,
            meter_id=self.found_meter.id if self.found_meter else None,
            issued_on=self.issued_on.data,
            due_on=self.due_on.data or self.issued_on.data + DAYS_TO_PAY,
            charges=self.charges(),
        )

    def typed_customer(self) -> Customer | None:
        """The one customer that the text names."""
        typed = self.customer.data or ""
        found = customers.meant_by(db.session(), typed) if typed else []
        return found[0] if len(found) == 1 else None

    # What is refused

    def validate_number(self, field: StringField) -> None:
        """An invoice's number is part of its address, and no two invoices have the same one."""
        if not field.data:
            return
        must_be_number(field.data, is_number)
        if number_is_taken(db.session(), field.data, self.invoice.id if self.invoice else None):
            raise ValidationError(in_words(NumberTaken(number=field.data)))

    def validate_customer(self, field: StringField) -> None:
        """The text names exactly one customer."""
        self.found_customer = customer_named(field.data)

    def validate_meter(self, field: StringField) -> None:
        """The text names a meter that is or was the customer's; only an invoice without one may stay so."""
        self.found_meter = queries.meter_of(db.session(), field.data) if field.data else None
        if not field.data:
            if self.invoice is None or self.invoice.meter_id is not None:
                raise ValidationError(
                    _("Choose a meter: without one the invoice would count nowhere.")
                )
            return
        if self.found_meter is None:
            raise ValidationError(_("There is no such meter. Choose one of the customer's."))
        stays = self.invoice is not None and self.invoice.meter_id == self.found_meter.id
        customer = self.typed_customer()
        if customer is None or stays:
            return
        if self.found_meter.id not in {meter.id for meter in meters_of(db.session(), customer.id)}:
            raise ValidationError(
                _(
                    "%(meter)s is no meter of this customer. Choose one of theirs, or assign it to them first.",
                    meter=field.data,
                )
            )

    def validate_due_on(self, field: DayField) -> None:
        """Nothing is due before it is issued."""
        if field.data and self.issued_on.data and field.data < self.issued_on.data:
            raise ValidationError(
                _("This is before the invoice is issued. Choose that day or a later one.")
            )

    def meters(self) -> Sequence[Meter]:
        """The meters to choose from: the typed customer's, those that are theirs now first."""
        customer = self.typed_customer()
        return meters_of(db.session(), customer.id) if customer else []


class MoveForm(RecordForm):
    """Where an invoice goes, and whether its payments go along."""

    meter = StringField(
        _l("Meter"), filters=[trimmed], validators=[Required(_l("Choose a meter."))]
    )
    with_payments = BooleanField(_l("Take the payments that name it along"))

    found_meter: Meter | None = None

    @classmethod
    def for_invoice(cls, invoice: Invoice) -> "MoveForm":
        """A form to move the invoice as it is now, by default with its payments."""
        return cls.over(invoice.id, invoice.version, with_payments=True)

    def validate_meter(self, field: StringField) -> None:
        """There is a meter of that number."""
        self.found_meter = queries.meter_of(db.session(), field.data)
        if self.found_meter is None:
            raise ValidationError(_("There is no such meter. Type its number, or choose it."))
