"""The forms of saved views."""

from urllib.parse import parse_qsl, urlencode

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField
from wtforms.validators import ValidationError

from ..base.identifiers import is_visible
from ..web.forms import Required, at_most, tidy

LONGEST_NAME = 60
LONGEST_QUERY = 2000

_REQUIRED = Required(_l("This cannot be empty."))


def _as_query(text: str | None) -> str:
    """A valid query string from any input, because it becomes part of a header."""
    return urlencode(parse_qsl(text or ""))


class ViewForm(FlaskForm):
    """The name of a view, and whether it is the list's default; `query` is its content."""

    name = StringField(
        _l("Name"),
        [_REQUIRED, at_most(LONGEST_NAME)],
        filters=[tidy],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_NAME},
    )
    is_default = BooleanField(_l("Begin with this view when the list is opened"))
    listing = HiddenField(validators=[Required(_l("This cannot be empty.")), at_most(60)])
    query = HiddenField(filters=[_as_query], validators=[at_most(LONGEST_QUERY)])
    next = HiddenField()

    def validate_name(self, field: StringField) -> None:
        """Refuse an invisible name. Raises ValidationError."""
        if not is_visible(field.data or ""):
            raise ValidationError(_("Write a name that one can read."))


class ChangedViewForm(ViewForm):
    """An existing view: it keeps its list, and may take the query that the list shows now."""

    listing = None
    is_replaced = BooleanField(_l("Show what the list showed just now"))
