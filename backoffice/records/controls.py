"""The form controls of fields; `writing.py` formats their values for display."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from wtforms import BooleanField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.fields.choices import Choice as Offered
from wtforms.fields.choices import SelectFieldBase
from wtforms.fields.core import UnboundField
from wtforms.widgets import Select, TextInput

from ..app.extensions import db
from ..base.identifiers import whole_number
from ..security.bearer import signed_in_program
from ..web.forms import Required, at_most, tidy, trimmed
from ..web.typed_fields import (
    AmountField,
    DayField,
    FactorField,
    FirstDayField,
    QuantityField,
    UnitPriceField,
)
from .fields import (
    NOT_CALLED,
    Amount,
    CalendarMonth,
    Choice,
    Day,
    Factor,
    Field,
    Flag,
    Named,
    Notes,
    Pick,
    Quantity,
    Text,
    UnitPrice,
)
from .writing import label_of

Laws = list[Any]
"""Validators."""


class PickField(SelectFieldBase):  # type: ignore[misc]
    """A reference to another record, typed by its name or chosen from a list; `data` is its id.

    Without an endpoint for further options it is a select of all records. A hidden input holds the id and the label
    that the form showed: an unchanged label still means that record, though it, or another one, was renamed since.
    """

    widget = TextInput()

    def __init__(self, label: Any, laws: Laws, *, of: Named, **options: Any) -> None:
        super().__init__(label, laws, **options)
        self.of = of
        self.was = ""
        if not of.options:
            self.widget = Select()

    def iter_choices(self) -> Iterator[Offered]:
        """The offered records and the chosen one, by name."""
        rows = {row.id: row for row in self.of.offered(db.session())}
        if self.data is not None and self.data not in rows:
            rows[self.data] = db.session.get_one(self.of.model, self.data)
        yield Offered("", _("Choose…"), self.data is None, {})
        for key, row in rows.items():
            name = getattr(row, self.of.name.key)
            yield Offered(name, self.of.label(row), key == self.data, {})

    def process(self, formdata: Any, *args: Any, **options: Any) -> None:
        """Read the typed text and the hidden input."""
        self.was = formdata.get(f"{self.name}-was", "") if formdata else ""
        super().process(formdata, *args, **options)

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Find the record that is meant. Raises ValueError with the sentence, as WTForms expects."""
        text = tidy(str(valuelist[0])) if valuelist else ""
        self.data = None
        if text:
            shown, _colon, label = self.was.partition(":")
            if tidy(label) == text and (row := db.session.get(self.of.model, whole_number(shown))):
                text = self.of.label(row)
            found = self.of.meant(db.session(), text)
            if len(found) != 1:
                raise ValueError(_(self.of.several if found else self.of.none))
            if signed_in_program() and not self.of.is_name(db.session(), text):
                raise ValueError(_(NOT_CALLED, name=text[:100]))
            self.data = found[0].id

    def offered(self) -> Sequence[str]:
        """The labels offered before anything is typed."""
        return [self.of.label(row) for row in self.of.offered(db.session())]

    def __call__(self, **attributes: Any) -> Markup:
        """Render the input and the hidden one."""
        was = self.was or (f"{self.data}:{label_of(self.of, self.data)}" if self.data else "")
        unseen = Markup('<input type="hidden" name="{}-was" value="{}">').format(self.name, was)
        shown: Markup = super().__call__(**attributes)
        return shown + unseen

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else label_of(self.of, self.data)


def _text(field: Text, laws: Laws) -> UnboundField:
    control = TextAreaField if isinstance(field, Notes) else StringField
    filters = [trimmed if isinstance(field, Notes) else tidy]
    return control(_l(field.label), filters=filters, validators=[at_most(field.longest), *laws])


def _choice(field: Choice, laws: Laws) -> UnboundField:
    choices = [SelectChoice(value, _l(word)) for value, word in field.words.items()]
    return SelectField(_l(field.label), choices=choices, validators=laws)


_CONTROLS: Mapping[type[Field], Callable[[Any, Laws], UnboundField]] = {
    Text: _text,
    Notes: _text,
    Choice: _choice,
    Flag: lambda field, laws: BooleanField(_l(field.label), validators=laws),
    Day: lambda field, laws: DayField(_l(field.label), validators=laws),
    CalendarMonth: lambda field, laws: FirstDayField(_l(field.label), validators=laws),
    Amount: lambda field, laws: AmountField(_l(field.label), laws, minimum=field.minimum),
    Quantity: lambda field, laws: QuantityField(_l(field.label), laws, minimum=field.minimum),
    Factor: lambda field, laws: FactorField(_l(field.label), laws, minimum=field.minimum),
    UnitPrice: lambda field, laws: UnitPriceField(_l(field.label), validators=laws),
    Pick: lambda field, laws: PickField(_l(field.label), laws, of=field.of),
}


def control_of(field: Field, laws: Laws) -> UnboundField:
    """The form control of a field, with these validators after its own."""
    must = [Required(_l(field.required))] if field.required else []
    return _CONTROLS[type(field)](field, [*must, *laws])
