"""The form of a record, made from its declaration, and the base class of a record's own form."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cache, partial
from itertools import groupby
from typing import Any, ClassVar, Self

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from wtforms import Field as FormField
from wtforms import FieldList, Form, StringField, ValidationError

from ..app.extensions import db
from ..base.late import named
from ..base.refusals import Refusal
from ..base.spelling import lock_look
from ..web.conflicts import Conflict, conflict_over, differences, with_theirs
from ..web.form_markup import form_errors
from ..web.formats import in_words
from ..web.forms import RecordForm, Stamp
from ..web.idempotency import new_key
from ..web.typed_fields import FirstDayField
from . import history
from .actions import Impossible, Taken
from .controls import PickField, control_of
from .declaration import Record, Row, Verb
from .fields import Field, Law, Pick, Text
from .lines import MOST_ROWS
from .writing import written


@dataclass(frozen=True)
class Question:
    """A question that must be answered before a save: the form is sent again with one of the answers under `name`.

    `sentence` is the question, about the records in `about` (name → address), and `help` explains it. `answers` are
    the values that can be sent, with their labels.
    """

    name: str
    sentence: str
    answers: Mapping[str, str]
    help: str = ""
    about: Mapping[str, str] = dataclass_field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """The question as text for a program, with the values that it may send."""
        offered = "; ".join(f'"{answer}": {words}' for answer, words in self.answers.items())
        return " ".join(filter(None, (self.sentence, ", ".join(self.about), self.help, offered)))


class OfRecord(RecordForm):
    """The form of a record's row, to change it or for a verb; without a row, of a new one.

    A record's own form derives from it; controls are added for declared fields that it does not define. `inputs_page`
    is the template of the form's content, `outputs` that of the live preview.
    """

    record: ClassVar[Record]
    fields: ClassVar[tuple[Field, ...]]
    inputs_page: ClassVar[str] = "records/inputs.html"
    outputs: ClassVar[str] = ""
    classes: ClassVar[str] = "panel form-narrow"

    def __init__(self, row: Row | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.row = row

    # Hooks of a record's own form

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        """The initial data of a new form."""
        return {field.name: field.suggested() for field in cls.fields}

    @classmethod
    def typed(
        cls, _row: Row | None, facts: Mapping[str, Any], _given: Collection[str]
    ) -> MultiDict[str, str]:
        """What a program has `given`, over the stored facts, by the names of the form's controls."""
        return MultiDict(facts)

    def problems(self) -> Mapping[str, Refusal]:
        """Further refusals by field, shown together with the errors of an invalid form."""
        return {}

    def questions(self) -> Iterable[Question]:
        """The questions before the valid form is saved, answered or not, in order."""
        return ()

    def live(self) -> Mapping[str, Any]:
        """The context of the live preview. Writes nothing."""
        return {}

    def beside(self) -> Mapping[str, Any]:
        """Further context of its page."""
        return {}

    @classmethod
    def facts_of(cls, row: Row) -> dict[str, str]:
        """The stored facts of the row, for comparing two editors' forms."""
        return cls.record.facts(row)

    @classmethod
    def data_of(cls, facts: Mapping[str, str]) -> dict[str, Any]:
        """The data of the controls for these facts."""
        return {field.name: field.data(facts[field.name]) for field in cls.record.fields}

    def facts_entered(self) -> dict[str, str]:
        """The entered facts."""
        return self.record.facts(self.values())

    def label_of(self, name: str) -> str:
        """The label of a fact in a conflict."""
        return _(self.record.by_name[name].label)

    def fact_in_words(self, _session: Session, name: str, fact: str) -> str:
        """A fact as text in a conflict."""
        return written(self.record.by_name[name], fact) or "–"

    def merged(self, session: Session, row: Row) -> tuple[Self, Conflict | None]:
        """The form merged with another user's save, and the conflict; unchanged fields take the other user's values."""
        mine = self.facts_entered()
        found = differences(self.base_facts(), self.facts_of(row), mine, none="")
        in_words = partial(self.fact_in_words, session)
        last = history.last_save(session, self.record.trail(session, row, 1))
        conflict = conflict_over(found, self.label_of, in_words, *last)
        return self.over_row(row, with_theirs(mine, found)), conflict

    @classmethod
    def over_row(cls, row: Row, facts: Mapping[str, str] | None = None) -> Self:
        """The form over the stored row, or over these `facts` of it."""
        stored = cls.facts_of(row)
        data = cls.data_of(stored if facts is None else facts) | {
            "version": str(Stamp(row.id, cls.record.version_of(row))),
            "base": json.dumps(stored),
            "idempotency_key": new_key(),
        }
        return cls(row, formdata=None, data=data)

    # Called by screens and the API

    def opened(self, session: Session, model: type[Row], record_id: int) -> Row | None:
        """The row that the form was opened on; where that can no longer be changed, the one that has its name now."""
        row = super().opened(session, model, record_id)
        if row is not None and row.id != record_id:
            try:
                self.record.is_current(session, row)
            except Refusal:
                return session.get(model, record_id)
        return row

    def asked(self) -> list[Question]:
        """The questions up to the first unanswered one; empty where the form may be saved."""
        shown = []
        for question in self.questions():
            shown.append(question)
            if self[question.name].data not in question.answers:
                return shown
        return []

    def shows(self, refusal: Refusal) -> bool:
        """Add a refusal to the form's errors; false where it is about no field of the form."""
        if isinstance(refusal, Impossible):
            self.add_errors(refusal.problems)
            return True
        if refusal.field in self:
            self.add_errors({refusal.field: refusal})
            return True
        return False

    def error_messages(self) -> list[tuple[str, str]]:
        """All errors, as pairs of field name and message."""
        return [(error.id, error.message) for error in form_errors(self)]

    def inputs(
        self, besides: Collection[str] = ()
    ) -> list[tuple[bool, list[tuple[Field, FormField]]]]:
        """The fields with their controls, in groups: short ones side by side (true), or others below each other.

        Without the fields in `besides`, which the page places itself.
        """
        fields = [
            field for field in self.fields if field.name in self and field.name not in besides
        ]
        groups = groupby(fields, key=lambda field: field.is_short)
        return [(short, [(f, self[f.name]) for f in group]) for short, group in groups]

    def values(self) -> dict[str, Any]:
        """The entered values as stored; call it on a valid form only."""
        return {field.name: field.value(self[field.name].data) for field in self.fields}


