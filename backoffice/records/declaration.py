"""A record, as its domain declares it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.orm.interfaces import ORMOption

from ..audit.histories import Change
from ..audit.models import AuditEvent
from ..audit.queries import history
from ..audit.tables import Recorded
from ..base import N_, Base
from ..base.refusals import Refusal
from ..figures import Figure
from .fields import Field

if TYPE_CHECKING:
    from ..approvals.verbs import Payload
    from ..approvals.verbs import Verb as Approved
    from ..lists import List
    from .forms import OfRecord

Row = Any
"""A stored row of the record's model."""

Rendered = tuple[str, Iterable[Change]]
"""What a save tells beside the row's own fields: its kind (empty: what happened to the row), and its changes."""


@dataclass(frozen=True)
class Rendering:
    """What a history tells beside the row's own fields.

    `save` answers it of the events of one save, oldest first: those of the row, and of what belongs to it. `part` is
    what stands before a corrected figure of a row that belongs to it, by that row's key.
    """

    save: Callable[[Sequence[AuditEvent]], Rendered]
    part: Callable[[Mapping[str, Any]], str] = lambda _key: ""


@dataclass(frozen=True)
class Shown:
    """What a program reads of a record beside its fields: its status, what its parts are.

    `of` answers it of a row: amounts as Decimals, lists and mappings of them. `schema` is that of its JSON. What a
    program may send as well has an `entry`, the schema of what is sent, and `reads` answers whether something fits it;
    `must_be` is said of what does not. The form makes controls of it (`OfRecord.typed`).
    """

    name: str
    title: str
    of: Callable[[Row], Any]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    entry: Mapping[str, Any] | None = None
    reads: Callable[[Any], bool] = lambda _sent: False
    must_be: str = ""


def _nothing(_session: Session, _row: Row) -> None:
    """There is no such law."""


def _no_part(_session: Session, _row: Row, _events: Sequence[AuditEvent]) -> Rendering:
    return Rendering(lambda _save: ("", ()))


def _by_two(_session: Session, _row_id: int, _version: int, _values: "Values") -> object:
    raise AssertionError("What two people look at is done by what is approved.")


def _no_effect(_session: Session, _row: Row) -> Mapping[str, Any]:
    return {}


Values = Mapping[str, Any]
"""What was entered, by the fields' names."""


@dataclass(frozen=True)
class Repeated:
    """The row that a verb created before under the same key, with the same content."""

    row: Row


@dataclass(frozen=True, eq=False)
class Verb:
    """What can be done to a row beside editing it: to void it, to end it, to book on it.

    `name` stands in addresses, `title` on its button ("Make void"), `question` above its page ("Make invoice %(number)s
    void?"), where `explains` says what it does. `run(session, row_id, version, values)` does it: it locks in an order
    of its own, and refuses what it must. `fields` are what it has to know; each is of the column that keeps it. `done`
    is what is said then, or answers it for the row and what `run` has answered. `refuses` raises a refusal of a row to
    which it cannot be done now, and is not offered. `is_final`: nothing takes it back. `writes` is a permission of its
    own. `approved(row, version, values)` answers what two people look at above the limits, and what it is asked: it is
    done by that instead of `run`, and offered to no program, beside which nobody stands.

    One that `creates` a row of one of the `contents` is of no version: its fields are of that record's columns, and
    `run` answers the new row. Programs find it at the address `at` and are answered that row; no
    version is asked of them. With `key`, `run` is told under that name the key of the request, None without one, and
    keeps it itself: it answers `Repeated` where it comes again, and raises `KeyUsedOtherwise` of other content.
    `raises` are refusals whose status the API's document names. One that is not `for_people` has no screen; `shortcut`
    is the key that opens that from a row's pages.

    Of its page: `effect` answers what a `template` of its own shows of what will happen.
    """

    name: str
    title: str
    run: Callable[[Session, int, int, Values], object] = _by_two
    _: KW_ONLY
    question: str
    done: str | Callable[[Row, Any], str]
    fields: Sequence[Field] = ()
    explains: str = ""
    is_final: bool = False
    refuses: Callable[[Session, Row], None] = _nothing
    writes: str = ""
    approved: Callable[[Row, int, Values], "tuple[Approved, Payload]"] | None = None
    creates: "Record | None" = None
    at: str = ""
    key: str = ""
    raises: Sequence[type[Refusal]] = ()
    for_people: bool = True
    shortcut: str = ""
    template: str = "records/verb.html"
    effect: Callable[[Session, Row], Mapping[str, Any]] = _no_effect

    @property
    def address(self) -> str:
        """Where programs find it, below a row's address."""
        return self.at or self.name


