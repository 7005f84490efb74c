"""What may be typed about a meter, and about whose it is. Figures are no fields, so posting one has no effect."""

import json
from datetime import date
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, StringField, ValidationError

from ...app.extensions import db
from ...base import periods
from ...base.refusals import Refusal
from ...customers.forms import customer_named
from ...customers.models import Customer
from ...web.forms import RecordForm, Required, Stamp, at_most, must_be_number, tidy
from ...web.idempotency import new_key
from ...web.typed_fields import DayField
from ..forms import unless
from ..models import Meter, MeterAssignment
from ..queries import meter_of
from ..rules import NUMBER_LENGTH, is_number
from .actions import Days, MeterEntry, refuse_day_to_come
from .refusals import MeterNumberTaken
from .wording import in_words

DESCRIPTION_LENGTH = 200


class MeterRecordForm(RecordForm):
    """A form about a meter; a refusal may name days."""

    def in_words(self, refusal: Refusal) -> str:
        """The sentence, its days as they are written on the screens of meters."""
        return in_words(refusal)


class MeterForm(MeterRecordForm):
    """A meter: its number, and what one knows it by."""

    number = StringField(
        _l("Number"),
        filters=[tidy],
        validators=[
            Required(_l("Enter the number of the meter.")),
            at_most(NUMBER_LENGTH),
        ],
    )
    description = StringField(
        _l("Description"),
        filters=[tidy],
        validators=[at_most(DESCRIPTION_LENGTH)],
    )

    def __init__(self, meter: Meter | None, **options: Any) -> None:
        """A form for `meter`; None: a new one."""
        super().__init__(**options)
        self.meter = meter

    @classmethod
    def for_new(cls) -> "MeterForm":
        """An empty form."""
        return cls(None, formdata=None, data={"idempotency_key": new_key()})

    @classmethod
    def for_meter(cls, meter: Meter, entry: MeterEntry | None = None) -> "MeterForm":
        """The stored meter for editing; with `entry` instead of what is stored."""
        stored = MeterEntry.of(meter).facts()
        data = {
            **(entry.facts() if entry else stored),
            "version": str(Stamp(meter.id, meter.version)),
            "base": json.dumps(stored),
            "idempotency_key": new_key(),
        }
        return cls(meter, formdata=None, data=data)

    def entry(self) -> MeterEntry:
        """The meter as entered."""
        return MeterEntry(self.number.data or "", self.description.data or "")

    def validate_number(self, field: StringField) -> None:
        """A number is part of an address, and no two meters have the same one."""
        is_kept = self.meter is not None and field.data == self.meter.number
        if not is_kept:
            must_be_number(field.data, is_number)
        other = meter_of(db.session(), field.data)
        if other is not None and (self.meter is None or other.id != self.meter.id):
            raise ValidationError(in_words(MeterNumberTaken(number=field.data)))


class _OfCustomer(MeterRecordForm):
    """A form in which a customer is typed."""

    customer = StringField(
        _l("Customer"), filters=[tidy], validators=[Required(_l("Choose a customer."))]
    )
    found_customer: Customer | None = None

    def validate_customer(self, field: StringField) -> None:
        """The text names exactly one customer."""
        self.found_customer = customer_named(field.data)

    @property
    def customer_id(self) -> int:
        """The customer that was found; call it on a valid form only."""
        assert self.found_customer is not None
        return self.found_customer.id


class DaysForm(MeterRecordForm):
    """The days of an assignment; an empty first one: since ever, an empty last one: until further notice."""

    assigned_from = DayField(_l("From"))
    assigned_to = DayField(_l("Until"))

    @classmethod
    def for_assignment(cls, assignment: MeterAssignment, days: Days | None = None) -> "DaysForm":
        """The stored days for correcting; with `days` instead of what is stored."""
        stored = Days.of(assignment)
        shown = days or stored
        data = {
            "assigned_from": shown.first,
            "assigned_to": shown.last,
            "version": str(Stamp(assignment.id, assignment.version)),
            "base": json.dumps(facts_of(stored)),
            "idempotency_key": new_key(),
        }
        return cls(formdata=None, data=data)

    def days(self) -> Days:
        """The days as entered."""
        return Days(self.assigned_from.data, self.assigned_to.data)

    def validate_assigned_to(self, field: DayField) -> None:
        """An assignment does not end before it begins."""
        if Days(self.assigned_from.data, field.data).are_reversed:
            raise ValidationError(_("The last day is before the first one."))


not_ahead = unless(refuse_day_to_come)
"""A validator: what changes whose a meter is today is not dated after today."""


def facts_of(days: Days) -> dict[str, str]:
    """Each of the two days by the name of its field; an open one is an empty text."""
    known = {"assigned_from": days.first, "assigned_to": days.last}
    return {name: day.isoformat() if day else "" for name, day in known.items()}


class AssignForm(_OfCustomer, DaysForm):
    """Whose a meter is, or was, and when."""

    is_active = BooleanField(_l("Active: what is owed for the meter is owed by this customer"))

    @classmethod
    def for_new(cls, meter: Meter, *, is_active: bool) -> "AssignForm":
        """An empty form for `meter`; `is_active`: it is nobody's yet."""
        data = {
            "is_active": is_active,
            "version": str(Stamp(meter.id, meter.version)),
            "idempotency_key": new_key(),
        }
        return cls(formdata=None, data=data)


class ReassignForm(_OfCustomer):
    """Whose a meter is from a day on."""

    since = DayField(_l("From"), validators=[Required(_l("Enter a day.")), not_ahead])

    @classmethod
    def for_assignment(cls, assignment: MeterAssignment) -> "ReassignForm":
        """A form to take the meter from who has it now."""
        data = {
            "since": periods.today(),
            "version": str(Stamp(assignment.id, assignment.version)),
            "idempotency_key": new_key(),
        }
        return cls(formdata=None, data=data)

    @property
    def day(self) -> date:
        """The first day; call it on a valid form only."""
        assert self.since.data is not None
        return self.since.data


class EndForm(MeterRecordForm):
    """The last day of an assignment."""

    last = DayField(_l("Last day"), validators=[Required(_l("Enter a day.")), not_ahead])

    @classmethod
    def for_assignment(cls, assignment: MeterAssignment) -> "EndForm":
        """A form to end it, today if nothing else is typed."""
        data = {
            "last": min(assignment.assigned_to or periods.today(), periods.today()),
            "version": str(Stamp(assignment.id, assignment.version)),
            "idempotency_key": new_key(),
        }
        return cls(formdata=None, data=data)

    @property
    def day(self) -> date:
        """The last day; call it on a valid form only."""
        assert self.last.data is not None
        return self.last.data
