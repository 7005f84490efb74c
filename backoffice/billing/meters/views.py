"""Meters: list, form and exports as declared, and the page of one meter with balance, assignments and documents."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from ...app.extensions import db
from ...records.screens import Screens
from ...security.permissions import requires
from ...web.htmx import render
from ..models import Meter
from .actions import assignments_of
from .documents import list_url, newest_documents
from .naming import matching
from .records import METER
from .wording import word_of

bp = Blueprint("meters", __name__, url_prefix="/billing/meters")


def head_of(meter: Meter) -> dict[str, Any]:
    """The context of the head of every meter page."""
    assignments = assignments_of(db.session(), meter.id)
    active = next((each for each in assignments if each.is_active), None)
    return {
        "meter": meter,
        "assignments": assignments,
        "active": active,
        "word": word_of(meter),
    }


screens = Screens(
    METER,
    "billing/meters.html",
    record_page="billing/meter_record.html",
    frame="billing/meter.html",
    head=head_of,
    rows_at=list_url,
)
screens.add_to(bp, without=("record",))


def meter_or_404(number: str) -> Meter:
    """The meter with that number, else 404."""
    found: Meter = screens.found(number)
    return found


@bp.get("/options")
@requires("billing.read")
def options() -> Response:
    """The meters that fit what is typed into a form, as options to choose from."""
    typed = request.args.get("meter", "").strip()[:100]
    return render("billing/meter_options.html", found=matching(db.session(), typed))


@bp.get("/<path:number>")
@requires("billing.read")
def record(number: str) -> Response:
    """One meter, with its neighbours in the list."""
    return record_page(meter_or_404(number))


def record_page(meter: Meter, status: int = 200, refusal: str = "") -> Response:
    """The meter's page; `refusal` is the sentence of an action that was refused."""
    return screens.shown(
        meter,
        status,
        documents_of=newest_documents(db.session(), meter),
        all_of=partial(list_url, meter),
        refusal=refusal,
    )
