"""Reads of what is expected, posted and open, by document, day and account."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Subquery,
    Text,
    case,
    cast,
    false,
    func,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from ..models import Account, JournalEntry, JournalLine
from ..rules import POSTED, net_of
from .sources import BY_NAME, SOURCES, PostingSource, expected


@dataclass(frozen=True)
class Scope:
    """A selection of documents: of these `sources` (empty: all), on days from `since` to `until`, both inclusive.

    `documents` are the ids of single documents, by the names of their sources; {} selects none.
    """

    sources: Collection[str] = ()
    since: date | None = None
    until: date | None = None
    documents: Mapping[str, Collection[int]] | None = None

    @property
    def expected(self) -> Subquery:
        """What should be posted of them, on any day."""
        chosen = self.sources or BY_NAME if self.documents is None else self.documents
        return expected([s for s in SOURCES if s.name in chosen] or SOURCES, self.documents)

    @property
    def names(self) -> list[str]:
        """The names of single documents, as `JournalEntry.document` has them."""
        single = {} if self.documents is None else self.documents
        return [f"{source}/{one}" for source, ids in single.items() for one in ids]

    def days(self, day: Any) -> list[Any]:
        """The conditions that a day is in the scope."""
        first = [] if self.since is None else [day >= self.since]
        return first if self.until is None else [*first, day <= self.until]


EVERYTHING = Scope()


def accounts_of_roles() -> Subquery:
    """`role, account_id`: the account to which a role posts, the active one with the first code."""
    account = Account
    return (
        select(account.role, account.id.label("account_id"))
        .ext(distinct_on(account.role))
        .where(account.role != "", account.is_active)
        .order_by(account.role, account.code)
        .subquery("accounts_of_roles")
    )


def posted(scope: Scope) -> Select[Any]:
    """What is posted, with the sign reversed: the columns of `open_lines`, and `is_posted`."""
    entry, line = JournalEntry, JournalLine
    source = func.split_part(entry.document, "/", 1)
    rows = (
        select(
            source.label("source"), entry.document, func.nullif(entry.source, "").label("number"),
            entry.document_date.label("day"), line.account_id, cast(null(), Text).label("unnamed"),
            net_of(line.credit, line.debit).label("amount"), true().label("is_posted"),
        )
        .join_from(line, entry, line.entry_id == entry.id)
        .where(entry.status == POSTED, entry.document.is_not(None), *scope.days(entry.document_date))
    )  # fmt: skip
    if scope.documents is not None:
        return rows.where(entry.document.in_(scope.names))
    return rows.where(source.in_(sorted(scope.sources))) if scope.sources else rows


def open_lines(scope: Scope) -> Select[Any]:
    """`source, document, number, day, account_id, unnamed, amount`: what is expected less what is posted, where not 0.

    `is_change` where something is posted of it already. A deleted document has the number that its entries have.
    `account_id` is NULL where no account has the role, and `unnamed` is that role then.
    """
    of_role, wanted = accounts_of_roles(), scope.expected
    to_post = (
        select(
            wanted.c.source, wanted.c.document, wanted.c.number, wanted.c.day, of_role.c.account_id,
            case((of_role.c.account_id.is_(None), wanted.c.role)).label("unnamed"), wanted.c.amount,
            false().label("is_posted"),
        )
        .outerjoin_from(wanted, of_role, of_role.c.role == wanted.c.role)
        .where(*scope.days(wanted.c.day))
    )  # fmt: skip
    both = union_all(to_post, posted(scope)).subquery("both")
    key = (both.c.source, both.c.document, both.c.day, both.c.account_id, both.c.unnamed)
    amount, number = func.sum(both.c.amount), func.max(both.c.number)
    taken = amount.filter(both.c.is_posted)
    return (
        select(
            *key,
            func.coalesce(number.filter(~both.c.is_posted), number).label("number"),
            amount.label("amount"),
            (func.coalesce(taken, 0) != 0).label("is_change"),
        )
        .group_by(*key)
        .having(amount != 0)
    )


def open_documents(scope: Scope) -> Select[Any]:
    """`source, document, number, day, amount`: the documents to post an entry for, and the entry's debits."""
    lines = open_lines(scope).subquery("open")
    key = (lines.c.source, lines.c.document, lines.c.day)
    debits = func.sum(lines.c.amount).filter(lines.c.amount > 0)
    return (
        select(
            *key, func.max(lines.c.number).label("number"), func.coalesce(debits, 0).label("amount")
        )
        .group_by(*key)
        .order_by(lines.c.day, lines.c.source, lines.c.document)
    )


@dataclass(frozen=True)
class OpenPosting:
    """One kind of document: how many entries are to be posted, and the total of their debits."""

    source: PostingSource
    count: int
    amount: Decimal


def open_postings(reader: Session | Connection, scope: Scope = EVERYTHING) -> Sequence[OpenPosting]:
    """What is open, by kind of document; kinds with nothing open are left out."""
    rows = open_documents(scope).subquery()
    summed = select(rows.c.source, func.count(), func.sum(rows.c.amount)).group_by(rows.c.source)
    found = {name: (count, amount) for name, count, amount in reader.execute(summed)}
    return [OpenPosting(BY_NAME[name], *found[name]) for name in BY_NAME if name in found]


def roles_without_account(session: Session, scope: Scope) -> Sequence[str]:
    """The roles to which the scope posts and that no active account has."""
    wanted, of_role = scope.expected, accounts_of_roles()
    missing = (
        select(wanted.c.role)
        .outerjoin_from(wanted, of_role, of_role.c.role == wanted.c.role)
        .where(of_role.c.account_id.is_(None), wanted.c.amount != 0, *scope.days(wanted.c.day))
    )
    return sorted(session.scalars(missing.distinct()))
