"""Accounts, journal entries and their lines, and the months that were closed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Optional

from sqlalchemy import CheckConstraint, Computed, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..base import N_, Base, Id, Moment
from ..base.actor import ACTOR
from ..base.money import Money, no_nan
from ..base.spelling import look_index
from .rules import CLOSED, DRAFT, balance_of


class Account(Base):
    """One account of the chart, in the deployment's currency.

    `role` is what posting rules use it for; they post to the active account of a role with the first code.
    `debits` and `credits` are a figure: the sums of its posted lines. `balance` is a generated column of the two:
    debits − credits of assets and expenses, credits − debits of the others.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        no_nan("debits", "credits", "balance"),
        CheckConstraint(
            "type IN ('asset', 'liability', 'equity', 'revenue', 'expense')", name="type"
        ),
        look_index("accounts", "code"),
        CheckConstraint("parent_id <> id", name="parent"),
        Index("ix_accounts_parent_id", "parent_id"),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    role: Mapped[str] = mapped_column(Text, server_default="", default="")
    is_active: Mapped[bool] = mapped_column(server_default="true", default=True)
    debits: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Debits")}
    )
    credits: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Credits")}
    )
    balance: Mapped[Money] = mapped_column(
        Computed(balance_of(type, debits, credits), persisted=True),  # noqa: A003 (columns)
        info={"label": N_("Balance")},
    )
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class JournalEntry(Base):
    """A journal entry: a draft that can be edited, or posted; a trigger refuses every change of a posted one.

    `posting_number` is its sequence number among the entries posted in the year of its date, from 1 without gaps, set
    by a trigger. `document` is what posting rules posted it for, as of its `document_date`. An entry is reversed where
    another one `reverses` it. An `idempotency_key` is unique.
    """

    __tablename__ = "journal_entries"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'posted')", name="status"),
        CheckConstraint("(status = 'posted') = (posting_number IS NOT NULL)", name="posting_number"),
        look_index("journal_entries", "number"),
        Index(
            "ix_journal_entries_posting_number",
            text("EXTRACT(year FROM entry_date)"), "posting_number", unique=True,
        ),
        CheckConstraint("(document IS NULL) = (document_date IS NULL)", name="document"),
        Index("ix_journal_entries_entry_date_id", "entry_date", "id"),
        Index(
            "ix_journal_entries_document",
            "document", "document_date",
            postgresql_where=text("document IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Text, unique=True)
    entry_date: Mapped[date]
    memo: Mapped[str] = mapped_column(Text, server_default="", default="")
    source: Mapped[str] = mapped_column(Text, server_default="", default="")
    document: Mapped[str | None] = mapped_column(Text)
    document_date: Mapped[date | None]
    status: Mapped[str] = mapped_column(Text, server_default=DRAFT, default=DRAFT)
    posting_number: Mapped[int | None]
    idempotency_key: Mapped[str | None] = mapped_column(Text, unique=True)
    reverses_entry_id: Mapped[int | None] = mapped_column(
        ForeignKey("journal_entries.id"), unique=True
    )
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    lines: Mapped[list["JournalLine"]] = relationship(
        order_by="JournalLine.position, JournalLine.id", viewonly=True
    )
    reverses: Mapped[Optional["JournalEntry"]] = relationship(
        remote_side="JournalEntry.id", back_populates="reversal", viewonly=True
    )
    reversal: Mapped[Optional["JournalEntry"]] = relationship(
        remote_side="JournalEntry.reverses_entry_id",
        back_populates="reverses",
        uselist=False,
        viewonly=True,
    )


class JournalLine(Base):
    """One side of an entry: a debit or a credit of one account, above zero.

    `posted_on` is the entry's date once it is posted, and NULL before; a trigger sets it. From then on the line counts
    in its account, and never changes.
    """

    __tablename__ = "journal_lines"
    __table_args__ = (
        no_nan("debit", "credit"),
        CheckConstraint(
            "debit >= 0 AND credit >= 0 AND (debit = 0) <> (credit = 0)", name="one_side"
        ),
        Index("ix_journal_lines_entry_id", "entry_id"),
        Index("ix_journal_lines_account_id_posted_on_id", "account_id", "posted_on", "id"),
    )

    id: Mapped[Id]
    entry_id: Mapped[int] = mapped_column(ForeignKey(JournalEntry.id, ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(server_default="0", default=0)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    debit: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Debit")}
    )
    credit: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Credit")}
    )
    memo: Mapped[str] = mapped_column(Text, server_default="", default="")
    posted_on: Mapped[date | None]

    account: Mapped[Account] = relationship(viewonly=True)
    entry: Mapped[JournalEntry] = relationship(viewonly=True)


"""Of a column: it says who, as the audit trail names them."""


class Period(Base):
    """A month that was closed, and may have been reopened; `month` is its first day. Other months have no row.

    `closed_by` and `reopened_by` are actors, as the audit trail names them; `approved_by` is the second person who
    approved the last of the two, where one had to. `closing_entry_id` is the entry by which the last month of a year,
    or the first month that was closed, transferred earnings to retained earnings, while it is closed.
    """

    __tablename__ = "periods"
    __table_args__ = (
        CheckConstraint("status IN ('closed', 'open')", name="status"),
        CheckConstraint("EXTRACT(day FROM month) = 1", name="month"),
        CheckConstraint("status = 'closed' OR closing_entry_id IS NULL", name="closing_entry"),
    )

    id: Mapped[Id]
    month: Mapped[date] = mapped_column(unique=True, info={"is_month": True})
    status: Mapped[str] = mapped_column(Text, server_default=CLOSED, default=CLOSED)
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_by: Mapped[str] = mapped_column(Text, info=ACTOR)
    reopened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reopened_by: Mapped[str] = mapped_column(Text, server_default="", default="", info=ACTOR)
    reason: Mapped[str] = mapped_column(Text, server_default="", default="")
    approved_by: Mapped[str] = mapped_column(Text, server_default="", default="", info=ACTOR)
    closing_entry_id: Mapped[int | None] = mapped_column(ForeignKey(JournalEntry.id), unique=True)

    closing_entry: Mapped[JournalEntry | None] = relationship(viewonly=True)
