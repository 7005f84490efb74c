"""What may be typed about an adjustment: what is to be owed more or less, from when, and why."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField, ValidationError

from ...base import periods
from ...customers.forms import customer_named
from ...customers.models import Customer
from ...web.forms import RecordForm, Required, Stamp, at_most, must_be_number, tidy
from ...web.idempotency import new_key
from ...web.typed_fields import AmountField, DayField
from ..forms import not_to_come
from ..models import Meter
from ..rules import NUMBER_LENGTH, REASON_LENGTH, is_number
from .actions import AdjustmentEntry, AdjustmentOfNothing


class AdjustmentForm(RecordForm):
    """A new adjustment of a meter. `number` and `customer` may stay empty: both are known."""

    amount = AmountField(_l("Amount"), minimum=None, validators=[Required(_l("Enter an amount."))])
    reason = TextAreaField(
        _l("Reason"),
        filters=[tidy],
        validators=[
            Required(_l("Say why, in a few words.")),
            at_most(REASON_LENGTH),
        ],
    )
    adjusted_on = DayField(_l("Day"), validators=[Required(_l("Enter a day.")), not_to_come])
    customer = StringField(_l("Customer"), filters=[tidy])
    number = StringField(
        _l("Number"),
        filters=[tidy],
        validators=[at_most(NUMBER_LENGTH)],
    )
    found_customer: Customer | None = None

    def __init__(self, meter: Meter, **options: Any) -> None:
        """A form for an adjustment of `meter`."""
        super().__init__(**options)
        self.meter = meter

    @classmethod
    def for_new(cls, meter: Meter) -> "AdjustmentForm":
        """A form of today."""
        data = {
            "adjusted_on": periods.today(),
            "version": str(Stamp(meter.id, meter.version)),
            "idempotency_key": new_key(),
        }
        return cls(meter, formdata=None, data=data)

    def validate_amount(self, field: AmountField) -> None:
        """An adjustment changes what is owed."""
        if field.data == 0:
            raise ValidationError(_(AdjustmentOfNothing.sentence))

    def validate_customer(self, field: StringField) -> None:
        """Empty, or the text names exactly one customer."""
        if field.data:
            self.found_customer = customer_named(field.data)

    def validate_number(self, field: StringField) -> None:
        """Empty, or something that can be part of an address."""
        if field.data:
            must_be_number(field.data, is_number)

    def entry(self) -> AdjustmentEntry:
        """The adjustment as entered; call it on a valid form only."""
        assert self.adjusted_on.data is not None
        assert self.amount.data is not None
        return AdjustmentEntry(
            meter_id=self.meter.id,
            adjusted_on=self.adjusted_on.data,
            amount=self.amount.data,
            reason=self.reason.data or "",
            number=self.number.data or "",
            customer_id=self.found_customer.id if self.found_customer else None,
        )
