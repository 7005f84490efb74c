"""The notice of orders on Today: those that have been open for long."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..base import periods
from ..web.formats import money_filter, quantity_filter
from .queries import open_since

OVERDUE = timedelta(days=30)
"""Orders that are open for longer are reported: until an order is closed it counts toward no target."""

MOST_COUNTED = 1_000
"""The most open orders that are counted; an exact number above that is not needed."""


def _open(session: Session, user: Any) -> Iterator[Notice]:
    last = periods.today() - OVERDUE - timedelta(days=1)
    count, amount = open_since(session, user, last, MOST_COUNTED)
    if not count:
        return
    here = url_for("orders.index", state="open", until=last, sort="order_date")
    if count == MOST_COUNTED:
        reported = _(
            "%(count)s or more orders have been open for over %(days)d days.",
            count=quantity_filter(count),
            days=OVERDUE.days,
        )
    else:
        reported = ngettext(
            "%(count)s order has been open for over %(days)d days: %(amount)s.",
            "%(count)s orders have been open for over %(days)d days: %(amount)s.",
            count,
            count=quantity_filter(count),
            days=OVERDUE.days,
            amount=money_filter(amount, symbol=True),
        )
    yield Notice(reported, here, "info", count)


NOTICES = (Source("orders", "attention", "orders.read", _open),)
