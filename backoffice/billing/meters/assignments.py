"""The screens of assignments: assigning a meter, reassigning it, ending that, and correcting the days."""

from collections.abc import Callable
from typing import Any

from flask import Response, abort, flash, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...approvals.screens import Done, carry_out
from ...approvals.verbs import Verb
from ...audit.queries import history
from ...base import periods
from ...base.refusals import Refusal, Stale
from ...customers import queries as customers
from ...records.history import last_save
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.conflicts import conflict_over, differences, with_theirs
from ...web.htmx import render
from .. import approved_verbs
from ..models import Meter, MeterAssignment
from . import actions as meter_actions
from . import refusals as meter_refusals
from .actions import Days
from .forms import (
    AssignForm,
    DaysForm,
    EndForm,
    MeterRecordForm,
    ReassignForm,
    facts_of,
)
from .queries import assignment_of
from .refusals import BeginsLater
from .views import bp, head_of, meter_or_404, record_page
from .wording import MeterWording, in_words

PAGE = "billing/assignment.html"

OFFERED = 20
"""Customers in a form's list from the start; beyond that it follows what is typed."""


def assignment_or_404(number: str, assignment_id: int) -> MeterAssignment:
    """The assignment, if it is one of that meter."""
    return assignment_of(db.session(), meter_or_404(number), assignment_id) or abort(404)


@bp.get("/<path:number>/assign")
@requires("billing.write")
def assign(number: str) -> Response:
    """The form of a new assignment."""
    meter = meter_or_404(number)
    is_free = head_of(meter)["active"] is None
    return _form_page("assign", meter, AssignForm.over(meter.id, meter.version, is_active=is_free))


@bp.post("/<path:number>/assign")
@requires("billing.write")
def assign_post(number: str) -> Response:
    """Assign the meter."""
    claim = Claim(f"billing.assign {number}")
    meter, form = meter_or_404(number), AssignForm()
    if not form.validate():
        return _form_page("assign", meter, form, status=422)

    def act(done: Done) -> Response:
        asked = {
            "meter": meter.id,
            "customer": form.customer_id,
            "days": approved_verbs.days_as_payload(form.days()),
            "is_active": form.is_active.data,
            "version": form.expected_version(meter.id),
        }
        return carry_out(approved_verbs.ASSIGN, asked, claim, done, back=_meter_url(number))

    return _performed(claim, "assign", form, meter, act)


@bp.get("/<path:number>/reassign")
@requires("billing.write")
def reassign(number: str) -> Response:
    """The form that reassigns the meter to another customer from a day on."""
    meter = meter_or_404(number)
    active = head_of(meter)["active"]
    if active is None:
        return _form_page("assign", meter, AssignForm.over(meter.id, meter.version, is_active=True))
    form = ReassignForm.over(active.id, active.version, since=periods.today())
    return _form_page("reassign", meter, form, assignment=active)


@bp.post("/<path:number>/assignments/<int:assignment_id>/reassign")
@requires("billing.write")
def reassign_post(number: str, assignment_id: int) -> Response:
    """End the present assignment and begin the new one, in one step."""
    form = ReassignForm()

    def act(version: int, claim: Claim, done: Done) -> Response:
        asked = {
            "assignment": assignment_id,
            "version": version,
            "customer": form.customer_id,
            "since": form.day.isoformat(),
        }
        return carry_out(approved_verbs.REASSIGN, asked, claim, done, back=_meter_url(number))

    return _submitted("reassign", form, number, assignment_id, act)


@bp.get("/<path:number>/assignments/<int:assignment_id>/end")
@requires("billing.write")
def end_assignment(number: str, assignment_id: int) -> Response:
    """The form that asks for the last day."""
    present = assignment_or_404(number, assignment_id)
    today = periods.today()
    last = min(present.assigned_to or today, today)
    form = EndForm.over(present.id, present.version, last=last)
    return _form_page("end", present.meter, form, assignment=present)


@bp.post("/<path:number>/assignments/<int:assignment_id>/end")
@requires("billing.write")
def end_assignment_post(number: str, assignment_id: int) -> Response:
    """Let the assignment end with that day."""
    form = EndForm()

    def act(version: int, claim: Claim, done: Done) -> Response:
        asked = {"assignment": assignment_id, "version": version, "last": form.day.isoformat()}
        return carry_out(approved_verbs.END, asked, claim, done, back=_meter_url(number))

    return _submitted("end", form, number, assignment_id, act)


@bp.get("/<path:number>/assignments/<int:assignment_id>/days")
@requires("billing.write")
def assignment_days(number: str, assignment_id: int) -> Response:
    """The form of the days."""
    present = assignment_or_404(number, assignment_id)
    return _form_page("days", present.meter, DaysForm.for_assignment(present), assignment=present)


