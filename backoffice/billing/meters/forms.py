"""The forms of meter assignments."""

import json
from datetime import date

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, StringField, ValidationError
from wtforms.form import BaseForm

from ...base.refusals import Refusal
from ...customers.forms import customer_named
from ...customers.models import Customer
from ...web.formats import in_words as plainly
from ...web.forms import RecordForm, Required, tidy
from ...web.typed_fields import DayField
from ..models import MeterAssignment
from .actions import Days, refuse_day_to_come
from .wording import in_words


class MeterRecordForm(RecordForm):
    """A form about a meter; a refusal may name days."""

    def in_words(self, refusal: Refusal) -> str:
        """The refusal's sentence, its days as the screens of meters write them."""
        return in_words(refusal)


class _OfCustomer(MeterRecordForm):
    """A form with a customer field."""

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
    """The days of an assignment; an empty one is unbounded."""

    assigned_from = DayField(_l("From"))
    assigned_to = DayField(_l("Until"))

    @classmethod
    def for_assignment(cls, assignment: MeterAssignment, days: Days | None = None) -> "DaysForm":
        """The form over the stored days; `days` are shown instead of the stored ones."""
        stored = Days.of(assignment)
        shown = days or stored
        return cls.over(
            assignment.id, assignment.version,
            assigned_from=shown.first, assigned_to=shown.last, base=json.dumps(facts_of(stored)),
        )  # fmt: skip

    def days(self) -> Days:
        """The days as entered."""
        return Days(self.assigned_from.data, self.assigned_to.data)

    def validate_assigned_to(self, field: DayField) -> None:
        """An assignment does not end before it begins."""
        if Days(self.assigned_from.data, field.data).are_reversed:
            raise ValidationError(_("The last day is before the first one."))


def not_ahead(_form: BaseForm, field: DayField) -> None:
    """A validator: a change of assignment is not dated after today."""
    if field.data is not None:
        try:
            refuse_day_to_come(field.data)
        except Refusal as refusal:
            raise ValidationError(plainly(refusal)) from refusal


def facts_of(days: Days) -> dict[str, str]:
    """The two days by the names of their fields; an unbounded one is an empty text."""
    known = {"assigned_from": days.first, "assigned_to": days.last}
    return {name: day.isoformat() if day else "" for name, day in known.items()}


class AssignForm(_OfCustomer, DaysForm):
    """The form of a new assignment: customer, days, and whether it is active."""

    is_active = BooleanField(_l("Active: what is owed for the meter is owed by this customer"))


class ReassignForm(_OfCustomer):
    """The form of a reassignment: the next customer, and their first day."""

    since = DayField(_l("From"), validators=[Required(_l("Enter a day.")), not_ahead])

    @property
    def day(self) -> date:
        """The first day; call it on a valid form only."""
        assert self.since.data is not None
        return self.since.data


class EndForm(MeterRecordForm):
    """The last day of an assignment."""

    last = DayField(_l("Last day"), validators=[Required(_l("Enter a day.")), not_ahead])

    @property
    def day(self) -> date:
        """The last day; call it on a valid form only."""
        assert self.last.data is not None
        return self.last.data
