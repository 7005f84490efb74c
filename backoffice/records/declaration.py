"""The declaration of a record and its parts: verbs, contents, read-only values, and history rendering."""

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
from ..base.spelling import looks_like
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
"""The kind of a save (empty: by what happened to the row), and its changes beside the row's own fields."""


@dataclass(frozen=True)
class Rendering:
    """How a history renders what is beside the row's own fields.

    `save` renders the events of one save, oldest first: those of the row and of its parts. `part` answers the prefix of
    a corrected figure of a part, by the part's key.
    """

    save: Callable[[Sequence[AuditEvent]], Rendered]
    part: Callable[[Mapping[str, Any]], str] = lambda _key: ""


@dataclass(frozen=True)
class Shown:
    """A value that the API shows beside a record's fields: its status, its lines.

    `of` computes it from a row: amounts as Decimals, lists and mappings of them. `schema` is its JSON schema. A value
    that programs may send too has an `entry`, the schema of what is sent; `problems` are the errors of a sent value
    that does not fit it, each with its place: `lines-0-debit`. The form makes controls of it (`OfRecord.typed`).
    `fields` are those of its lines.
    """

    name: str
    title: str
    of: Callable[[Row], Any]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    entry: Mapping[str, Any] | None = None
    problems: Callable[[Any], Iterable[tuple[str, str]]] = lambda _sent: ()
    fields: Sequence[Field] = ()


def _nothing(_session: Session, _row: Row) -> None:
    """Refuse nothing."""


def _nothing_entered(_session: Session, _row: Row | None, _values: "Values") -> None:
    """Refuse no values."""


def _no_part(_session: Session, _row: Row, _events: Sequence[AuditEvent]) -> Rendering:
    return Rendering(lambda _save: ("", ()))


def _by_approval(_session: Session, _row_id: int, _version: int, _values: "Values") -> object:
    raise AssertionError("A verb with `approved` is carried out by that, not by `run`.")


def _no_effect(_session: Session, _row: Row) -> Mapping[str, Any]:
    return {}


Values = Mapping[str, Any]
"""Entered values, by the fields' names."""


@dataclass(frozen=True)
class Repeated:
    """The row that a verb created earlier under the same key, with the same content."""

    row: Row


@dataclass(frozen=True, eq=False)
class Verb:
    """An action on a row other than editing it: voiding it, ending it, booking on it.

    `name` is its part of the address, `title` its button ("Make void"), `question` the heading of its page ("Make
    invoice %(number)s void?"), and `explains` the text below. `run(session, row_id, version, values)` carries it out,
    takes its own locks, and raises refusals. `fields` are its inputs; each is of the column that stores it. `done` is
    the message afterwards, or computes it from the row and the answer of `run`. `refuses` raises the refusal of a row
    for which it is not possible now and so not offered. `is_final`: it cannot be undone. `writes` is its own
    permission. `approved(row, version, values)` answers the verb that needs approval above the limits, with its
    payload: that is carried out instead of `run`, and not offered to programs, which no user watches.

    A verb that `creates` a row of one of the `contents` needs no version: its fields are of that record's columns, and
    `run` answers the new row. Its API address is `at`, and its answer is that row. With `key`, `run` receives the
    request's idempotency key under that name (None without one) and handles it itself: it answers `Repeated` for a
    repetition, and raises `KeyUsedOtherwise` for other content. `raises` are the refusals with a status in the
    API document. A verb that is not `for_people` has no screen; `shortcut` is the key that opens it from a row's pages.

    On its page: `effect` computes the context of its own `template`, to show what will happen.
    """

    name: str
    title: str
    run: Callable[[Session, int, int, Values], object] = _by_approval
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
        """Its API address, below a row's address."""
        return self.at or self.name


@dataclass(frozen=True, eq=False)
class Contents:
    """Rows of another record that belong to a row of this one, by their foreign key `of`.

    The API lists them below the row's address, under `name`, with the pages, filters and totals of that record's list.
    """

    name: str
    record: "Record"
    of: InstrumentedAttribute[int] | InstrumentedAttribute[int | None]


