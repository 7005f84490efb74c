"""What the ledger has to say on Today: whether the balance sheet is valid, and which month waits to be closed."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..base.periods import Month
from ..web.formats import money_filter, month_filter, quantity_filter
from .health.examining import BalanceHealth, known
from .models import JournalEntry
from .periods.queries import next_to_close


def _is_used(session: Session) -> bool:
    """Whether anything was ever entered in the journal."""
    return bool(session.scalar(select(select(JournalEntry.id).exists())))


def _balance_sheet(session: Session, _user: Any) -> Iterator[Notice]:
    """By what is stored at this moment, and what verifications have found."""
    if _is_used(session):
        health = known(session.connection())
        weight = "info" if health.is_valid else "danger"
        yield Notice(_in_words(health), url_for("balance_health.index"), weight)


def _in_words(health: BalanceHealth) -> str:
    off = money_filter(abs(health.difference), symbol=True)
    if not health.holds:
        return _("Assets are not liabilities + equity: they differ by %(amount)s.", amount=off)
    if not health.is_valid:
        return ngettext(
            "The balance sheet is not valid: %(count)s problem is open.",
            "The balance sheet is not valid: %(count)s problems are open.",
            len(health.problems),
            count=quantity_filter(len(health.problems)),
        )
    return _("Assets = liabilities + equity, as it is stored; difference %(amount)s.", amount=off)


def _open_months(session: Session, _user: Any) -> Iterator[Notice]:
    """How many months are over and not closed; closed one after the other, the first one is named."""
    month, over = next_to_close(session), Month.current() - 1
    if month > over or not _is_used(session):
        return
    count = len(list(month.through(over)))
    reported = ngettext(
        "%(month)s is over and not closed.",
        "%(count)s months are over and not closed, from %(month)s on.",
        count,
        count=quantity_filter(count),
        month=month_filter(month.first),
    )
    yield Notice(reported, url_for("ledger.periods", month=str(month)), "info", count)


NOTICES = (
    Source("balance_sheet", "books", "figures.read", _balance_sheet),
    Source("open_months", "attention", "ledger.close", _open_months),
)