@bp.post("/<path:number>/assignments/<int:assignment_id>/days")
@requires("billing.write")
def assignment_days_post(number: str, assignment_id: int) -> Response:
    """Correct the days."""
    form = DaysForm()

    def act(version: int, _claim: Claim, done: Done) -> Response:
        days = form.days()
        return done(meter_actions.correct_days(db.session(), assignment_id, version, days))

    try:
        return _submitted("days", form, number, assignment_id, act)
    except meter_refusals.AssignmentChanged:
        return _days_conflict(number, assignment_id, form)


@bp.post("/<path:number>/assignments/<int:assignment_id>/<verb>")
@requires("billing.write")
def change_assignment(number: str, assignment_id: int, verb: str) -> Response:
    """Activate, deactivate or remove an assignment, as its button says."""
    asked_for: Verb = approved_verbs.OF_ASSIGNMENT.get(verb) or abort(404)
    claim = Claim(f"billing.{verb} {number} {assignment_id}")
    meter = assignment_or_404(number, assignment_id).meter

    def done(_result: object) -> Response:
        flash(_assignment_message(meter), "success")
        return claim.complete(_meter_url(number))

    try:
        version = MeterRecordForm().expected_version(assignment_id)
        asked = {"assignment": assignment_id, "version": version}
        return carry_out(asked_for, asked, claim, done, back=_meter_url(number))
    except Refusal as refusal:
        db.session.rollback()
        return record_page(meter_or_404(number), refusal.status, in_words(refusal))


def _meter_url(number: str) -> str:
    return url_for("meters.record", number=number)


def _submitted(
    kind: str,
    form: MeterRecordForm,
    number: str,
    assignment_id: int,
    act: Callable[[int, Claim, Done], Response],
) -> Response:
    """Perform what the form over an assignment requests, once; or show the form again with its errors."""
    claim = Claim(f"billing.{kind} {number} {assignment_id}")
    present = assignment_or_404(number, assignment_id)
    if not form.validate():
        return _form_page(kind, present.meter, form, status=422, assignment=present)
    version = form.expected_version(assignment_id)
    return _performed(
        claim, kind, form, present.meter, lambda done: act(version, claim, done), present
    )


def _performed(
    claim: Claim,
    kind: str,
    form: MeterRecordForm,
    meter: Meter,
    act: Callable[[Done], Response],
    assignment: MeterAssignment | None = None,
) -> Response:
    """Perform what the form requests; if it is refused, show the form again with the reason, over the current state."""
    number, meter_id = meter.number, meter.id
    assignment_id = assignment.id if assignment else None

    def done(_result: object) -> Response:
        flash(_assignment_message(meter), "success")
        return claim.complete(_meter_url(number))

    try:
        return act(done)
    except Refusal as refusal:
        if refusal.status == 404 or (kind == "days" and isinstance(refusal, Stale)):
            raise
        db.session.rollback()
        form.add_errors({"assigned_from" if isinstance(refusal, BeginsLater) else "": refusal})
        if assignment_id is not None:
            assignment = assignment_or_404(number, assignment_id)
            form.reopen(assignment.id, assignment.version)
            meter = assignment.meter
        else:
            meter = form.opened(db.session(), Meter, meter_id) or abort(404)
            form.reopen(meter.id, meter.version)
        return _form_page(kind, meter, form, status=refusal.status, assignment=assignment)


def _assignment_message(meter: Meter) -> str:
    active = head_of(meter)["active"]
    if active is None:
        return _("Meter %(number)s has no customer.", number=meter.number)
    owner = customers.label(active.customer)
    return _("Meter %(number)s is assigned to %(customer)s.", number=meter.number, customer=owner)


def _days_conflict(number: str, assignment_id: int, form: DaysForm) -> Response:
    """Another user has changed the assignment: the form again, with the entered days beside the stored ones."""
    db.session.rollback()
    present = assignment_or_404(number, assignment_id)
    mine = facts_of(form.days())
    found = differences(form.base_facts(), facts_of(Days.of(present)), mine, none="")
    merged = with_theirs(mine, found)
    days = Days(*(periods.read_day(merged[name]) for name in ("assigned_from", "assigned_to")))
    shown = DaysForm.for_assignment(present, days)
    words = MeterWording(db.session())
    newest = history(db.session(), MeterAssignment.__tablename__, assignment_id, limit=1)
    who, at = last_save(db.session(), newest)
    conflict = conflict_over(
        found, words.label, lambda name, day: words.value(name, day or None), who, at
    )
    return _form_page(
        "days", present.meter, shown, status=409, assignment=present, conflict=conflict
    )


def _form_page(
    kind: str, meter: Meter, form: MeterRecordForm, status: int = 200, **context: Any
) -> Response:
    """The page of the form of that kind: assign, reassign, end or days."""
    return render(
        PAGE,
        block="form",
        status=status,
        kind=kind,
        form=form,
        offered=customers.search(db.session(), "", limit=OFFERED),
        **{"assignment": None, "conflict": None} | head_of(meter) | context,
    )
