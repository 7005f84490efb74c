"""The form of a record, made from its declaration."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, ClassVar

from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from wtforms import Field as FormField
from wtforms import ValidationError

from ..app.extensions import db
from ..web.formats import in_words
from ..web.forms import RecordForm, Stamp
from ..web.idempotency import new_key
from .actions import Taken
from .controls import control_of
from .declaration import Record, Row
from .fields import Field, Law


class OfRecord(RecordForm):
    """The form over a row of a record; without a row, of a new one."""

    record: ClassVar[Record]

    def __init__(self, row: Row | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.row = row

    @property
    def inputs(self) -> list[tuple[bool, list[tuple[Field, FormField]]]]:
        """The fields with their controls, in groups of those that stand beside each other (true) or alone."""
        fields = [field for field in self._fields_in_order if field.name in self]
        groups = groupby(fields, key=lambda field: field.is_short)
        return [(short, [(f, self[f.name]) for f in group]) for short, group in groups]

    @property
    def _fields_in_order(self) -> list[Field]:
        short = [field for field in self.record.fields if field.is_short]
        place = self.record.fields.index(short[-1]) + 1 if short else len(self.record.fields)
        return [*self.record.fields[:place], *self.record.new_fields, *self.record.fields[place:]]

    def values(self) -> dict[str, Any]:
        """What was entered, as it is stored; call it on a valid form only."""
        return self._values_of(self.record.fields)

    def further_values(self) -> dict[str, Any]:
        """What was entered of the fields that only a new one has."""
        return self._values_of(self.record.new_fields)

    def _values_of(self, fields: Sequence[Field]) -> dict[str, Any]:
        return {field.name: field.value(self[field.name].data) for field in fields}


def posted(record: Record, row: Row | None) -> OfRecord:
    """The form as it was sent."""
    return _form_of(record, is_new=row is None)(row)


def sent(record: Record, row: Row | None, facts: MultiDict[str, str]) -> OfRecord:
    """The form over what a program has sent; it proves itself by its token."""
    form = _form_of(record, is_new=row is None)
    return form(row, formdata=facts, meta={"csrf": False})


def opened(record: Record, row: Row, facts: Mapping[str, str] | None = None) -> OfRecord:
    """The form over the stored row; with `facts` instead of what is stored."""
    stored = record.facts(row)
    shown = stored if facts is None else facts
    data = {field.name: field.data(shown[field.name]) for field in record.fields} | {
        "version": str(Stamp(row.id, record.version_of(row))),
        "base": json.dumps(stored),
        "idempotency_key": new_key(),
    }
    return _form_of(record, is_new=False)(row, formdata=None, data=data)


def empty(record: Record) -> OfRecord:
    """The form of a new one, with what can be suggested."""
    form = _form_of(record, is_new=True)
    usual = {field.name: field.suggested() for field in (*record.fields, *record.new_fields)}
    return form(None, formdata=None, data={**usual, "idempotency_key": new_key()})


@cache
def _form_of(record: Record, *, is_new: bool) -> type[OfRecord]:
    fields = (*record.fields, *record.new_fields) if is_new else record.fields
    controls = {field.name: control_of(field, _laws(record, field)) for field in fields}
    return type(f"{record.model.__name__}Form", (OfRecord,), {**controls, "record": record})


def _laws(record: Record, field: Field) -> list[Any]:
    return [*(_kept(law) for law in field.laws), *([_free(record, field)] if field.taken else [])]


def _kept(law: Law) -> Any:
    """A validator: what is new keeps the law."""

    def validate(form: OfRecord, control: FormField) -> None:
        is_stored = form.row is not None and control.data == getattr(form.row, control.short_name)
        if control.data and not is_stored and not law.holds(control.data):
            raise ValidationError(_(law.sentence))

    return validate


def _free(record: Record, field: Field) -> Any:
    """A validator: no other row has the value. Two at a time are told apart by the database."""

    def validate(form: OfRecord, control: FormField) -> None:
        key = record.model.__table__.c.id
        other = db.session.scalar(select(key).where(field.column == control.data))
        if other is not None and (form.row is None or other != form.row.id):
            raise ValidationError(in_words(Taken(field, control.data)))

    return validate
