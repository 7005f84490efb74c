"""Entering and changing a meter."""

from flask import Response, abort, flash, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...base.refusals import AnotherRecord
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.conflicts import Conflict, differences, with_theirs
from ...web.htmx import render
from ..models import Meter
from ..views import bp
from . import actions as meter_actions
from . import refusals as meter_refusals
from .actions import MeterEntry
from .forms import MeterForm
from .history import conflict_over, recorded_events
from .views import meter_or_404

PAGE = "billing/meter_edit.html"


@bp.get("/meters/new")
@requires("billing.write")
def new_meter() -> Response:
    """An empty form."""
    return _page(MeterForm.for_new())


@bp.post("/meters/new")
@requires("billing.write")
def create_meter() -> Response:
    """Save a new meter."""
    return _save(None)


@bp.get("/meters/<path:number>/edit")
@requires("billing.write")
def edit_meter(number: str) -> Response:
    """The meter in a form."""
    return _page(MeterForm.for_meter(meter_or_404(number)))


@bp.post("/meters/<path:number>/edit")
@requires("billing.write")
def update_meter(number: str) -> Response:
    """Save a changed meter."""
    return _save(number)


def _save(number: str | None) -> Response:
    """Save the posted meter, or show all that is wrong with it, its input kept."""
    claim = Claim(f"billing.meter {number or ''}")
    if claim.answer is not None:
        return claim.answer
    form = MeterForm(None if number is None else meter_or_404(number))
    if not form.validate():
        return _refused(form)
    try:
        meter = _saved(form)
    except (meter_refusals.MeterChanged, AnotherRecord):
        return _conflict(form)
    except meter_refusals.MeterNumberTaken as taken:
        form.blame({"number": taken})
        return _refused(form)
    flash(_("Meter %(number)s is saved.", number=meter.number), "success")
    return claim.fulfilled(url_for("billing.meter", number=meter.number))


def _saved(form: MeterForm) -> Meter:
    if form.meter is None:
        return meter_actions.create(db.session(), form.entry())
    meter_id = form.meter.id
    version = form.expected_version(meter_id)
    return meter_actions.update(db.session(), meter_id, form.entry(), version)


def _refused(form: MeterForm) -> Response:
    db.session.rollback()
    return _page(form, status=422)


def _conflict(form: MeterForm) -> Response:
    """Somebody else was faster: the form again, mine beside theirs."""
    meter_id = form.meter.id if form.meter else 0
    db.session.rollback()
    meter = form.opened(db.session(), Meter, meter_id) or abort(404)
    mine = form.entry().facts()
    found = differences(form.base_facts(), MeterEntry.of(meter).facts(), mine, none="")
    own = (e for e in recorded_events(db.session(), meter.id) if e.table_name == "meters")
    shown = MeterForm.for_meter(meter, MeterEntry(**with_theirs(mine, found)))
    shown.warning = form.warning_over(meter_id)
    return _page(shown, status=409, conflict=conflict_over(found, next(own, None)))


def _page(form: MeterForm, status: int = 200, conflict: Conflict | None = None) -> Response:
    return render(PAGE, block="form", status=status, form=form, conflict=conflict)
