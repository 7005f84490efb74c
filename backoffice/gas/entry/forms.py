"""What stands around the grid of readings."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField


class EntryForm(FlaskForm):
    """The grid's key for one effect; `anyway`: what is unusual has been looked at."""

    idempotency_key = HiddenField()
    anyway = BooleanField()
    form_errors: list[object]
