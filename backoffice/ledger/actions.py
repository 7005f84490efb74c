"""What can be done to accounts and entries. Nothing here commits.

A draft is written with its lines in one statement, and posted once; a posted entry is corrected by another entry.
Every verb locks its entry; PostgreSQL locks the accounts, in the order of their ids.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from ..base import periods
from ..base.refusals import KeyUsedOtherwise, refused_if_locked
from ..book.queries import refusal_of
from ..database.numbering import next_number
from ..records import Values
from ..records import actions as records
from ..records.actions import check_version, next_version
from .entries import Lines, Totals
from .models import Account, JournalEntry, JournalLine, Period
from .queries import closing_entries
from .refusals import (
    AccountInactive,
    AlreadyReversed,
    BeneathItself,
    ClosesYear,
    EntryPosted,
    NoOneSide,
    NotBalanced,
    NothingToPost,
    NotPosted,
    RoleTaken,
    TooMuchInAccount,
    TypeInUse,
)
from .rules import POSTED, RETAINED_EARNINGS
from .writing import inactive_among, make_entry, post_entry, stored_lines, write_lines

_OUT_OF_RANGE = "22003"

# Accounts


def refuse_account(session: Session, account: Account | None, values: Values) -> None:
    """Raises TypeInUse, BeneathItself, RoleTaken: why an account, or a new one, cannot be saved with these values."""
    if account is None:
        refuse_role(session, None, values)
        return
    if values["type"] != account.type and _is_named(session, account.id):
        raise TypeInUse(code=account.code)
    refuse_circle(session, account, values["parent"])
    if (account.role, account.is_active) != (values["role"], values["is_active"]):
        refuse_role(session, account.id, values)


def refuse_role(session: Session, account_id: int | None, values: Values) -> None:
    """Raises RoleTaken where posting rules post to another active account of that role.

    Years are closed to the first account for retained earnings, so of that there may be several.
    """
    role = values["role"]
    if role in ("", RETAINED_EARNINGS) or not values["is_active"]:
        return
    hold_roles(session)
    other = Account.role == role, Account.is_active, Account.id.is_distinct_from(account_id)
    code = session.scalar(select(Account.code).where(*other).order_by(Account.code).limit(1))
    if code is not None:
        raise RoleTaken(code=code)


def hold_roles(session: Session) -> None:
    """Serialize transactions that give accounts a role, by an advisory lock until this one ends."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("uses of accounts"))))


def _is_named(session: Session, account_id: int) -> bool:
    named = select(JournalLine.id).where(JournalLine.account_id == account_id)
    return bool(session.scalar(select(named.exists())))


def refuse_circle(session: Session, account: Account, parent_id: int | None) -> None:
    """Raises BeneathItself where the account would become its own ancestor."""
    if parent_id is None or parent_id == account.parent_id:
        return
    above = select(Account.id, Account.parent_id).where(Account.id == parent_id).cte(recursive=True)
    above = above.union(
        select(Account.id, Account.parent_id).join(above, above.c.parent_id == Account.id)
    )
    if session.scalar(select(above.c.id).where(above.c.id == account.id)) is not None:
        parent = session.get_one(Account, parent_id)
        raise BeneathItself(parent=parent.code, code=account.code)


# Drafts


def number_for(session: Session, entered: Values) -> str:
    """The next free entry number of the year of the entry's date."""
    day = entered.get("entry_date") or periods.today()
    return next_number(session, JournalEntry.number, f"JE-{day.year}-")


def create(session: Session, values: Values) -> JournalEntry:
    """Create a draft with its lines, if there are any. Raises NoOneSide."""
    entered = {name: values[name] for name in ("number", "entry_date", "memo", "source")}
    entry = JournalEntry(**entered)
    session.add(entry)
    session.flush()
    write_lines(session, entry.id, values.get("lines") or ())
    return entry


def update(session: Session, entry_id: int, values: Values, version: int) -> JournalEntry:
    """Change a draft, if it is still at `version`; without `lines` they stay. Saving what is stored changes nothing.

    Raises RecordGone, RecordChanged, EntryPosted, NoOneSide.
    """
    entry = _locked(session, entry_id)
    refuse_posted(session, entry)
    check_version(entry, version, entry.number)
    stored = stored_lines(session, entry_id)
    lines = stored if values.get("lines") is None else list(values["lines"])
    are_other = lines != stored
    for name in ("number", "entry_date", "memo", "source"):
        setattr(entry, name, values[name])
    if are_other or session.is_modified(entry):
        next_version(entry)
    if are_other:
        session.execute(delete(JournalLine).where(JournalLine.entry_id == entry_id))
        write_lines(session, entry_id, lines)
    session.flush()
    session.expire(entry, ["lines"])
    return entry


def _locked(session: Session, entry_id: int) -> JournalEntry:
    entry: JournalEntry = records.locked(session, JournalEntry, [entry_id], key_share=True)[
        entry_id
    ]
    return entry


# Posting


def post(session: Session, entry_id: int, version: int, _reported: Values) -> JournalEntry:
    """Post a draft: from now on its lines count in their accounts, and nothing of it changes.

    Raises RecordGone, RecordChanged, EntryPosted, and what `refuse_post` does; TooMuchInAccount.
    """
    entry = _locked(session, entry_id)
    refuse_posted(session, entry)
    check_version(entry, version, entry.number)
    refuse_post(session, entry)
    with _in_range(), refused_if_locked("entry_date"):
        post_entry(session, entry_id)
    session.expire(entry)
    return entry


