"""Notices of gas on Today and the check before a month is closed: unpriced readings, and wrong closed months."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..app.closing import ClosingCheck
from ..base import N_
from ..book.queries import locked_until
from ..web.formats import quantity_filter
from .figures import monthly
from .queries import unpriced, wrong_when_closed


def _unpriced(session: Session, _user: Any) -> Iterator[Notice]:
    until = locked_until(session)
    closed = 0 if until is None else unpriced(session, until)
    count = unpriced(session) - closed
    if count:
        reported = ngettext(
            "%(count)s reading of gas has no price, and is in no balance: enter the price of its day.",
            "%(count)s readings of gas have no price, and are in no balance: enter the prices of their days.",
            count, count=quantity_filter(count),
        )  # fmt: skip
        since = None if until is None else until + timedelta(1)
        address = url_for("readings.index", state="unpriced", since=since)
        yield Notice(reported, address, "warning", count)
    if closed:
        reported = ngettext(
            "%(count)s reading of gas of closed days has no price: reopen the month, or enter a deposit of today.",
            "%(count)s readings of gas of closed days have no price: reopen the months, or enter deposits of today.",
            closed, count=quantity_filter(closed),
        )  # fmt: skip
        address = url_for("readings.index", state="unpriced", until=until)
        yield Notice(reported, address, "warning", closed)


def _wrong_when_closed(session: Session, _user: Any) -> Iterator[Notice]:
    count = len(wrong_when_closed(session))
    if count:
        reported = ngettext(
            "A closed month of gas of %(count)s customer is stored otherwise than its facts: accept the adjustment.",
            "Closed months of gas of %(count)s customers are stored otherwise than their facts: accept adjustments.",
            count, count=quantity_filter(count),
        )  # fmt: skip
        yield Notice(reported, url_for("drift.index", figure=monthly.name), "warning", count)


NOTICES = (
    Source("gas", "attention", "gas.read", _unpriced),
    Source("gas.closed", "attention", "gas.read", _wrong_when_closed),
)

CLOSING = (
    ClosingCheck(
        "readings", N_("Meter readings without a price"), lambda session, month: unpriced(session, month.last),
        lambda month: ("readings.index", {"state": "unpriced", "until": month.last.isoformat()}),
    ),
)  # fmt: skip
