"""The form for a decision about a fact that differs from the audit trail: the reason to accept it."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, TextAreaField

from ...web.forms import Required, at_most, trimmed
from ...web.idempotency import new_key
from .refusals import WithoutReason

REASON_LENGTH = 500


class DecisionForm(FlaskForm):
    """The reason; `seen` is the stamp of what the person looked at."""

    seen = HiddenField()
    idempotency_key = HiddenField()
    reason = TextAreaField(
        _l("Reason"),
        filters=[trimmed],
        validators=[Required(_l(WithoutReason.sentence)), at_most(REASON_LENGTH)],
        render_kw={"rows": 3, "maxlength": REASON_LENGTH, "autocomplete": "off"},
    )

    @classmethod
    def over(cls, seen: str) -> "DecisionForm":
        """An empty form for what is shown now."""
        return cls(formdata=None, data={"seen": seen, "idempotency_key": new_key()})
