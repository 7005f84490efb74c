"""The notice of targets on Today: an account manager's achieved amount and target of this month."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..base.codes import month_code
from ..base.periods import Month
from ..security.rights import allowed
from ..web.formats import money_filter, month_filter, percent_filter
from .figures import attainment
from .marking import doubted
from .models import AccountManagerTarget


def _own_month(session: Session, user: Any) -> Iterator[Notice]:
    if allowed(user, "targets.read_all"):
        return
    month, row = Month.current(), AccountManagerTarget
    found = session.execute(
        select(row.achieved, row.target, attainment(row.achieved, row.target)).where(
            row.account_manager_id == user.id, row.month == month.first
        )
    ).one_or_none()
    if found is None:
        return
    achieved, target, percent = found
    words: dict[str, Any] = {
        "month": month_filter(month.first),
        "achieved": money_filter(achieved, symbol=True),
    }
    here = url_for("targets.record", code=month_code(user.id, month))
    if target:
        words["target"] = money_filter(target, symbol=True)
        words["percent"] = percent_filter(percent)
        reported = _("%(month)s: %(achieved)s of your target of %(target)s (%(percent)s).", **words)
    else:
        reported = _("%(month)s: you have closed orders of %(achieved)s.", **words)
    if doubted(session, user, month.year, user.id).of("achieved", month=month):
        doubt = _("What is stored as achieved is known to be wrong.")
        reported = f"{reported} {doubt}"
    yield Notice(reported, here)


NOTICES = (Source("targets", "books", "targets.read", _own_month),)
