"""Entering, changing and deleting a customer."""

from collections.abc import Mapping

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from ..app.extensions import db
from ..base.refusals import AnotherRecord
from ..security.permissions import requires
from ..web.claims import Claim
from ..web.conflicts import Conflict, conflict_over, differences, with_theirs
from ..web.forms import Stamp
from ..web.htmx import render
from ..web.idempotency import new_key
from . import actions, history
from .actions import CustomerEntry
from .forms import CustomerForm
from .listing import LABELS
from .models import Customer
from .owned_records import Belonging
from .views import bp, customer_or_404

PAGE = "customers/edit.html"


@bp.get("/new")
@requires("customers.write")
def new() -> Response:
    """An empty form."""
    return _page(CustomerForm.for_new())


@bp.post("/new")
@requires("customers.write")
def create() -> Response:
    """Save a new customer."""
    return _save(None)


@bp.get("/<path:code>/edit")
@requires("customers.write")
def edit(code: str) -> Response:
    """The customer in a form."""
    return _page(CustomerForm.for_customer(customer_or_404(code)))


@bp.post("/<path:code>/edit")
@requires("customers.write")
def update(code: str) -> Response:
    """Save a changed customer."""
    return _save(code)


@bp.get("/<path:code>/delete")
@requires("customers.write")
def delete(code: str) -> Response:
    """Ask before a customer is deleted, or say what belongs to them."""
    customer = customer_or_404(code)
    return _delete_page(customer, actions.held_by(db.session(), customer))


@bp.post("/<path:code>/delete")
@requires("customers.write")
def delete_post(code: str) -> Response:
    """Delete a customer to whom nothing belongs, if they are still as they were shown."""
    claim = Claim(f"customers.delete {code}")
    if claim.answer is not None:
        return claim.answer
    customer = customer_or_404(code)
    try:
        version = Stamp.read(request.form.get("version")).version_of(customer.id)
        actions.delete(db.session(), customer.id, version)
    except actions.CustomerKept as kept:
        db.session.rollback()
        return _delete_page(customer_or_404(code), kept.held, status=409)
    flash(_("Customer %(code)s is deleted.", code=code), "success")
    return claim.fulfilled(url_for("customers.index"))


def _delete_page(customer: Customer, held: Mapping[Belonging, int], status: int = 200) -> Response:
    told = [ngettext(*belonging.counted, count) for belonging, count in held.items()]
    return render(
        "customers/delete.html",
        status=status,
        customer=customer,
        held=held,
        told=", ".join(told),
        idempotency_key=new_key(),
    )


def _save(code: str | None) -> Response:
    """Save the posted customer, or show all that is wrong with it, its input kept."""
    claim = Claim(f"customers.save {code or ''}")
    if claim.answer is not None:
        return claim.answer
    form = CustomerForm(None if code is None else customer_or_404(code))
    if not form.validate():
        return _refused(form)
    entry = form.entry()
    try:
        customer = _saved(form, entry)
    except (actions.CustomerChanged, AnotherRecord):
        return _conflict(form, entry)
    except actions.CodeTaken as taken:
        form.blame({"code": taken})
        return _refused(form)
    flash(_("Customer %(code)s is saved.", code=customer.code), "success")
    return claim.fulfilled(url_for("customers.record", code=customer.code))


def _saved(form: CustomerForm, entry: CustomerEntry) -> Customer:
    if form.customer is None:
        return actions.create(db.session(), entry)
    customer_id = form.customer.id
    return actions.update(db.session(), customer_id, entry, form.expected_version(customer_id))


def _refused(form: CustomerForm) -> Response:
    db.session.rollback()
    return _page(form, status=422)


def _conflict(form: CustomerForm, mine: CustomerEntry) -> Response:
    """Somebody else was faster: the form again, mine beside theirs; what I left alone is theirs now."""
    assert form.customer is not None
    customer_id, base = form.customer.id, form.base_facts()
    db.session.rollback()
    customer = form.opened(db.session(), Customer, customer_id) or abort(404)
    found = differences(base, CustomerEntry.of(customer).facts(), mine.facts(), none="")
    merged = CustomerEntry(**with_theirs(mine.facts(), found))
    newest = next(iter(history.events_of(db.session(), customer)), None)
    who, at = (newest.who, newest.at) if newest else ("", None)
    conflict = conflict_over(
        found, lambda name: _(LABELS[name]), lambda _name, fact: fact or "–", who, at
    )
    shown = CustomerForm.for_customer(customer, merged)
    shown.warning = form.warning_over(customer_id)
    return _page(shown, status=409, conflict=conflict)


def _page(form: CustomerForm, status: int = 200, conflict: Conflict | None = None) -> Response:
    return render(PAGE, block="form", status=status, form=form, conflict=conflict)
