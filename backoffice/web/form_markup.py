"""Helpers of the form macros for WTForms: the attributes of an input, all errors of a form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import flask_wtf.form
from flask import Flask
from flask_babel import gettext as _
from flask_babel import ngettext
from wtforms import BooleanField, Field, FieldList, FormField
from wtforms.form import BaseForm
from wtforms.widgets import Select

from ..base import N_
from .idempotency import new_key


@dataclass(frozen=True)
class FormError:
    """One error: the id of its field (empty: the whole form), its label, the sentence."""

    id: str
    label: str
    message: str


def form_errors(form: BaseForm) -> list[FormError]:
    """Every error of `form` in screen order, including those of rows and sub-forms."""
    whole = [
        said if isinstance(said, FormError) else FormError("", "", str(said))
        for said in getattr(form, "form_errors", ())
    ]
    return [*whole, *_errors_of(form, "")]


def _errors_of(form: BaseForm, where: str) -> Iterator[FormError]:
    for field in form:
        if field.short_name != "csrf_token":
            yield from _errors_of_field(field, where)


def _errors_of_field(field: Field, where: str) -> Iterator[FormError]:
    if isinstance(field, FormField):
        yield from _errors_of(field.form, where)
        for message in getattr(field.form, "form_errors", ()):
            yield FormError("", where.rstrip(" ·"), str(message))
    elif isinstance(field, FieldList):
        for number, entry in enumerate(field.entries, start=1):
            yield from _errors_of_field(entry, _("Line %(number)s", number=number) + " · ")
        yield from (FormError(field.id, "", str(m)) for m in field.errors if isinstance(m, str))
    else:
        label = f"{where}{field.label.text}"
        yield from (FormError(field.id, label, str(message)) for message in field.errors)


def input_attributes(
    field: Field,
    *,
    label: str | None = None,
    help: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The attributes of a field's input: its class, and the references to its help and error."""
    given = hyphenated(attributes or {})
    own_class = given.pop("class", "")
    result = {"class": f"{_class_of(field)} {own_class}".strip(), **given}
    if label:
        result["aria-label"] = label
    described_by = [f"{field.id}-help"] if help else []
    if field.errors:
        result["aria-invalid"] = "true"
        described_by.append(f"{field.id}-error")
    if described_by:
        result["aria-describedby"] = " ".join(described_by)
    return result


def hyphenated(attributes: dict[str, Any]) -> dict[str, Any]:
    """Python's `hx_post` as HTML's `hx-post`; `class_` and `for_` lose their underscore."""
    return {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}


def _class_of(field: Field) -> str:
    if isinstance(field, BooleanField):
        return "form-check-input"
    if isinstance(field.widget, Select):
        return "form-select"
    is_number = (field.render_kw or {}).get("inputmode") == "decimal"
    return "form-control num" if is_number else "form-control"


class _OurTranslations:
    """WTForms' messages from this app's catalogues: its package has no Indonesian."""

    def gettext(self, message: str) -> str:
        return _(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        return ngettext(singular, plural, number)


WTFORMS_SAYS = (
    N_("Not a valid choice."),
    N_("Not a valid date value."),
    N_("Not a valid integer value."),
    N_("This field is required."),
)
"""WTForms' own messages, used where a field defines none."""


def init_app(app: Flask) -> None:
    """Give the macros these functions, and WTForms this app's translations."""
    flask_wtf.form.translations = _OurTranslations()
    app.jinja_env.globals.update(
        form_errors=form_errors, input_attributes=input_attributes, new_key=new_key
    )
    app.jinja_env.filters["hyphenated"] = hyphenated
