"""What is typed about runs: why something is applied."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField

from ..web.forms import Required, at_most, trimmed

REASON_LENGTH = 500


class ApplyForm(FlaskForm):
    """Why what a dry run has found is applied; it is kept with every correction."""

    reason = TextAreaField(
        _l("Reason"),
        filters=[trimmed],
        validators=[
            Required(_l("Say why. The reason is kept with every correction.")),
            at_most(REASON_LENGTH),
        ],
        render_kw={"rows": 2, "maxlength": REASON_LENGTH, "autocomplete": "off"},
    )
