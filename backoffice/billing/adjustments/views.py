"""Adjustments: the list, entering one for a meter, looking at one, and voiding it."""

from flask import Response, abort, flash, url_for
from flask_babel import gettext as _

from ... import lists
from ...app.extensions import db
from ...base.refusals import AnotherRecord, Refusal
from ...customers import queries as customers
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.htmx import render
from ..forms import VoidForm
from ..meters.assignments import OFFERED
from ..meters.queries import adjustment_of
from ..meters.refusals import TooMuchOwed
from ..meters.views import head_of, meter_or_404
from ..models import Meter, MeterAdjustment
from ..rules import POSTED
from ..views import bp
from . import actions as adjustment_actions
from .forms import AdjustmentForm
from .listing import ADJUSTMENTS, STATUS_TONES, STATUSES


def adjustment_or_404(number: str) -> MeterAdjustment:
    """The adjustment with that number."""
    return adjustment_of(db.session(), number) or abort(404)


@bp.get("/adjustments")
@requires("billing.read")
def adjustments() -> Response:
    """The adjustments that the filter leaves in."""
    return lists.show(ADJUSTMENTS, "billing/adjustments.html")


@bp.get("/adjustments/export.<flavour>")
@requires("billing.read")
@lists.limited
def export_adjustments(flavour: str) -> Response:
    """The same as a file."""
    return lists.export(ADJUSTMENTS, flavour)


@bp.get("/adjustments/<path:number>")
@requires("billing.read")
def adjustment(number: str) -> Response:
    """One adjustment."""
    found = adjustment_or_404(number)
    return _record(found, VoidForm.over(found.id, found.version))


@bp.post("/adjustments/<path:number>/void")
@requires("billing.write")
def void_adjustment(number: str) -> Response:
    """Let an adjustment count no more."""
    claim = Claim(f"billing.void_adjustment {number}")
    if claim.answer is not None:
        return claim.answer
    found, form = adjustment_or_404(number), VoidForm()
    if not form.validate():
        return _record(found, form, 422)
    try:
        adjustment_actions.void(
            db.session(), found.id, form.expected_version(found.id), form.reason.data or ""
        )
    except Refusal as refusal:
        db.session.rollback()
        form.blame({"": refusal})
        return _record(adjustment_or_404(number), form, refusal.status)
    flash(_("Adjustment %(number)s is void.", number=number), "success")
    return claim.fulfilled(url_for("billing.adjustment", number=number))


@bp.get("/meters/<path:number>/adjust")
@requires("billing.write")
def adjust(number: str) -> Response:
    """An empty form for an adjustment of the meter."""
    return _page(AdjustmentForm.for_new(meter_or_404(number)))


@bp.post("/meters/<path:number>/adjust")
@requires("billing.write")
def adjust_post(number: str) -> Response:
    """Post an adjustment."""
    claim = Claim(f"billing.adjust {number}")
    if claim.answer is not None:
        return claim.answer
    form = AdjustmentForm(meter_or_404(number))
    meter_id = form.meter.id
    if not form.validate():
        return _page(form, 422)
    try:
        form.expected_version(meter_id)
        posted = adjustment_actions.post(db.session(), form.entry())
    except tuple(_FIELDS) as refusal:
        return _refused(form, meter_id, refusal)
    flash(_("Adjustment %(number)s is posted.", number=posted.number), "success")
    return claim.fulfilled(url_for("meters.record", number=number))


_FIELDS: dict[type[Refusal], str] = {
    AnotherRecord: "",
    TooMuchOwed: "amount",
    adjustment_actions.AdjustmentNumberTaken: "number",
    adjustment_actions.NobodysMeter: "customer",
}
"""What the form can be told, and at which field."""


def _refused(form: AdjustmentForm, meter_id: int, refusal: Refusal) -> Response:
    db.session.rollback()
    form.blame({_FIELDS[type(refusal)]: refusal})
    form.meter = form.opened(db.session(), Meter, meter_id) or abort(404)
    form.reopen(form.meter.id, form.meter.version)
    return _page(form, refusal.status)


def _page(form: AdjustmentForm, status: int = 200) -> Response:
    return render(
        "billing/adjust.html",
        block="form",
        status=status,
        form=form,
        offered=customers.search(db.session(), "", limit=OFFERED),
        **head_of(form.meter),
    )


def _record(found: MeterAdjustment, form: VoidForm, status: int = 200) -> Response:
    return render(
        "billing/adjustment.html",
        status=status,
        adjustment=found,
        is_posted=found.status == POSTED,
        form=form,
        STATUSES=STATUSES,
        STATUS_TONES=STATUS_TONES,
    )