@dataclass(frozen=True, eq=False)
class Contents:
    """Rows of another record that belong to one of this, by their foreign key `of`: what was booked on it.

    Programs read them below its address, under `name`: pages, filters and totals as the list of that record has them.
    """

    name: str
    record: "Record"
    of: InstrumentedAttribute[int] | InstrumentedAttribute[int | None]


@dataclass(frozen=True, eq=False)
class Deletion(Verb):
    """Deleting a row. It is offered of every one: its page says why that cannot be done now."""

    name: str = "delete"
    title: str = N_("Delete")
    _: KW_ONLY
    question: str = N_("Delete %(name)s?")
    explains: str = N_("It goes for good. The audit trail keeps what it was.")
    is_final: bool = True


@dataclass(frozen=True, eq=False)
class Record:
    """What people enter in one form: its model, its fields, its list, and who may.

    `name` is the unique column by which people and files know a row; it stands in addresses, with slashes if
    `has_path`. `many` is what its list is called. `listing(user)` is a list of its own, whose `rows` say who sees
    what; without it everybody who `reads` sees all, a column per field; `url` is where it stands (else under `domain`)
    and `list_page` its template, of a record whose screens are all as declared. `domain` is the name of its blueprint
    and of its addresses in the API, `title` and `new` what one and a new one are called, `called` this one
    ("Meter %(number)s"; without it by the column `name`), `saved` what is said when one is. `reads` and `writes` are
    the permissions; what verbs of another record create, and nobody enters, has no `writes`. One that is `append_only`
    is entered once and never edited. `shown` is what programs read beside the fields; `contents` are rows of another
    record that belong to one.

    `kept` are columns that are shown, told and read by programs, but changed by `verbs` and actions alone.

    `form` is a form of one's own, or its name (`module:Class`), so that no command imports it. `answers` are the names,
    with their titles, by which its questions are answered; `create` and `update` do the record's own instead of writing
    one row: they take what the form's `values` says.

    Seams: `is_current` raises a refusal of a row that can no longer be changed. `new_fields` are further ones of a new
    one, or otherwise, which its `create` or the row takes. `parts` are the foreign keys by which rows of other tables
    belong to it, `rendering` what a save tells of those in its history; `loads` is what is read with a row; `labels`
    are those of columns that nobody enters, for the audit trail.

    `figures` are the stored figures that it shows, of itself and of its parts, each after what it builds on; the last
    one is what a row comes to. `recalculated` is what the watch calls that owner whose correction can be previewed.
    """

    model: type[Base]
    _: KW_ONLY
    name: InstrumentedAttribute[str] | InstrumentedAttribute[int]
    domain: str
    title: str
    many: str
    new: str = ""
    fields: Sequence[Field]
    kept: Sequence[Field] = ()
    verbs: Sequence[Verb] = ()
    reads: str
    writes: str = ""
    called: str = ""
    saved: str = N_("%(name)s is saved.")
    listing: Callable[[Any], "List"] | None = None
    url: str = ""
    list_page: str = ""
    has_path: bool = False
    append_only: bool = False
    shown: Sequence[Shown] = ()
    contents: Sequence[Contents] = ()
    form: "type[OfRecord] | str | None" = None
    answers: Mapping[str, str] = field(default_factory=dict)
    create: Callable[[Session, Any], Row] | None = None
    update: Callable[[Session, int, Any, int], Row] | None = None
    is_current: Callable[[Session, Row], None] = _nothing
    new_fields: Sequence[Field] = ()
    parts: Sequence[InstrumentedAttribute[int]] = ()
    rendering: Callable[[Session, Row, Sequence[AuditEvent]], Rendering] = _no_part
    loads: Sequence[ORMOption] = ()
    labels: Mapping[str, str] | None = None
    figures: Sequence[Figure] = ()
    recalculated: str = ""

    @property
    def form_id(self) -> str:
        """The id of its form in pages."""
        return f"{self.model.__name__.lower()}-form"

    @property
    def argument(self) -> str:
        """What the name is called in addresses."""
        return str(self.name.key)

    @property
    def program_verbs(self) -> Sequence[Verb]:
        """What a program can do to a row."""
        return [verb for verb in self.verbs if verb.approved is None]

    @property
    def by_name(self) -> Mapping[str, Field]:
        """Each field by its name."""
        return {field.name: field for field in self.fields}

    @property
    def entered(self) -> Mapping[str, Field]:
        """Each field by its name, and those of a new one."""
        return {field.name: field for field in (*self.fields, *self.new_fields)}

    @property
    def sent(self) -> Sequence[Shown]:
        """What programs send beside the fields."""
        return [shown for shown in self.shown if shown.entry is not None]

    def name_of(self, row: Row) -> str:
        """By which people know the row."""
        return str(getattr(row, self.argument))

    def label_of(self, row: Row) -> str:
        """What its pages call the row."""
        return self.name_of(row)

    def trail(self, session: Session, row: Row, limit: int) -> Sequence[AuditEvent]:
        """The last `limit` events of the row and of what belongs to it, newest first."""
        return history(session, self.model.__tablename__, row.id, parts=self.parts, limit=limit)

    def is_own(self, event: AuditEvent, row: Row) -> bool:
        """Whether an event of its trail is of the row itself."""
        return (event.table_name, event.row_id) == (self.model.__tablename__, str(row.id))

    def holder_of(
        self, session: Session, field: Field, value: Any, within: Mapping[str, Any]
    ) -> int | None:
        """The id of the row that has this value of a field, of which there can be only one; None: it can be given.

        `within` are the values of the columns with which it is unique together, by their names.
        """
        own = self.model.__table__.c
        is_there = [field.column == value, *(own[name] == held for name, held in within.items())]
        found: int | None = session.scalar(select(own.id).where(*is_there))
        return found

    def version_of(self, row: Row) -> int:
        """What was read of it is of this version; another one as soon as anything of it changes."""
        return int(getattr(row, "version", 1))

    def content_of(self, created: "Record | None") -> Contents | None:
        """Where the rows that a verb creates stand below it."""
        return next((each for each in self.contents if each.record is created), None)

    @property
    def figure_columns(self) -> Mapping[str, Figure]:
        """Each column of its rows that a figure keeps, by its name, with that figure."""
        own = self.model.__table__
        return {c.key: f for f in self.figures if f.table is own for c in f.columns}

    def main_column(self, row: Row) -> str:
        """What a row comes to: of the figure that is declared last the first column that is not nothing."""
        columns = [column.key for column in self.figures[-1].columns]
        return next((name for name in columns if getattr(row, name)), columns[0])

    def owner_of(self, figure: Figure, row: Row) -> int:
        """Whose figure of a row it is: its owner's id."""
        is_own = figure.table is self.model.__table__
        return int(getattr(row, figure.owner.key) if is_own else row.id)

    def facts(self, values: Row | Mapping[str, Any]) -> dict[str, str]:
        """The facts of a stored row, or of entered values, by the fields' names."""
        if isinstance(values, Mapping):
            return {field.name: field.fact(values.get(field.name)) for field in self.fields}
        return {
            field.name: field.fact(getattr(values, field.key)) if field.counts(values) else ""
            for field in self.fields
        }

    def columns(self, values: Values) -> dict[str, Any]:
        """What was entered, by the names of the columns."""
        return {self.entered[name].key: value for name, value in values.items()}

    def recorded(self) -> Recorded:
        """How the audit trail shows its rows."""
        fields = (*self.fields, *self.kept)
        labels = {field.key: field.label for field in fields} | dict(self.labels or {})
        return Recorded(
            self.title, self.model, name=self.name,
            endpoint=f"{self.domain}.record", argument=self.argument, labels=labels,
        )  # fmt: skip