@dataclass(frozen=True, eq=False)
class Deletion(Verb):
    """The deletion of a row."""

    name: str = "delete"
    title: str = N_("Delete")
    _: KW_ONLY
    question: str = N_("Delete %(name)s?")
    explains: str = N_("It goes for good. The audit trail keeps what it was.")
    is_final: bool = True


@dataclass(frozen=True, eq=False)
class Record:
    """A record that users enter in one form: its model, fields, list, and permissions.

    `name` is the unique column by which users and files name a row; it is part of addresses, with slashes if
    `has_path`. `many` is the title of its list. `listing(user)` is its own list, of which `rows` restrict what a
    user sees; without it every user who `reads` sees all rows, a column per field. `url` is the address of its screens
    (else by `domain`), `list_page` its list's template, `frame` that of what a row's pages share, and `saved_to`
    answers the address after a save, for a record with standard screens; `screens` names its own class of them
    (`module:Class`). `domain` is the name of its blueprint and its API path, `title` and `new` the titles of one and
    of a new one, `called` that of a row ("Meter %(number)s"; without it by the column `name`), `saved` the message
    after a save. `reads` and `writes` are the permissions; a record that only another record's verbs create has no
    `writes`. An `append_only` record is never edited. `shown` are values that the API shows beside the fields;
    `contents` are rows of other records that belong to one.

    `kept` are columns that are shown, in histories and the API too, but changed only by `verbs` and actions.

    `form` is its own form, or the form's name (`module:Class`), so that commands do not import it. `answers` are the
    names, with titles, under which its questions are answered; `create` and `update` are its own actions instead of
    writing one row: they take the form's `values`.

    Options: `is_current` raises the refusal of a row that can no longer be changed; `refuses`, for a record without
    actions of its own, that of values to which the locked row, or a new one (None), cannot be set. `new_fields` are
    fields only of a new row, or other ones there, which `create` or the row takes. `parts` are the foreign keys by
    which rows of other tables belong to it, `rendering` renders their changes in its history; `loads` is loaded with a
    row; `labels` are those of columns that no user enters, for the audit trail.

    `figures` are the stored figures that it shows, of itself and its parts, in order of dependency; the last one has a
    row's main amount, in its column `main` if that is always the same. `recalculated` is the kind of owner for which a
    correction can be previewed.
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
    frame: str = ""
    saved_to: Callable[["OfRecord", Row], str] | None = None
    screens: str = ""
    has_path: bool = False
    append_only: bool = False
    shown: Sequence[Shown] = ()
    contents: Sequence[Contents] = ()
    form: "type[OfRecord] | str | None" = None
    answers: Mapping[str, str] = field(default_factory=dict)
    create: Callable[[Session, Any], Row] | None = None
    update: Callable[[Session, int, Any, int], Row] | None = None
    is_current: Callable[[Session, Row], None] = _nothing
    refuses: Callable[[Session, Row | None, Values], None] = _nothing_entered
    new_fields: Sequence[Field] = ()
    parts: Sequence[InstrumentedAttribute[int]] = ()
    rendering: Callable[[Session, Row, Sequence[AuditEvent]], Rendering] = _no_part
    loads: Sequence[ORMOption] = ()
    labels: Mapping[str, str] | None = None
    figures: Sequence[Figure] = ()
    main: str = ""
    recalculated: str = ""

    def __post_init__(self) -> None:
        if self.refuses is not _nothing_entered and (self.create or self.update):
            raise TypeError(
                f"{self.domain}: its own create and update refuse; `refuses` would not be asked."
            )

    @property
    def form_id(self) -> str:
        """The id of its form in pages."""
        return f"{self.model.__name__.lower()}-form"

    @property
    def argument(self) -> str:
        """The name of the address argument that holds a row's name."""
        return str(self.name.key)

    @property
    def program_verbs(self) -> Sequence[Verb]:
        """The verbs that the API offers."""
        return [verb for verb in self.verbs if verb.approved is None]

    @property
    def by_name(self) -> Mapping[str, Field]:
        """Each field by its name."""
        return {field.name: field for field in self.fields}

    @property
    def entered(self) -> Mapping[str, Field]:
        """Each field by its name, including those of a new row."""
        return {field.name: field for field in (*self.fields, *self.new_fields)}

    @property
    def sent(self) -> Sequence[Shown]:
        """The values that programs may send beside the fields."""
        return [shown for shown in self.shown if shown.entry is not None]

    def name_of(self, row: Row) -> str:
        """The name of a row, as users and addresses have it."""
        return str(getattr(row, self.argument))

    def placeholders(self, row: Row) -> Mapping[str, str]:
        """The placeholders of sentences about a row: its name, under the address argument and under `name`."""
        name = self.name_of(row)
        return {"name": name, self.argument: name}

    def label_of(self, row: Row) -> str:
        """The title of a row on its pages."""
        return self.name_of(row)

    def trail(self, session: Session, row: Row, limit: int) -> Sequence[AuditEvent]:
        """The last `limit` audit events of the row and its parts, newest first."""
        return history(session, self.model.__tablename__, row.id, parts=self.parts, limit=limit)

    def is_own(self, event: AuditEvent, row: Row) -> bool:
        """Whether an audit event is of the row itself, not of a part."""
        return (event.table_name, event.row_id) == (self.model.__tablename__, str(row.id))

    def holder_of(
        self, session: Session, field: Field, value: Any, within: Mapping[str, Any]
    ) -> int | None:
        """The id of the row that has this value of a unique field; None where the value is free.

        `within` are the values of the columns with which it is unique together, by their names.
        """
        own = self.model.__table__.c
        is_there = [field.column == value, *(own[name] == held for name, held in within.items())]
        found: int | None = session.scalar(select(own.id).where(*is_there))
        return found

    def alike(
        self, session: Session, field: Field, value: str, within: Mapping[str, Any], row_id: int
    ) -> str | None:
        """The value of another row that looks like this one of a unique text field, and would be taken for it."""
        own = self.model.__table__.c
        is_there = [
            looks_like(field.column, value),
            *(own[name] == held for name, held in within.items()),
        ]
        found: str | None = session.scalar(
            select(field.column)
            .where(*is_there, field.column != value, own.id != row_id)
            .order_by(own.id)
            .limit(1)
        )
        return found

    def version_of(self, row: Row) -> int:
        """The version of a row, which changes with every change of it."""
        return int(getattr(row, "version", 1))

    def content_of(self, created: "Record | None") -> Contents | None:
        """The contents to which rows created by a verb belong; None without one."""
        return next((each for each in self.contents if each.record is created), None)

    @property
    def figure_columns(self) -> Mapping[str, Figure]:
        """Each column of its rows that a figure keeps, by its name, with that figure."""
        own = self.model.__table__
        return {c.key: f for f in self.figures if f.table is own for c in f.columns}

    def main_column(self, row: Row) -> str:
        """The column with a row's main amount: `main`, or the first one of the last figure that is not zero."""
        if self.main:
            return self.main
        columns = [column.key for column in self.figures[-1].columns]
        return next((name for name in columns if getattr(row, name)), columns[0])

    def owner_of(self, figure: Figure, row: Row) -> int:
        """The id of the owner of a row's figure."""
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
        """Entered values, by the names of the columns."""
        return {self.entered[name].key: value for name, value in values.items()}

    def recorded(self) -> Recorded:
        """How the audit trail shows its rows."""
        fields = (*self.fields, *self.kept)
        labels = {field.key: field.label for field in fields} | dict(self.labels or {})
        return Recorded(
            self.title, self.model, name=self.name,
            endpoint=f"{self.domain}.record", argument=self.argument, labels=labels,
        )  # fmt: skip