@contextmanager
def _in_range() -> Iterator[None]:
    """Turn PostgreSQL's numeric overflow into TooMuchInAccount."""
    try:
        yield
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) == _OUT_OF_RANGE:
            raise TooMuchInAccount() from error
        raise


def refuse_posted(_session: Session, entry: JournalEntry) -> None:
    """Raises EntryPosted."""
    if entry.status == POSTED:
        raise EntryPosted(number=entry.number)


def refuse_post(session: Session, entry: JournalEntry) -> None:
    """Raises EntryPosted, Locked, NothingToPost, NotBalanced, AccountInactive: what keeps a draft from being posted."""
    refuse_posted(session, entry)
    if (locked := refusal_of(session, entry.entry_date)) is not None:
        raise locked
    lines = stored_lines(session, entry.id)
    refuse_lines(entry.number, lines)
    refuse_inactive(session, lines)


def refuse_lines(number: str, lines: Lines) -> None:
    """Raises NoOneSide, NothingToPost, NotBalanced: why an entry of these lines is not posted."""
    if not all(line.is_one_side for line in lines):
        raise NoOneSide()
    if not lines:
        raise NothingToPost(number=number)
    totals = Totals.of(lines)
    if totals.difference:
        raise NotBalanced(number=number, debits=totals.debits, credits=totals.credits)


def refuse_inactive(session: Session, lines: Lines) -> None:
    """Raises AccountInactive."""
    if (code := inactive_among(session, lines)) is not None:
        raise AccountInactive(code=code)


@dataclass(frozen=True)
class PostedEntry:
    """A posted entry; `is_new` is false where an earlier request created it under the same key."""

    session: Session
    id: int
    is_new: bool

    @property
    def row(self) -> JournalEntry:
        """The entry, loaded on access."""
        return self.session.get_one(JournalEntry, self.id)


def enter(
    session: Session, entry_date: date, lines: Lines, *, key: str | None = None, may_be_inactive: bool = False,
    **reported: Any,
) -> PostedEntry:  # fmt: skip
    """Create and post an entry of these lines; under a `key` that was used before, the entry created then.

    `reported` are its `number` (without one: the next), `memo`, `source` and `reverses_entry_id`. With
    `may_be_inactive` accounts need not be active: a year's closing entry posts to accounts that no user has chosen.

    Raises:
        NoOneSide, NothingToPost, NotBalanced, AccountInactive, TooMuchInAccount, Locked: nothing is posted.
        KeyUsedOtherwise: another entry was made under this key.
    """
    content = {
        "memo": "",
        "source": "",
        "reverses_entry_id": None,
        **reported,
        "entry_date": entry_date,
    }
    number = content.pop("number", None)
    if (first := _created_under_key(session, key, content, lines)) is not None:
        return PostedEntry(session, first.id, is_new=False)
    number = number or number_for(session, content)
    refuse_lines(number, lines)
    must_be_active = [] if may_be_inactive else lines
    entry_id = make_entry(
        session, {**content, "number": number, "idempotency_key": key}, lines, must_be_active
    )
    if entry_id is None:
        if (first := _created_under_key(session, key, content, lines)) is not None:
            return PostedEntry(session, first.id, is_new=False)
        refuse_inactive(session, must_be_active)
        return enter(  # it is active meanwhile
            session, entry_date, lines, key=key, may_be_inactive=may_be_inactive, **reported
        )
    with _in_range(), refused_if_locked("entry_date"):
        post_entry(session, entry_id)
    return PostedEntry(session, entry_id, is_new=True)


def _created_under_key(
    session: Session, key: str | None, content: Values, lines: Lines
) -> JournalEntry | None:
    """The entry that was created under this key; None without one. Raises KeyUsedOtherwise."""
    if key is None:
        return None
    under_key = select(JournalEntry).where(JournalEntry.idempotency_key == key)
    first = session.scalars(under_key).one_or_none()
    if first is None:
        return None
    is_same = all(getattr(first, name) == value for name, value in content.items())
    if not is_same or stored_lines(session, first.id) != list(lines):
        raise KeyUsedOtherwise()
    return first


def reverse(
    session: Session, entry_id: int, reported: Values, key: str | None = None, **how: Any
) -> PostedEntry:
    """Post the reversal of a posted entry, once; `reported` are its date and memo.

    Raises RecordGone, NotPosted, AlreadyReversed, ClosesYear, and what `enter` does.
    """
    entry = _locked(session, entry_id)
    is_repeated = key is not None and entry.reversal and entry.reversal.idempotency_key == key
    if not is_repeated:
        refuse_reverse(session, entry)
    lines = [line.turned for line in stored_lines(session, entry.id)]
    made = enter(session, lines=lines, key=key, **_reversing(entry, reported), **how)
    session.expire(entry, ["reversal"])
    return made


def _reversing(entry: JournalEntry, reported: Values) -> dict[str, Any]:
    return {
        "entry_date": reported["entry_date"], "memo": reported["memo"], "source": entry.source,
        "reverses_entry_id": entry.id, "document": entry.document, "document_date": entry.document_date,
    }  # fmt: skip


def refuse_reverse(session: Session, entry: JournalEntry) -> None:
    """Raises NotPosted, AlreadyReversed, ClosesYear."""
    if entry.status != POSTED:
        raise NotPosted(number=entry.number)
    if entry.reversal is not None:
        raise AlreadyReversed(number=entry.number, reversal=entry.reversal.number)
    if session.scalar(closing_entries().where(Period.closing_entry_id == entry.id)) is not None:
        raise ClosesYear(number=entry.number)
