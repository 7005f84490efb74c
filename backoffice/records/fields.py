"""The field types of records, with their validation; `controls.py` has their form controls, `writing.py` formats them.

A *fact* is a value as text, identical for the stored value, the form's and the audit trail's, so that the three can be
compared.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, cast

from sqlalchemy import exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ..base import N_, Base
from ..base.periods import is_to_come
from ..base.refusals import StillToCome
from ..base.spelling import looks_like
from ..lists.declaration import Kind


def is_text(sent: Any) -> bool:
    """Whether it is a text that PostgreSQL can store: without NUL and lone surrogates, which JSON can contain."""
    is_whole = isinstance(sent, str) and "\0" not in sent
    return is_whole and not any("\ud800" <= letter <= "\udfff" for letter in sent)


@dataclass(frozen=True)
class Law:
    """A validation rule: `holds` checks a value, `sentence` says what to enter instead."""

    holds: Callable[[Any], bool]
    sentence: str


MONTH = "(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])"
DAY = f"{MONTH}-(0[1-9]|[12][0-9]|3[01])"
"""Patterns of a month and a day from 1900 to 2199, as `periods.FIRST_DAY` and `LAST_DAY`."""

NO_SUCH_FIELD = N_("There is no such field to enter.")
"""What a program is told that sends an unknown name."""

NOT_CALLED = N_("There is no %(name)s. Send the whole name, as the API shows it.")
"""What a program is told that names no other record."""

NOT_TO_COME = Law(lambda day: not is_to_come(day), StillToCome.sentence)
"""For the date of an entry that counts at once."""


_NUMBER = r"-?[0-9]{1,20}(\.[0-9]{1,8})?"
"""A number as programs send it: exact as text, which a JSON number is not, and with the digits of a Decimal."""


def _always(_row: Any) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Field:
    """One column that users enter.

    `required` is the error of an empty field; without it the field may be empty. `laws` are checked for new values
    only: a stored value is not refused by a later law. `taken` is the error of a value that another row has, where the
    column is unique; it may contain the value by the column's name. `unique_by` are columns with which it is unique
    together (a day, per customer). `usual` is what a new form suggests, or a function that computes it; `given`
    computes the value of an empty field when a new row is saved. `called` is its name where it differs from the
    column's. `derived` is the text of a history where the trail has no value, because it followed from others ("from
    its lines"). `counts` answers whether a row's value was entered, not derived from other fields. `is_short` puts the
    input beside its neighbours. `attributes` are further HTML attributes of the input.
    """

    column: InstrumentedAttribute[Any]
    label: str
    _: KW_ONLY
    required: str = ""
    laws: Sequence[Law] = ()
    taken: str = ""
    unique_by: Sequence[InstrumentedAttribute[Any]] = ()
    help: str = ""
    usual: Any = None
    given: Callable[[Session, Mapping[str, Any]], str] | None = None
    called: str = ""
    derived: str = ""
    counts: Callable[[Any], bool] = _always
    is_short: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    must_be = N_("Send a text.")
    """The API's error for a value that is not of the field's type."""

    is_amount = False
    """Whether the currency is shown before its input."""

    kind: ClassVar[Kind] = "text"
    """The kind of its list column."""

    @property
    def key(self) -> str:
        """Its name in the model and in the audit trail."""
        return str(self.column.key)

    @property
    def name(self) -> str:
        """Its name in the form and in the API."""
        return self.called or self.key

    def value(self, data: Any) -> Any:
        """The stored value of the form's data."""
        return data

    def fact(self, value: Any) -> str:
        """A value, stored or from the audit trail, as comparable text."""
        return "" if value is None else str(value)

    def data(self, fact: str) -> Any:
        """The form's data of a fact."""
        return fact

    def reads(self, sent: Any) -> bool:
        """Whether a JSON value is of the field's type; null is empty."""
        return sent is None or is_text(sent)

    def suggested(self) -> Any:
        """The suggested value in a new form."""
        return self.usual() if callable(self.usual) else self.usual

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema in the API document."""
        return {"type": "string"}


@dataclass(frozen=True, eq=False)
class Text(Field):
    """A text on one line of at most `longest` characters."""

    _: KW_ONLY
    longest: int = 200

    def value(self, data: Any) -> str:
        """The text; empty where nothing was typed."""
        return data or ""

    def schema(self) -> dict[str, Any]:
        """A string with its length."""
        least = {"minLength": 1} if self.required else {}
        return {"type": "string", "maxLength": self.longest, **least}


@dataclass(frozen=True, eq=False)
class Notes(Text):
    """A text of several lines: a reason, a remark."""

    _: KW_ONLY
    longest: int = 500


@dataclass(frozen=True, eq=False)
class Named:
    """How rows of a model are named where others refer to them.

    `name` is the column by which programs name one. `meant` finds the rows that a typed text can mean; exactly one is
    needed, `none` and `several` are the errors otherwise. `label` is the text in forms and on pages; `meant` parses it
    back. `offered` are the first options; further ones for a typed text come from the endpoint `options`, and `page` is
    the endpoint of a row's page; both are optional.
    """

    name: InstrumentedAttribute[str]
    _: KW_ONLY
    meant: Callable[[Session, str], Sequence[Any]]
    label: Callable[[Any], str]
    none: str
    several: str = ""
    offered: Callable[[Session], Sequence[Any]]
    options: str = ""
    page: str = ""

    @property
    def model(self) -> type[Base]:
        """The model that it names."""
        return cast(type[Base], self.name.class_)

    def is_name(self, session: Session, text: str) -> bool:
        """Whether a row is called exactly that, in whatever case."""
        same = self.name == text, looks_like(self.name, text)
        return any(session.scalar(select(exists().where(is_it))) for is_it in same)

    def names(self, session: Session, ids: Collection[int | None]) -> dict[int, str]:
        """The names of rows, by id."""
        key = self.model.__table__.c.id
        wanted = {each for each in ids if each is not None}
        found = session.execute(select(key, self.name).where(key.in_(wanted))) if wanted else ()
        return {row_id: str(name) for row_id, name in found}


@dataclass(frozen=True, eq=False)
class Pick(Field):
    """A reference to another record, entered by its name; its id is stored."""

    _: KW_ONLY
    of: Named
    usual: Any = None

    @property
    def name(self) -> str:
        """The column's name without `_id`."""
        return self.called or self.key.removesuffix("_id")

    def suggested(self) -> Any:
        """The id of the suggested record; None without one."""
        return super().suggested() or None

    def data(self, fact: str) -> int | None:
        """The id."""
        return int(fact) if fact else None

    def schema(self) -> dict[str, Any]:
        """The name of the other record."""
        return {"type": "string", "minLength": 1} if self.required else {"type": ["string", "null"]}


