"""The overview screen of Health: every figure with its last verification, and background work."""

from collections.abc import Sequence
from decimal import Decimal

from flask import Response, make_response, render_template, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from ..app.extensions import db
from ..drift import figure_status, wording
from ..security.permissions import requires
from ..web.charts import Chart, Point, bar_chart
from ..web.formats import day_filter, quantity_filter
from ..web.htmx import render
from . import queries
from .dot import health_known
from .queries import DayCounts
from .views import bp

NAMED = 6
"""Every how many days the chart has a label; a phone has no room for more."""


@bp.get("/health")
@requires("figures.read")
def index() -> Response:
    """Whether the figures are right, when they were verified, and recent corrections."""
    session = db.session()
    figures = queries.figures(session)
    days = queries.corrected(session, figures)
    return render(
        "health/index.html",
        figures=figures,
        total=queries.wrong_amount(figures),
        checks=queries.checks(session),
        figure_status=wording.status_in_words(figure_status.now()),
        background=queries.background(session),
        days=[day for day in days if day.found or day.corrected],
        chart=_chart(days),
        wording=wording,
        reaches=queries.DAYS,
    )


@bp.get("/health/dot")
@requires("figures.read")
def dot() -> Response:
    """The dot alone, recomputed after a run that the user watches has ended."""
    figure_status.forget()
    return make_response(render_template("shell/health_dot.html", known=health_known()))


def _chart(days: Sequence[DayCounts]) -> Chart:
    points = [
        Point(
            label=day_filter(day.day).rsplit(" ", 1)[0] if number % NAMED == 0 else "",
            title=_bar_title(day),
            value=Decimal(day.found),
            beside=Decimal(day.corrected),
            href=_found_on(day) if day.found else "",
        )
        for number, day in enumerate(days)
    ]
    return bar_chart(points, counts=True)


def _found_on(day: DayCounts) -> str:
    return url_for("drift.index", state="all", since=day.day, until=day.day)


def _bar_title(day: DayCounts) -> str:
    """The title of a bar."""
    found = ngettext(
        "%(count)s row found wrong",
        "%(count)s rows found wrong",
        day.found,
        count=quantity_filter(day.found),
    )
    corrected = ngettext(
        "%(count)s correction",
        "%(count)s corrections",
        day.corrected,
        count=quantity_filter(day.corrected),
    )
    return str(
        _(
            "%(day)s: %(found)s, %(corrected)s",
            day=day_filter(day.day),
            found=found,
            corrected=corrected,
        )
    )
