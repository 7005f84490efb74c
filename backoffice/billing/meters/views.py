"""The list of meters, and one meter: what is owed for it, whose it is, its documents and its history."""

from functools import partial
from typing import Any

from flask import Response, abort
from flask_login import current_user

from ... import lists
from ...app.extensions import db
from ...drift.marks import marks
from ...security.permissions import requires
from ...web.htmx import render
from .. import queries
from ..models import Meter
from ..views import bp
from . import history as meter_history
from .actions import assignments_of
from .documents import list_url, newest_documents
from .listing import METERS
from .queries import figures_of
from .wording import word_of


def meter_or_404(number: str) -> Meter:
    """The meter with that number."""
    return queries.meter_of(db.session(), number) or abort(404)


@bp.get("/meters")
@requires("billing.read")
def meters() -> Response:
    """The meters that the filter leaves in, with what is owed for them."""
    return lists.show(METERS, "billing/meters.html")


@bp.get("/meters/export.<flavour>")
@requires("billing.read")
@lists.limited
def export_meters(flavour: str) -> Response:
    """The same as a file."""
    return lists.export(METERS, flavour)


@bp.get("/meters/<path:number>")
@requires("billing.read")
def meter(number: str) -> Response:
    """One meter, and the way on through the list."""
    return record_page(meter_or_404(number))


@bp.get("/meters/<path:number>/history")
@requires("billing.read")
def meter_changes(number: str) -> Response:
    """Who changed what and when, and every correction."""
    meter = meter_or_404(number)
    events = meter_history.events_of(db.session(), meter)
    return render(
        "billing/meter_history.html", events=events, tab="history", **marked_head_of(meter)
    )


def head_of(meter: Meter) -> dict[str, Any]:
    """What the head of every screen of a meter needs."""
    assignments = assignments_of(db.session(), meter.id)
    active = next((each for each in assignments if each.is_active), None)
    return {
        "meter": meter,
        "assignments": assignments,
        "active": active,
        "word": word_of(meter),
    }


def marked_head_of(meter: Meter) -> dict[str, Any]:
    """The same with the marks of what is wrong of the meter, where its amounts are shown."""
    return {**head_of(meter), "marks": marks(figures_of([meter.id]))}


def record_page(meter: Meter, status: int = 200, refusal: str = "") -> Response:
    """The meter's screen; `refusal` says why what was wanted of it is not possible."""
    state = lists.asked(METERS)
    previous, following = lists.neighbours(
        db.session(), current_user, state, meter.id, Meter.number.expression
    )
    return render(
        "billing/meter_record.html",
        status=status,
        tab="details",
        way=state.as_query,
        previous=previous,
        following=following,
        documents_of=newest_documents(db.session(), meter),
        all_of=partial(list_url, meter),
        refusal=refusal,
        **marked_head_of(meter),
    )