@dataclass(frozen=True, eq=False)
class Choice(Field):
    """One of a few stored values; `words` are their labels."""

    _: KW_ONLY
    words: Mapping[str, str]

    def schema(self) -> dict[str, Any]:
        """An enumeration of the stored values."""
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, eq=False)
class Flag(Field):
    """Yes or no."""

    must_be = N_("Send true or false.")

    def reads(self, sent: Any) -> bool:
        """Whether it is true or false."""
        return isinstance(sent, bool)

    def value(self, data: Any) -> bool:
        """Whether it is ticked."""
        return bool(data)

    def fact(self, value: Any) -> str:
        """The text `yes`, or empty: browsers do not send an unticked box."""
        return "yes" if value else ""

    def data(self, fact: str) -> bool:
        """Whether it is ticked."""
        return bool(fact)

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, eq=False)
class Day(Field):
    """A day."""

    kind = "day"

    def data(self, fact: str) -> date | None:
        """The day; None where another program has stored a date outside the calendar."""
        try:
            return date.fromisoformat(fact) if fact else None
        except ValueError:
            return None

    def schema(self) -> dict[str, Any]:
        """A day, as 2026-03-31."""
        return {"type": "string" if self.required else ["string", "null"], "format": "date"}


@dataclass(frozen=True, eq=False)
class CalendarMonth(Field):
    """A month, stored as its first day."""

    kind = "month"
    must_be = N_('Send the month as a text, like "2026-03".')

    def reads(self, sent: Any) -> bool:
        """Whether it is a text; the form control checks that it is a month."""
        return sent is None or is_text(sent)

    def fact(self, value: Any) -> str:
        """The month, as 2026-03."""
        return "" if value is None else str(value)[:7]

    def data(self, fact: str) -> date | None:
        """Its first day."""
        return date.fromisoformat(f"{fact}-01") if fact else None

    def schema(self) -> dict[str, Any]:
        """A month, as 2026-03."""
        return {"type": "string", "pattern": f"^{MONTH}$"}


@dataclass(frozen=True, eq=False)
class Amount(Field):
    """An amount in the deployment's currency, of at least `minimum`; None: it may be negative.

    With `empty_is_zero` an empty field is stored as zero, and zero is shown as empty.
    """

    kind: ClassVar[Kind] = "money"
    _: KW_ONLY
    minimum: Decimal | None = Decimal(0)
    empty_is_zero: bool = False
    usual: Any = None

    is_amount = True
    must_be = N_('Send the number as a text with a point and at most two decimals, like "1250.50".')
    pattern = r"-?[0-9]{1,13}(\.[0-9]{1,2})?"
    """The numbers that the API document allows."""

    def reads(self, sent: Any) -> bool:
        """Whether it is a number as text; the form control says what is wrong with its size and its decimals."""
        is_number = isinstance(sent, str) and re.fullmatch(_NUMBER, sent, re.ASCII)
        return sent is None or bool(is_number)

    def value(self, data: Any) -> Any:
        """The number."""
        return Decimal(0) if data is None and self.empty_is_zero else data

    def fact(self, value: Any) -> str:
        """The number without trailing zeros."""
        return "" if value is None else f"{Decimal(str(value)).normalize():f}"

    def data(self, fact: str) -> Decimal | None:
        """The number."""
        return None if fact == "" or (fact == "0" and self.empty_is_zero) else Decimal(fact)

    def schema(self) -> dict[str, Any]:
        """A decimal as text: JSON numbers are not exact."""
        return {"type": ["string", "null"], "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True, eq=False)
class UnitPrice(Amount):
    """What one unit costs, in the deployment's currency, with at most four decimals."""

    kind = "unit_price"
    must_be = N_('Send the number as a text with a point and at most four decimals, like "1250.5".')
    pattern = r"[0-9]{1,15}(\.[0-9]{1,4})?"


@dataclass(frozen=True, eq=False)
class Quantity(Amount):
    """A quantity with at most three decimals."""

    kind = "quantity"
    is_amount = False
    must_be = N_('Send the number as a text with a point and at most three decimals, like "12.5".')
    pattern = r"[0-9]{1,15}(\.[0-9]{1,3})?"


@dataclass(frozen=True, eq=False)
class Factor(Quantity):
    """A factor with at most six decimals."""

    must_be = N_(
        'Send the number as a text with a point and at most six decimals, like "1.012345".'
    )
    pattern = r"[0-9]{1,9}(\.[0-9]{1,6})?"
