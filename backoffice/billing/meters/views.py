"""Meters: list, form and files as declared, and one meter: what is owed for it, whose it is, its documents."""

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
    """What the head of every screen of a meter needs."""
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
    """The meter with that number."""
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
    """One meter, and the way on through the list."""
    return record_page(meter_or_404(number))


def record_page(meter: Meter, status: int = 200, refusal: str = "") -> Response:
    """The meter's screen; `refusal` says why what was wanted of it is not possible."""
    return screens.shown(
        meter,
        status,
        documents_of=newest_documents(db.session(), meter),
        all_of=partial(list_url, meter),
        refusal=refusal,
    )
