"""The forms of sign-in, users, tokens and the profile."""

import json
from collections.abc import Mapping
from typing import Any, Self

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, SelectField, StringField
from wtforms.fields import SelectChoice

from ..base import N_
from ..security.permissions import ROLES, open_scopes
from ..web.conflicts import Conflict, conflict_over, differences, with_theirs
from ..web.forms import OpenedForm, Required, at_most, tidy, trimmed
from .actions import facts_of
from .models import User
from .passwords import LONGEST, SHORTEST
from .tokens import LIFETIME, LONGEST_NAME

_REQUIRED = Required(_l("This cannot be empty."))
_PASSWORD_HELP = {"autocomplete": "new-password", "minlength": SHORTEST, "maxlength": LONGEST}


class SignInForm(FlaskForm):
    """E-mail and password."""

    email = EmailField(
        _l("E-mail"), [_REQUIRED, at_most(254)], render_kw={"autocomplete": "username"}
    )
    password = PasswordField(
        _l("Password"),
        [_REQUIRED, at_most(LONGEST)],
        render_kw={"autocomplete": "current-password"},
    )


class UserForm(FlaskForm):
    """Name, e-mail address and role of a user."""

    name = StringField(_l("Name"), [_REQUIRED, at_most(200)], render_kw={"autocomplete": "off"})
    email = EmailField(_l("E-mail"), [_REQUIRED, at_most(254)], render_kw={"autocomplete": "off"})
    role = SelectField(
        _l("Role"), choices=[SelectChoice(role, _l(name)) for role, name in ROLES.items()]
    )


class EditUserForm(OpenedForm, UserForm):
    """The same form over a stored user."""

    @classmethod
    def over(cls, person: User, facts: Mapping[str, str] | None = None) -> Self:
        """The form over the stored user, or with `facts` in place of the stored values."""
        stored = facts_of(person)
        data = {**(stored if facts is None else facts), "base": json.dumps(stored)}
        return cls(formdata=None, data=data)

    def facts(self) -> dict[str, str]:
        """The entered facts, as they would be stored."""
        email = trimmed(self.email.data).lower()
        return {"name": tidy(self.name.data), "email": email, "role": self.role.data}

    def merged(self, person: User) -> tuple[Self, Conflict]:
        """The form over the user as another administrator saved them, with the differences between both edits."""
        mine = self.facts()
        found = differences(self.base_facts(), facts_of(person), mine, "")
        conflict = conflict_over(found, self._label_of, _in_words, "", None)
        return self.over(person, with_theirs(mine, found)), conflict

    def _label_of(self, name: str) -> str:
        return str(self[name].label.text)


def _in_words(name: str, fact: str) -> str:
    return _(ROLES[fact]) if name == "role" else fact


class NewUserForm(UserForm):
    """A new user, with the first password if they are to sign in."""

    password = PasswordField(_l("First password"), [at_most(LONGEST)], render_kw=_PASSWORD_HELP)


class SetPasswordForm(FlaskForm):
    """An administrator's form to set a user's password."""

    password = PasswordField(
        _l("New password"), [_REQUIRED, at_most(LONGEST)], render_kw=_PASSWORD_HELP
    )


class OwnPasswordForm(FlaskForm):
    """A user's form to change their own password."""

    present = PasswordField(
        _l("Present password"),
        [_REQUIRED, at_most(LONGEST)],
        render_kw={"autocomplete": "current-password"},
    )
    password = PasswordField(
        _l("New password"), [_REQUIRED, at_most(LONGEST)], render_kw=_PASSWORD_HELP
    )


class ProfileForm(FlaskForm):
    """Language and number format."""

    language = SelectField(_l("Language"))
    number_format = SelectField(_l("Number format"))


API_SCOPES = {
    "read": N_("API: read %(domain)s"),
    "write": N_("API: read and change %(domain)s"),
}
"""Scope of the API of records → its title; the domain is named as in addresses."""


class NewTokenForm(FlaskForm):
    """A token for another program."""

    name = StringField(
        _l("Program"), [_REQUIRED, at_most(LONGEST_NAME)], render_kw={"autocomplete": "off"}
    )
    scope = SelectField(
        _l("What it opens"),
        choices=[
            SelectChoice("metrics", _l("Metrics: /metrics, for Prometheus")),
            SelectChoice(
                "health",
                _l("Health: the balance sheet looked at and maintained, for monitors and cron"),
            ),
        ],
    )
    days = SelectField(
        _l("Expires"),
        default=str(LIFETIME.days),
        choices=[
            SelectChoice("30", _l("in 30 days")),
            SelectChoice("90", _l("in 90 days")),
            SelectChoice("365", _l("in a year")),
            SelectChoice("0", _l("never")),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer only the scopes that open a route of this app."""
        super().__init__(*args, **kwargs)
        offered = open_scopes()
        known = [choice for choice in self.scope.choices if choice.value in offered]
        of_records = (scope.partition(":") for scope in offered if ":" in scope)
        self.scope.choices = known + [
            SelectChoice(f"{domain}:{right}", _(API_SCOPES[right], domain=domain))
            for domain, _colon, right in of_records
        ]
