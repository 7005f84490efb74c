"""What gas has to say on Today: readings that no price was in force for."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..web.formats import quantity_filter
from .queries import unpriced


def _unpriced(session: Session, _user: Any) -> Iterator[Notice]:
    count = unpriced(session)
    if count:
        reported = ngettext(
            "%(count)s reading of gas has no price, and is in no balance: enter the price of its day.",
            "%(count)s readings of gas have no price, and are in no balance: enter the prices of their days.",
            count, count=quantity_filter(count),
        )  # fmt: skip
        yield Notice(reported, url_for("readings.index", state="unpriced"), "warning", count)


NOTICES = (Source("gas", "attention", "gas.read", _unpriced),)
