"""The form that changes many orders at once."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.datastructures import MultiDict
from wtforms import Form, SelectChoice, SelectField, ValidationError

from ...app.extensions import db
from ...security.rights import allowed
from ...web.typed_fields import DayField
from .. import queries
from .actions import Change


class BulkForm(Form):
    """The changes to make to the chosen orders."""

    to_manager = SelectField(_l("Account manager"), validate_choice=False)
    closing = SelectField(_l("Closing date"), validate_choice=False)
    to_closing_date = DayField(_l("Closed on"))

    def __init__(self, typed: MultiDict[str, str]) -> None:
        super().__init__(typed)
        leave = SelectChoice("", _("Leave as it is"))
        self.closing.choices = [
            leave, SelectChoice("set", _("Set to…")), SelectChoice("clear", _("Remove")),
        ]  # fmt: skip
        if not allowed(current_user, "orders.reassign"):
            del self.to_manager
            return
        people = queries.assignable_managers(db.session(), None)
        self.to_manager.choices = [leave, *(SelectChoice(str(p.id), p.name) for p in people)]

    def validate_closing(self, field: SelectField) -> None:
        """At least one change is required."""
        if (field.data or "") not in ("", "set", "clear"):
            raise ValidationError(_("Choose one of these."))
        if not field.data and not ("to_manager" in self and self.to_manager.data):
            raise ValidationError(_("Choose what shall change."))

    def validate_to_closing_date(self, field: DayField) -> None:
        """A date is required where a closing date is to be set."""
        if self.closing.data == "set" and field.data is None and not field.errors:
            raise ValidationError(_("Write the date."))

    def validate_to_manager(self, field: SelectField) -> None:
        """The account manager must be one of those offered."""
        if (field.data or "") not in [choice.value for choice in field.choices]:
            raise ValidationError(_("Choose an account manager."))

    def change(self) -> Change:
        """The change that was entered; call it on a valid form only."""
        manager = self.to_manager.data if "to_manager" in self else ""
        return Change(
            manager_id=int(manager) if manager else None,
            closing_date=self.to_closing_date.data if self.closing.data == "set" else None,
            clears=self.closing.data == "clear",
        )
