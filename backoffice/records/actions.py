"""Actions on any record. Nothing here commits: every action works in the caller's transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..base import N_, Base
from ..base.refusals import Refusal, Stale, broken_constraint, locked_by
from ..database.numbering import keep_number
from .declaration import Deletion, Record, Row, Values, Verb
from .fields import Day, Field


class Taken(Refusal):
    """A value of a unique field that another row has."""

    def __init__(self, field: Field, value: object) -> None:
        self.sentence = field.taken
        self.field = field.name
        super().__init__(**{field.name: value})


class Impossible(Refusal):
    """Entered values that cannot be stored; `problems` are refusals by field."""

    sentence = N_("Nothing was saved: something in it is not possible.")

    def __init__(self, problems: Mapping[str, Refusal]) -> None:
        super().__init__()
        self.problems = problems


class RecordChanged(Stale):
    """A save of a record that another user has saved since it was opened."""

    sentence = N_(
        "Another user has saved %(name)s since you opened it. Look at what they changed, then save again."
    )


class RecordGone(Refusal):
    """A save of a record that was deleted since it was opened."""

    sentence = N_("This record has been deleted in the meantime.")
    status = 404


def create(session: Session, record: Record, values: Values) -> Row:
    """Create a row, by the record's own action if it has one. Raises Taken, and what the record refuses."""
    given = {
        field.name: field.given(session, values)
        for field in record.fields
        if field.given is not None and not values[field.name]
    }
    values = {**values, **given} if given else values
    with _taken(record, values):
        if record.create is not None:
            row = record.create(session, values)
        else:
            record.refuses(session, None, values)
            row = record.model(**record.columns(values))
            session.add(row)
        session.flush()
    return row


def update(session: Session, record: Record, row_id: int, values: Values, version: int) -> Row:
    """Change a row to `values`, if it is still at `version`; saving what is stored changes nothing.

    Raises RecordGone, RecordChanged, or what `record.is_current` raises: another user was faster; Taken, and what the
    record refuses.
    """
    row = session.get(record.model, row_id)
    values = _with_number(record, row, values)
    _keep_numbers(session, record, row, values)
    with _taken(record, values):
        if record.update is not None:
            return record.update(session, row_id, values, version)
        row = at_version(session, record, row_id, version, key_share=True)
        record.refuses(session, row, values)
        for name, value in record.columns(values).items():
            setattr(row, name, value)
        bump_version(session, row)
        session.flush()
        return row


def bump_version(session: Session, row: Row) -> None:
    """Increment the version of a row that was changed."""
    if session.is_modified(row):
        next_version(row)


def next_version(row: Row) -> None:
    """Increment a row's version, so that saves of what was read before are refused."""
    row.version += 1
    if "updated_at" in row.__table__.c:
        row.updated_at = func.now()


def refusal_of(
    session: Session, refuses: Callable[[Session, Row], None], row: Row
) -> Refusal | None:
    """The refusal that `refuses` raises for a row now; None without one."""
    try:
        refuses(session, row)
    except Refusal as refusal:
        return refusal
    return None


def run_verb(
    session: Session, record: Record, verb: Verb, row_id: int, version: int, values: Values
) -> object:
    """Carry out a verb on a row that is still at `version`. Raises RecordGone, RecordChanged, and what it refuses."""
    if not isinstance(verb, Deletion):
        return verb.run(session, row_id, version, values)
    row = at_version(session, record, row_id, version)
    verb.refuses(session, row)
    _keep_numbers(session, record, row, {})
    with _taken(record, values):
        session.delete(row)
        session.flush()
    return None


def _with_number(record: Record, row: Row | None, values: Values) -> Values:
    """The values of an update, where a number that was left empty is the one that the row has."""
    left = [field for field in record.fields if field.given and not values[field.name]]
    return (
        values
        if row is None or not left
        else {**values, **{f.name: getattr(row, f.key) for f in left}}
    )


def _keep_numbers(session: Session, record: Record, row: Row | None, values: Values) -> None:
    """Keep numbers that the row gives up, by a deletion or for another, from being given again."""
    for field in record.fields:
        before = getattr(row, field.key) if field.given is not None and row is not None else ""
        if before and before != values.get(field.name):
            keep_number(session, field.column, before)


def at_version(
    session: Session, record: Record, row_id: int, version: int, *, key_share: bool = False
) -> Row:
    """The locked row, if it is still at `version`. Raises as `update` does."""
    row = locked(session, record.model, [row_id], key_share=key_share)[row_id]
    record.is_current(session, row)
    if record.version_of(row) != version:
        raise RecordChanged(name=record.name_of(row))
    return row


def check_version(row: Row, version: int, name: str) -> None:
    """Raises RecordChanged, with that name, where a row is no longer at `version`."""
    if row.version != version:
        raise RecordChanged(name=name)


def locked(
    session: Session, model: type[Base], ids: Sequence[int], *, key_share: bool = False
) -> dict[int, Row]:
    """These rows by id, locked in id order, with their current values.

    With `key_share` other transactions may insert references to them; without, those wait. Raises RecordGone.
    """
    key = model.__table__.c.id
    rows = session.scalars(
        select(model)
        .where(key.in_(ids))
        .order_by(key)
        .with_for_update(key_share=key_share)
        .execution_options(populate_existing=True)
    )
    found = {row.id: row for row in rows}  # type: ignore[attr-defined]
    if len(found) < len(set(ids)):
        raise RecordGone()
    return found


@contextmanager
def _taken(record: Record, values: Values) -> Iterator[None]:
    """Turn a violated unique constraint into `Taken` of its field, and a locked day into `Locked`."""
    try:
        yield
    except IntegrityError as error:
        day = next((field.name for field in record.fields if isinstance(field, Day)), "")
        if (locked := locked_by(error, day)) is not None:
            raise locked from error
        broken = broken_constraint(error)
        for field in record.fields:
            columns = "_".join((*(column.key for column in field.unique_by), field.key))
            if field.taken and broken == f"uq_{record.model.__tablename__}_{columns}":
                raise Taken(field, _entered(values, field.name)) from error
        raise


def _entered(values: Values | object, name: str) -> object:
    return values[name] if isinstance(values, Mapping) else getattr(values, name)
