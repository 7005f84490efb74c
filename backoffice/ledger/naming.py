"""How accounts and entries are named where others refer to them."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Select, literal, or_, select
from sqlalchemy.orm import Session

from ..base import N_
from ..base.matching import SEPARATOR
from ..base.spelling import look, look_of
from ..lists.filters import containing
from ..records import Named
from .models import Account, JournalEntry

OFFERED = 200
NO_ACCOUNT = N_("No account is called that. Type its code, or a part of its name.")
SEVERAL = N_("Several accounts fit that. Choose one from the list.")


def label(account: Account) -> str:
    """The account as people choose it from a list; `meant_by` reads it back."""
    return f"{account.code} · {account.name}"


def search(session: Session, text: str, *, limit: int = OFFERED) -> Sequence[Account]:
    """At most `limit` active accounts with the text in their code or name, by code."""
    return session.scalars(_fitting(text).limit(limit)).all()


def _fitting(text: str) -> Select[Account]:
    found = select(Account).where(Account.is_active).order_by(Account.code)
    return found.where(containing(Account.code, Account.name)(text)) if text else found


def meant_by(session: Session, text: str) -> Sequence[Account]:
    """The accounts that a typed text can mean: the one of that code, label or name, else all that fit."""
    return meant_by_each(session, [text])[text]


def meant_by_each(session: Session, texts: Collection[str]) -> Mapping[str, Sequence[Account]]:
    """For each text the accounts that it can mean; exact ones are found in one statement."""
    codes = {text: text.partition(SEPARATOR)[0].strip() for text in texts}
    exact = session.scalars(
        select(Account).where(
            or_(
                look_of(Account.code).in_([look_of(literal(code)) for code in codes.values()]),
                look_of(Account.name).in_([look_of(literal(text)) for text in texts]),
            )
        )
    ).all()
    return {text: _named(exact, text, code) or _only(session, text) for text, code in codes.items()}


def _named(accounts: Sequence[Account], text: str, code: str) -> Sequence[Account]:
    """Those of that very code; else those whose code or name looks like it."""
    same = [account for account in accounts if account.code == code]
    typed = {look(text), look(code)}
    return same or [a for a in accounts if typed & {look(a.code), look(a.name)}]


def _only(session: Session, text: str) -> Sequence[Account]:
    return session.scalars(_fitting(text).limit(2)).all()


ACCOUNTS = Named(
    Account.code,
    meant=meant_by,
    label=label,
    none=NO_ACCOUNT,
    several=SEVERAL,
    offered=lambda session: search(session, ""),
    options="accounts.options",
    page="accounts.record",
)

ENTRIES = Named(
    JournalEntry.number,
    meant=lambda _session, _text: (),
    label=lambda entry: entry.number,
    none="",
    offered=lambda _session: (),
    page="entries.record",
)
