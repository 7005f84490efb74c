"""What is typed about runs: why something is applied."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

REASON_LENGTH = 500


def _trimmed(text: str | None) -> str:
    return (text or "").strip()


class ApplyForm(FlaskForm):
    """Why what a dry run has found is applied; it is kept with every correction."""

    reason = TextAreaField(
        _l("Reason"),
        filters=[_trimmed],
        validators=[
            DataRequired(_l("Say why. The reason is kept with every correction.")),
            Length(max=REASON_LENGTH, message=_l("At most %(max)d characters.")),
        ],
        render_kw={"rows": 2, "maxlength": REASON_LENGTH, "autocomplete": "off"},
    )
