"""A shape modelled on a ledger: accounts and their months, and for each document what is to be posted and open."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Select,
    Text,
    UniqueConstraint,
    case,
    cast,
    func,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Registry, total

from .shapes import Facts, Rendered, Shape

D = Decimal


class Base(DeclarativeBase):
    """Tables of this shape only."""


def _kept() -> Any:
    return mapped_column(server_default="0", default=D(0))


class Account(Base):
    """Its balance is computed by PostgreSQL from the row itself."""

    __tablename__ = "shape_accounts"
    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    debits: Mapped[Money] = _kept()
    credits: Mapped[Money] = _kept()
    balance: Mapped[Money] = mapped_column(
        Computed(
            case((kind.in_(("asset", "expense")), debits - credits), else_=credits - debits),  # noqa: A003
            persisted=True,
        )
    )


class Document(Base):
    """A document of another domain that is to be posted in the ledger."""

    __tablename__ = "shape_documents"
    id: Mapped[Id]
    dated: Mapped[date]
    amount: Mapped[Money]
    is_void: Mapped[bool] = mapped_column(server_default="false", default=False)


class Posting(Base):
    """A derived row for each document."""

    __tablename__ = "shape_postings"
    __table_args__ = (UniqueConstraint("document_id"),)
    id: Mapped[Id]
    document_id: Mapped[int] = mapped_column(ForeignKey(Document.id, ondelete="CASCADE"))
    dated: Mapped[date | None]
    expected: Mapped[Money] = _kept()
    posted: Mapped[Money] = _kept()
    open: Mapped[Money] = _kept()


class Line(Base):
    """One side of an entry; it counts from the day on which it was posted."""

    __tablename__ = "shape_lines"
    __table_args__ = (Index("ix_shape_lines", "account_id", "posted_on"),)
    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    posting_id: Mapped[int | None] = mapped_column(ForeignKey(Posting.id), index=True)
    posted_on: Mapped[date | None]
    debit: Mapped[Money] = _kept()
    credit: Mapped[Money] = _kept()


class Month(Base):
    """Derived rows: an account's turnover in a month."""

    __tablename__ = "shape_account_months"
    __table_args__ = (UniqueConstraint("account_id", "month"),)
    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    month: Mapped[date]
    debits: Mapped[Money] = _kept()
    credits: Mapped[Money] = _kept()
    lines: Mapped[int] = mapped_column(server_default="0", default=0)


registry = Registry("ledger")
is_posted = Line.posted_on.is_not(None)


def _sum(side: Any, by: Any) -> Any:
    return func.coalesce(total(side, by=by, where=is_posted), 0)


account_sums = registry.figure(
    {
        Account.debits: _sum(Line.debit, Line.account_id),
        Account.credits: _sum(Line.credit, Line.account_id),
    },
    name="accounts",
    title="Debits and credits",
    incremental=True,
    at_once=True,
)


balance = registry.figure(Account.balance, title="Balance")


@registry.figure(
    columns=(Month.debits, Month.credits, Month.lines),
    row_per=(Month.account_id, Month.month),
    owner=Month.account_id,
    name="account_months",
    title="Month of an account",
    incremental=True,
)
def account_month(lines: Any = Line) -> Select[Any]:
    """The amounts posted in each month."""
    month = cast(func.date_trunc("month", cast(lines.c.posted_on, DateTime)), Date)
    return (
        select(
            lines.c.account_id,
            month.label("month"),
            func.sum(lines.c.debit).label("debits"),
            func.sum(lines.c.credit).label("credits"),
            func.count().label("lines"),
        )
        .where(lines.c.posted_on.is_not(None))
        .group_by(lines.c.account_id, month)
    )


@registry.figure(
    columns=(Posting.dated, Posting.expected),
    row_per=(Posting.document_id,),
    owner=Posting.document_id,
    name="postings.expected",
    title="To be posted",
)
def to_be_posted(documents: Any = Document) -> Select[Any]:
    """The amount to be posted for each document; none for a void one."""
    amount = case((documents.c.is_void, 0), else_=documents.c.amount)
    return select(documents.c.id.label("document_id"), documents.c.dated, amount.label("expected"))


posted = registry.figure(
    Posting.posted,
    _sum(Line.debit, Line.posting_id) - _sum(Line.credit, Line.posting_id),
    title="Posted",
    name="postings.posted",
    incremental=True,
    at_once=True,
)
still_open = registry.figure(
    Posting.open,
    Posting.expected - Posting.posted,
    title="Open",
    name="postings.open",
)


# The oracle in Python


def oracle(facts: Facts) -> Rendered:
    """Every figure of the ledger."""
    accounts = {row["id"]: (D(0), D(0)) for row in facts[Account]}
    months: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    posted: defaultdict[int, Decimal] = defaultdict(Decimal)
    for line in (line for line in facts[Line] if line["posted_on"] is not None):
        account, debit, credit = line["account_id"], line["debit"], line["credit"]
        debited, credited = accounts[account]
        accounts[account] = (debited + debit, credited + credit)
        month = (account, line["posted_on"].replace(day=1))
        debited, credited, lines = months.get(month, (D(0), D(0), 0))
        months[month] = (debited + debit, credited + credit, lines + 1)
        posted[line["posting_id"]] += debit - credit
    expected = {
        row["id"]: (row["dated"], D(0) if row["is_void"] else row["amount"])
        for row in facts[Document]
    }
    postings = [(r["id"], r["document_id"]) for r in facts[Posting] if r["document_id"] in expected]
    return {
        "accounts": {(key,): reported for key, reported in accounts.items()},
        "shape_accounts.balance": {
            (row["id"],): (_on_its_side(row["kind"], *accounts[row["id"]]),)
            for row in facts[Account]
        },
        "account_months": months,
        "postings.expected": {(key,): reported for key, reported in expected.items()},
        "postings.posted": {(key,): (posted[key],) for key, _ in postings},
        "postings.open": {(key,): (expected[of][1] - posted[key],) for key, of in postings},
    }


def _on_its_side(kind: str, debited: Decimal, credited: Decimal) -> Decimal:
    return debited - credited if kind in {"asset", "expense"} else credited - debited


DAYS = st.dates(date(2024, 1, 20), date(2024, 4, 10))
AMOUNTS = st.decimals(0, 9999999, places=2)


def book() -> list[Any]:
    """Of three documents one is posted, one in part, one not at all; one entry is still a draft."""
    january, march = date(2024, 1, 31), date(2024, 3, 1)
    posted = ((1, january, D(100)), (2, january, D(30)), (2, march, D(7)), (None, None, D(9)))
    return [
        Line(account_id=account, posting_id=posting, posted_on=day, **{side: amount})
        for posting, day, amount in posted
        for account, posting, side in ((1, posting, "debit"), (2, None, "credit"))
    ]


LEDGER = Shape(
    name="ledger",
    base=Base,
    registry=registry,
    oracle=oracle,
    entered={
        Line: {
            "account_id": st.integers(1, 3), "posting_id": st.none() | st.integers(1, 3),
            "posted_on": st.none() | DAYS, "debit": AMOUNTS, "credit": AMOUNTS,
        },
        Document: {"dated": DAYS, "amount": AMOUNTS, "is_void": st.booleans()},
    },
    first=lambda: chain(
        (Account(kind=kind) for kind in ("asset", "liability", "expense")),
        (Document(dated=date(2024, 2, 1), amount=D(100)) for _ in range(3)),
    ),
    book=book,
)  # fmt: skip