def posted(record: Record, row: Row | None, verb: Verb | None = None) -> OfRecord:
    """The form as submitted by a browser."""
    return _form_of(record, row, verb)(row)


def sent(
    record: Record,
    row: Row | None,
    facts: Mapping[str, Any],
    given: Collection[str],
    verb: Verb | None = None,
) -> OfRecord:
    """The form over what a program has sent; without CSRF token, because a program authenticates by its own."""
    form = _form_of(record, row, verb)
    return form(row, formdata=form.typed(row, facts, given), meta={"csrf": False})


def for_verb(record: Record, row: Row, verb: Verb) -> OfRecord:
    """The form of a verb over the stored row, with suggested values."""
    form = _form_of(record, row, verb)
    stamp = {"version": str(Stamp(row.id, record.version_of(row))), "idempotency_key": new_key()}
    return form(row, formdata=None, data=form.suggested() | stamp)


def opened(record: Record, row: Row) -> OfRecord:
    """The form over the stored row."""
    return _form_of(record, row).over_row(row)


def empty(record: Record, reported: Mapping[str, str]) -> OfRecord:
    """The form of a new row, with suggested values, and records or months `reported` in the address."""
    made = _form_of(record)
    form = made(None, formdata=None, data={**made.suggested(), "idempotency_key": new_key()})
    for control in form:
        if isinstance(control, PickField | FirstDayField) and reported.get(control.short_name):
            with suppress(ValueError):
                control.process_formdata([reported[control.short_name]])
    return form


def fields_of(
    record: Record, row: Row | None = None, verb: Verb | None = None
) -> tuple[Field, ...]:
    """The fields in the order of the form: what only a new one has, or has otherwise, after those that are short.

    The record that it belongs to comes first.
    """
    if verb is not None:
        return tuple(verb.fields)
    further = record.new_fields if row is None else ()
    otherwise = {field.name for field in further}
    fields = [field for field in record.fields if field.name not in otherwise]
    short = [place for place, field in enumerate(fields, 1) if field.is_short]
    place = short[-1] if short else len(fields)
    of = [field for field in further if isinstance(field, Pick)]
    more = [field for field in further if not isinstance(field, Pick)]
    return (*of, *fields[:place], *more, *fields[place:])


