"""The health dot of every page: whether the figures are right, as far as verification knows.

It costs a page nothing but a look into this process's memory; every few seconds one short statement.
"""

import time
from dataclasses import dataclass

import structlog
from flask import current_app, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from ..base import N_
from ..drift import queries
from ..drift.queries import MOST_COUNTED, Standing
from ..extensions import db
from ..formats import quantity_filter
from ..permissions import allowed

log = structlog.get_logger("backoffice.health")

SECONDS = 3.0
"""How old what the dot says may be, besides the page itself."""

_KNOWN = "backoffice.health.dot"

ICONS = {"right": "success", "wrong": "error", "stale": "warning", "unverified": "info"}
TONES = {"right": "good", "wrong": "bad", "stale": "warning", "unverified": "info"}
WORDS = {
    "right": N_("Figures are right"),
    "stale": N_("Not checked lately"),
    "unverified": N_("Not checked yet"),
}


@dataclass(frozen=True)
class Dot:
    """How it is drawn, and where it leads."""

    words: str
    icon: str
    tone: str
    href: str


def health_dot() -> Dot | None:
    """The dot for the present user; None for whoever may not see figures, or without a database."""
    if not allowed(current_user, "figures.read"):
        return None
    known = standing()
    if known is None:
        return None
    state = known.state
    target = "drift.index" if state == "wrong" else "health.index"
    return Dot(_words(known), ICONS[state], TONES[state], url_for(target))


def forget() -> None:
    """Look anew for the next page: something has just been asked for or corrected."""
    current_app.extensions.pop(_KNOWN, None)


def standing() -> Standing | None:
    """How the books stand, at most some seconds ago.

    On a connection of its own: a page that tells of an error is drawn while the request's own
    transaction is broken.
    """
    known: Standing | None
    until, known = current_app.extensions.get(_KNOWN, (0.0, None))
    if time.monotonic() < until:
        return known
    try:
        with db.engine.connect() as connection:
            known = queries.standing(connection, most=MOST_COUNTED)
    except SQLAlchemyError as error:
        log.warning("the health dot cannot be drawn", error=type(error).__name__)
        known = None
    current_app.extensions[_KNOWN] = time.monotonic() + SECONDS, known
    return known


def _words(standing: Standing) -> str:
    if not standing.wrong:
        return _(WORDS[standing.state])
    if standing.wrong >= MOST_COUNTED:
        return _("%(count)s or more wrong", count=quantity_filter(standing.wrong))
    return ngettext(
        "%(count)s wrong", "%(count)s wrong", standing.wrong, count=quantity_filter(standing.wrong)
    )
