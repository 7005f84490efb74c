"""The health dot of every page: whether the figures are right, by the last verification.

It reads this process's memory, which is refreshed by one short statement every few seconds.
"""

from dataclasses import dataclass
from functools import lru_cache

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from ..base import N_
from ..drift import figure_status
from ..drift.figure_status import MOST_COUNTED, State
from ..security.rights import allowed
from ..web.formats import quantity_filter
from .views import bp

LOOKS: dict[State, tuple[str, str, str]] = {
    "right": ("success", "good", N_("Figures are right")),
    "waiting": ("history", "info", N_("Being updated")),
    "stale": ("warning", "warning", N_("Not checked lately")),
    "failed": ("warning", "warning", N_("The check failed")),
    "unverified": ("info", "info", N_("Not checked yet")),
    "unguarded": ("error", "bad", N_("Changes go unnoticed")),
    "wrong": ("error", "bad", ""),
}
"""State → icon, tone and text; the text of `wrong` is the count."""


@dataclass(frozen=True)
class Dot:
    """The text, icon, tone and address of the dot."""

    words: str
    icon: str
    tone: str
    href: str


@dataclass(frozen=True)
class DotState:
    """What the dot depends on; pages keep a rendered dot while this is the same."""

    state: State
    wrong: int


@bp.app_template_global()
def health_known() -> DotState | None:
    """The dot's state for the current user; None without the permission, or without a database."""
    if not allowed(current_user, "figures.read"):
        return None
    known = figure_status.known()
    return None if known is None else _dot_state(known.state, known.wrong)


@lru_cache(maxsize=100)
def _dot_state(state: State, wrong: int) -> DotState:
    """One and the same object for the same state, so that a page recognises it without comparing."""
    return DotState(state, wrong)


@bp.app_template_global()
def health_dot(known: DotState | None) -> Dot | None:
    """The dot of that state, in the user's language and number format."""
    if known is None:
        return None
    icon, tone, words = LOOKS[known.state]
    target = "drift.index" if known.wrong else "health.index"
    return Dot(_(words) if words else _how_many(known.wrong), icon, tone, url_for(target))


def _how_many(wrong: int) -> str:
    count = quantity_filter(wrong)
    if wrong >= MOST_COUNTED:
        return _("%(count)s or more wrong", count=count)
    return ngettext("%(count)s wrong", "%(count)s wrong", wrong, count=count)
