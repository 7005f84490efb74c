"""Shared parts of record forms: typed texts, numbers in addresses, and the state that editing started from."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from flask import abort
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import Field, HiddenField
from wtforms.validators import Length, StopValidation

from ..base.identifiers import whole_number
from ..base.periods import Month
from ..base.refusals import AnotherRecord, Refusal
from ..base.spelling import composed
from .form_markup import FormError
from .formats import in_words
from .idempotency import new_key

Record = TypeVar("Record")


def month_or_404(text: str) -> Month:
    """The month in an address; 404 if it is not a month."""
    try:
        return Month.parse(text)
    except ValueError:
        abort(404)


def trimmed(text: str | None) -> str:
    """A typed text without surrounding spaces, composed as texts are stored."""
    return composed(text or "").strip()


def tidy(text: str | None) -> str:
    """A typed text on one line, with single spaces, composed as texts are stored."""
    return " ".join(composed(text or "").split())


def at_most(characters: int) -> Length:
    """A validator: the text has at most that many characters."""
    return Length(max=characters, message=_l("At most %(max)d characters."))


class Required:
    """A validator: a value is required; blanks are none, and 0 is one.

    A value refused by its field keeps that error. WTForms' InputRequired takes blanks for an input, and its
    DataRequired takes 0 for none.
    """

    field_flags: ClassVar[dict[str, bool]] = {"required": True}

    def __init__(self, message: Any) -> None:
        self.message = message

    def __call__(self, _form: object, field: Field) -> None:
        """Raises StopValidation, with the error message unless the field has one already."""
        is_blank = isinstance(field.data, str) and not field.data.strip()
        if field.data is None or is_blank:
            raise StopValidation("" if field.errors else str(self.message))


class Stamp(NamedTuple):
    """The hidden identity of the record that a form was opened on: id and version, `17:3`.

    The number in an address may belong to another record by the time the form is sent; an id never does.
    """

    record_id: int
    version: int

    @classmethod
    def read(cls, text: str | None) -> "Stamp":
        """Parse the hidden field; a stamp of no record if it cannot be parsed."""
        record_id, _colon, version = (text or "").partition(":")
        return cls(whole_number(record_id), whole_number(version))

    def version_of(self, record_id: int) -> int:
        """The version that was opened of that record. Raises AnotherRecord if another one was opened."""
        if self.record_id != record_id:
            raise AnotherRecord()
        return self.version

    def __str__(self) -> str:
        return f"{self.record_id}:{self.version}"


class OpenedForm(FlaskForm):
    """A form over a stored record, with the stored facts at opening in a hidden field."""

    base = HiddenField("")

    def base_facts(self) -> Mapping[str, Any] | None:
        """The facts at the start of editing; None if the field does not hold them."""
        try:
            facts = json.loads(self.base.data or "")
            return {str(name): str(fact) for name, fact in facts.items()}
        except (ValueError, AttributeError, TypeError, RecursionError):
            return None


class RecordForm(OpenedForm):
    """A form over a stored record: the stamp of what was opened, its facts then, and an idempotency key.

    `warning` is shown in the box above the form, beside another user's changes.
    """

    version = HiddenField("")
    idempotency_key = HiddenField("")

    form_errors: list[str | FormError]
    warning = ""

    @classmethod
    def over(cls, record_id: int, version: int, **data: Any) -> Self:
        """The form over a stored record at that version; `data` are its field values."""
        stamp = str(Stamp(record_id, version))
        return cls(formdata=None, data={**data, "version": stamp, "idempotency_key": new_key()})

    def expected_version(self, record_id: int) -> int:
        """The version that was opened of that record. Raises AnotherRecord if another one was opened."""
        return Stamp.read(self.version.data).version_of(record_id)

    def opened(self, session: Session, model: type[Record], record_id: int) -> Record | None:
        """The record that was opened; if it is deleted, that of `record_id`, which has its number now."""
        opened_id = Stamp.read(self.version.data).record_id
        return session.get(model, opened_id) or session.get(model, record_id)

    def reopen(self, record_id: int, version: int) -> None:
        """Rebase the form on that record and version, which the user is shown now."""
        self.warning = self.warning_over(record_id)
        self.version.data = str(Stamp(record_id, version))

    def warning_over(self, record_id: int) -> str:
        """The warning if the form was opened on another record than that one."""
        opened_id = Stamp.read(self.version.data).record_id
        return "" if opened_id == record_id else self.in_words(AnotherRecord())

    def in_words(self, refusal: Refusal) -> str:
        """The sentence of a refusal, as this form shows it."""
        return in_words(refusal)

    def add_errors(self, problems: Mapping[str, Refusal]) -> None:
        """Show each problem at its field; one without a name above the form."""
        for name, problem in problems.items():
            sentence = self.in_words(problem)
            if not name:
                self.form_errors = [*self.form_errors, sentence]
            elif sentence not in self[name].errors:
                self[name].errors = [*self[name].errors, sentence]
