"""What the forms of invoices, payments and adjustments share: their days, and why one becomes void."""

from collections.abc import Callable
from datetime import date

from flask_babel import lazy_gettext as _l
from wtforms import TextAreaField, ValidationError
from wtforms.form import BaseForm

from ..base.refusals import Refusal
from ..web.formats import in_words
from ..web.forms import RecordForm, Required, at_most, trimmed
from ..web.typed_fields import DayField
from .rules import REASON_LENGTH, refuse_to_come


def unless(refuse: Callable[[date], None]) -> Callable[[BaseForm, DayField], None]:
    """A validator: what a verb would refuse a day with is said of the field."""

    def validate(_form: BaseForm, field: DayField) -> None:
        if field.data is None:
            return
        try:
            refuse(field.data)
        except Refusal as refusal:
            raise ValidationError(in_words(refusal)) from refusal

    return validate


not_to_come = unless(refuse_to_come)
"""A validator: what counts at once is not dated ahead."""


class VoidForm(RecordForm):
    """Why a document becomes void."""

    reason = TextAreaField(
        _l("Reason"),
        filters=[trimmed],
        validators=[
            Required(_l("Say why it becomes void. The reason is kept with it.")),
            at_most(REASON_LENGTH),
        ],
    )
