"""The SQL statements that write and read an entry and its lines, each compiled once."""

import json
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    any_,
    bindparam,
    cast,
    exists,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from ..base import Base
from ..records import Values
from .entries import OF_LINE, LineEntry, Lines
from .models import Account, JournalEntry, JournalLine
from .refusals import NoOneSide
from .rules import POSTED

_TABLES = Base.metadata.tables
_ACCOUNT, _ENTRY, _LINE = (
    _TABLES[model.__tablename__] for model in (Account, JournalEntry, JournalLine)
)
_WRITTEN = ("position", *OF_LINE)
_ENTERED = (
    "number", "entry_date", "memo", "source", "document", "document_date", "reverses_entry_id",
    "idempotency_key",
)  # fmt: skip

_GIVEN = (
    func.jsonb_to_recordset(cast(bindparam("lines", type_=Text), postgresql.JSONB))
    .table_valued(*(_LINE.c[name]._copy() for name in _WRITTEN), name="given")
    .render_derived(with_types=True)
)
_GIVEN_LINES = [_GIVEN.c[name] for name in _WRITTEN]
_WRITE = insert(_LINE).from_select(
    ["entry_id", *_WRITTEN], select(bindparam("entry_id", type_=BigInteger), *_GIVEN_LINES)
)
_READ = (
    select(*(_LINE.c[name] for name in OF_LINE))
    .where(_LINE.c.entry_id == bindparam("entry_id"))
    .order_by(_LINE.c.position, _LINE.c.id)
)

_NAMED = _ACCOUNT.c.id == any_(bindparam("accounts", type_=ARRAY(BigInteger)))
_IS_INACTIVE = _ACCOUNT.c.is_active.is_(False)
_INACTIVE = select(_ACCOUNT.c.code).where(_NAMED, _IS_INACTIVE).order_by(_ACCOUNT.c.code).limit(1)

_MADE = (
    postgresql.insert(_ENTRY)
    .from_select(
        _ENTERED,
        select(*(bindparam(name, type_=_ENTRY.c[name].type) for name in _ENTERED)).where(
            ~exists().where(_NAMED, _IS_INACTIVE)
        ),
    )
    .on_conflict_do_nothing(index_elements=[_ENTRY.c.idempotency_key])
    .returning(_ENTRY.c.id)
    .cte("made")
)
_MAKE = (
    insert(_LINE)
    .from_select(
        ["entry_id", *_WRITTEN], select(_MADE.c.id, *_GIVEN_LINES).join_from(_MADE, _GIVEN, true())
    )
    .returning(_LINE.c.entry_id)
)
_POST = (
    update(_ENTRY)
    .where(_ENTRY.c.id == bindparam("entry_id"))
    .values(status=POSTED, version=_ENTRY.c.version + 1, updated_at=func.now())
)


def write_lines(session: Session, entry_id: int, lines: Lines) -> None:
    """Insert the lines of an entry in one statement. Raises NoOneSide."""
    if not all(line.is_one_side for line in lines):
        raise NoOneSide()
    if lines:
        session.execute(_WRITE, {"entry_id": entry_id, "lines": _sent(lines)})


def stored_lines(session: Session, entry_id: int) -> list[LineEntry]:
    """The lines of an entry, as a user would enter them."""
    return [LineEntry(*row) for row in session.execute(_READ, {"entry_id": entry_id})]


def make_entry(
    session: Session, entered: Values, lines: Lines, must_be_active: Lines
) -> int | None:
    """Insert a draft with its lines in one statement; answers its id.

    Inserts nothing and answers None where its key was used before, or where an account of `must_be_active` is inactive.
    """
    given = {"lines": _sent(lines), "accounts": _accounts(must_be_active)}
    assert entered.keys() <= set(_ENTERED), "nothing of it is left out"
    row = session.execute(_MAKE, {**dict.fromkeys(_ENTERED), **entered, **given}).first()
    return None if row is None else int(row[0])


def post_entry(session: Session, entry_id: int) -> None:
    """Set a draft's status to posted."""
    session.execute(_POST, {"entry_id": entry_id})


def inactive_among(session: Session, lines: Lines) -> str | None:
    """The code of the first account of these lines that is not active."""
    code: str | None = session.scalar(_INACTIVE, {"accounts": _accounts(lines)})
    return code


def _accounts(lines: Lines) -> list[int]:
    return list({line.account_id for line in lines})


def _sent(lines: Lines) -> Any:
    rows = [{"position": position, **vars(line)} for position, line in enumerate(lines)]
    return json.dumps(rows, default=str)
