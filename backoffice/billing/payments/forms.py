"""What may be typed about a payment, a void one's reason, and where a part of a receipt goes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectField, StringField, ValidationError

from ...app.extensions import db
from ...base import periods
from ...base.refusals import Refusal
from ...customers import queries as customers
from ...customers.forms import customer_named
from ...customers.models import Customer
from ...web.form_markup import FormError
from ...web.formats import in_words
from ...web.forms import RecordForm, Required, at_most, must_be_number, trimmed
from ...web.idempotency import new_key
from ...web.typed_fields import AmountField, DayField
from ..forms import not_to_come
from ..models import Invoice
from ..rules import METHODS, NUMBER_LENGTH, is_number
from .actions import ReceiptEntry, is_taken
from .refusals import OverAllocated, ReferenceTaken
from .sheets import Sheet, is_as_shown, sheet_of


class PaymentForm(FlaskForm):
    """A payment: whose, how much, when and how; the sheet under it says what of it goes where."""

    customer = StringField(
        _l("Customer"), filters=[trimmed], validators=[Required(_l("Choose a customer."))]
    )
    amount = AmountField(_l("Amount"), validators=[Required(_l("Enter the amount."))])
    paid_on = DayField(_l("Paid on"), validators=[Required(_l("Enter the day.")), not_to_come])
    method = SelectField(_l("Method"), validate_choice=False)
    reference = StringField(
        _l("Reference"),
        filters=[trimmed],
        validators=[at_most(NUMBER_LENGTH)],
    )
    idempotency_key = HiddenField()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.method.choices = [(name, _(label)) for name, label in METHODS.items()]
        self.form_errors: list[str | FormError] = []
        self.found_customer: Customer | None = None
        self.why_no_customer = ""
        self._typed: Mapping[str, str] = {}

    @classmethod
    def for_new(cls, customer: Customer | None, invoice: Invoice | None) -> "PaymentForm":
        """An empty form; for an invoice, with what is open of it, to be paid first."""
        data: dict[str, Any] = {
            "customer": customers.label(customer) if customer else "",
            "paid_on": periods.today(),
            "method": next(iter(METHODS)),
            "idempotency_key": new_key(),
        }
        typed: dict[str, str] = {}
        if invoice is not None and invoice.is_open:
            data["amount"] = invoice.open
            typed["first"] = str(invoice.id)
        form = cls(formdata=None, data=data)
        form.found_customer, form._typed = customer, typed
        return form

    @classmethod
    def posted(cls) -> "PaymentForm":
        """What was sent, its customer looked up."""
        form = cls()
        form._typed = request.form
        form._look_up()
        return form

    def sheet(self, *, for_saving: bool = False) -> Sheet | None:
        """The customer's open invoices with what of the amount goes to each; None without a customer.

        `for_saving`: as they stand, if they were shown for this very customer and amount.
        """
        customer = self.found_customer
        if customer is None:
            return None
        amount = None if self.amount.process_errors else self.amount.data or Decimal(0)
        follows = not (for_saving and is_as_shown(customer, amount, self._typed))
        own = self.own_of(customer)
        return sheet_of(db.session(), customer, amount, self._typed, own=own, follows=follows)

    def own_of(self, _customer: Customer) -> Mapping[int, Decimal]:
        """What of each invoice is open beside what the books say. A new payment has nothing yet."""
        return {}

    def may_take(self, reference: str) -> bool:
        """Whether no other receipt has the reference; a void one gives it up."""
        return not is_taken(db.session(), reference)

    def named_in_full(self) -> list[dict[str, str]]:
        """The customer's field with code and name, where less was typed."""
        typed = self._typed.get("customer", "")
        full = customers.label(self.found_customer) if self.found_customer else typed
        return [] if typed == full else [{"id": "customer", "was": typed, "now": full}]

    def sheet_refused(self, refusal: Refusal) -> Sheet | None:
        """The sheet with what only writing the payment has shown, said at its field.

        What was sent is checked again: call it once all that is undone, for nothing can be read before.
        """
        self.validate()
        sheet = self.sheet(for_saving=True)
        if isinstance(refusal, OverAllocated) and sheet:
            sheet.blame(int(str(refusal.values["invoice_id"])), in_words(refusal))
        else:
            field = self.reference if isinstance(refusal, ReferenceTaken) else self.amount
            field.errors = [in_words(refusal)]
        show_sheet_errors(self, sheet)
        return sheet

    def entry(self, sheet: Sheet) -> ReceiptEntry:
        """The payment as entered; call it on a valid form and a sheet without errors only."""
        assert self.found_customer is not None
        assert self.paid_on.data is not None
        assert self.amount.data is not None
        return ReceiptEntry(
            customer_id=self.found_customer.id,
            paid_on=self.paid_on.data,
            amount=self.amount.data,
            method=self.method.data,
            parts=sheet.parts(db.session()),
            reference=self.reference.data or "",
        )

    def _look_up(self) -> None:
        """Find the customer that the text names, or say why there is none."""
        text = self.customer.data or ""
        if not text:
            return
        try:
            self.found_customer = customer_named(text)
        except ValidationError as none:
            self.why_no_customer = str(none)

    def validate_customer(self, _field: StringField) -> None:
        """The text names exactly one customer."""
        if self.found_customer is None:
            raise ValidationError(self.why_no_customer)

    def validate_amount(self, field: AmountField) -> None:
        """Nothing was paid with nothing."""
        if field.data is not None and field.data <= 0:
            raise ValidationError(_("Enter an amount above zero."))

    def validate_method(self, field: SelectField) -> None:
        """One of those offered."""
        if field.data not in METHODS:
            raise ValidationError(_("Choose how it was paid."))

    def validate_reference(self, field: StringField) -> None:
        """A reference is part of an address, and no two receipts have the same one; a void one gives it up."""
        if not field.data:
            return
        must_be_number(field.data, is_number)
        if not self.may_take(field.data):
            raise ValidationError(in_words(ReferenceTaken(reference=field.data)))


class PlaceForm(RecordForm):
    """Where a part of a receipt goes: what of it to which invoice, and the rest on a meter."""


def show_sheet_errors(form: PaymentForm | PlaceForm, sheet: Sheet | None) -> None:
    """Let the form's summary say what is wrong in the sheet under it, each with the way to its field."""
    errors = sheet.errors if sheet else ()
    form.form_errors = [FormError(field, "", sentence) for field, sentence in errors]
