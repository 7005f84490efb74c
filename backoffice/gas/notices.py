"""What gas has to say on Today and before a month is closed: readings that no price was in force for."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..app.closing import ClosingCheck
from ..base import N_
from ..web.formats import quantity_filter
from .figures import monthly
from .queries import unpriced, wrong_when_closed


def _unpriced(session: Session, _user: Any) -> Iterator[Notice]:
    count = unpriced(session)
    if count:
        reported = ngettext(
            "%(count)s reading of gas has no price, and is in no balance: enter the price of its day.",
            "%(count)s readings of gas have no price, and are in no balance: enter the prices of their days.",
            count, count=quantity_filter(count),
        )  # fmt: skip
        yield Notice(reported, url_for("readings.index", state="unpriced"), "warning", count)


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
