"""Today, every user's start page: the notices of each domain."""

from collections import defaultdict

from flask import Response
from flask_login import current_user

from ..app.attention import Notice, Section
from ..app.domain import declared
from ..app.extensions import db
from ..security.permissions import allowed, requires
from ..web.htmx import render
from .views import bp


@bp.get("/today")
@requires("today.read")
def today() -> Response:
    """The state of the books, what needs attention, the user's unfinished work, and last night's runs."""
    user = current_user._get_current_object()
    reported: dict[Section, list[Notice]] = defaultdict(list)
    for source in declared().notices:
        if allowed(user, source.permission):
            reported[source.section] += source.ask(db.session(), user)
    weights = ("danger", "warning", "info")
    for notices in reported.values():
        notices.sort(key=lambda notice: weights.index(notice.weight))
    return render("health/today.html", reported=reported)