def own_form(record: Record) -> type[OfRecord]:
    """The record's own form class, or else the base class."""
    form = named(record.form) if isinstance(record.form, str) else record.form
    return form or OfRecord


def _form_of(record: Record, row: Row | None = None, verb: Verb | None = None) -> type[OfRecord]:
    return _form_class(record, fields_of(record, row, verb), is_own=verb is None)


@cache
def _form_class(record: Record, fields: tuple[Field, ...], *, is_own: bool) -> type[OfRecord]:
    own = own_form(record) if is_own else OfRecord
    controls: dict[str, Any] = {
        field.name: control_of(field, _laws(record, field))
        for field in fields
        if not hasattr(own, field.name)
    }
    if is_own:
        controls |= {name: StringField(_l(title)) for name, title in record.answers.items()}
    of = {"record": record, "fields": fields}
    return type(f"{record.model.__name__}Form", (own,), {**controls, **of})


def _laws(record: Record, field: Field) -> list[Any]:
    of_laws = [_law_validator(field, law) for law in field.laws]
    return [*of_laws, *([_unique_validator(record, field)] if field.taken else [])]


def _law_validator(field: Field, law: Law) -> Any:
    """A validator that a changed value keeps the law."""

    def validate(form: OfRecord, control: FormField) -> None:
        is_of_row = form.row is not None and form.row.__table__ is field.column.class_.__table__
        is_stored = is_of_row and control.data == getattr(form.row, field.key)
        is_empty = control.data is None or control.data == ""
        if not is_empty and not is_stored and not law.holds(control.data):
            raise ValidationError(_(law.sentence))

    return validate


def _unique_validator(record: Record, field: Field) -> Any:
    """A validator that no other row has the value, or one that looks like it.

    Concurrent saves of the same value are caught by the database's constraint, those of similar texts wait here.
    """
    named = {each.key: each.name for each in record.entered.values()}

    def held(form: OfRecord, key: str) -> Any:
        return form[named[key]].data if named[key] in form else getattr(form.row, key)

    def validate(form: OfRecord, control: FormField) -> None:
        within = {column.key: held(form, column.key) for column in field.unique_by}
        if not control.data or None in within.values():
            return
        row_id, session = form.row.id if form.row else 0, db.session()
        other = record.holder_of(session, field, control.data, within)
        if other is not None and other != row_id:
            raise ValidationError(in_words(Taken(field, control.data)))
        is_stored = form.row is not None and getattr(form.row, field.key) == control.data
        if isinstance(field, Text) and not is_stored and other is None:
            lock_look(session, field.column, control.data)
            if (alike := record.alike(session, field, control.data, within, row_id)) is not None:
                raise ValidationError(in_words(Taken(field, alike)))

    return validate


class LineList(FieldList):
    """The rows of a form, limited to a number that a browser can have rendered."""

    most_rows = MOST_ROWS

    def _extract_indices(self, prefix: str, formdata: Mapping[str, Any]) -> Iterator[int]:
        wanted = re.compile(rf"{re.escape(prefix)}-(\d{{1,6}})-", re.ASCII)
        indices = {int(found[1]) for name in formdata if (found := wanted.match(name))}
        if len(indices) > self.most_rows:
            raise RequestEntityTooLarge()
        yield from indices


class LineForm(Form):
    """One row of a LineList; `typed_into` names the fields that a user fills, from left to right."""

    typed_into: ClassVar[Sequence[str]]

    @property
    def cells(self) -> Sequence[Any]:
        """The fields that a user fills."""
        return [self[name] for name in self.typed_into]

    @property
    def is_blank(self) -> bool:
        """Whether the row is empty, and so no line."""
        if any(cell.raw_data is None for cell in self.cells):
            return not any(cell.data for cell in self.cells)
        return not any(str(text).strip() for cell in self.cells for text in cell.raw_data)

    @property
    def is_readable(self) -> bool:
        """Whether its numbers could be parsed."""
        return not any(cell.process_errors for cell in self.cells)
