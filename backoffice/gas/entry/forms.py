"""The form around the grid of readings."""

from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField


class ReadingSheetForm(FlaskForm):
    """The grid's idempotency key; `anyway`: the digest of the unusual readings that the user has confirmed."""

    idempotency_key = HiddenField()
    anyway = StringField()
    form_errors: list[object]
