"""What stands around the grid of readings."""

from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField


class EntryForm(FlaskForm):
    """The grid's key for one effect; `anyway`: the digest of what is unusual and has been looked at."""

    idempotency_key = HiddenField()
    anyway = StringField()
    form_errors: list[object]
