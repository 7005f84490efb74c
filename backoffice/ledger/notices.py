"""The ledger's notices on Today: whether the balance sheet is valid, and which months are still to be closed."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source, Weight
from ..web.formats import money_filter, month_filter, quantity_filter
from .health.examining import BalanceHealth, stored_health
from .periods.queries import over_and_open


def _balance_sheet(session: Session, _user: Any) -> Iterator[Notice]:
    """From stored balances and open findings; no notice while the ledger is empty and valid."""
    health = stored_health(session.connection())
    if health.is_valid and not health.assets:
        return
    weight: Weight = "info" if health.is_valid else "danger"
    yield Notice(in_words(health), url_for("balance_health.index"), weight)


def in_words(health: BalanceHealth) -> str:
    """Whether the balance sheet is valid, as a sentence."""
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
    """Months that are over and not closed; the first is named, because months are closed in order."""
    months = over_and_open(session)
    if not months:
        return
    reported = ngettext(
        "%(month)s is over and not closed.",
        "%(count)s months are over and not closed, from %(month)s on.",
        len(months),
        count=quantity_filter(len(months)),
        month=month_filter(months[0].first),
    )
    here = url_for("ledger.periods", month=str(months[0]))
    yield Notice(reported, here, "info", len(months))


NOTICES = (
    Source("balance_sheet", "books", "figures.read", _balance_sheet),
    Source("open_months", "attention", "ledger.close", _open_months),
)
