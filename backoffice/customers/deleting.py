"""Deleting a customer: asked first, and only of one to whom nothing belongs."""

from collections.abc import Mapping

from flask import Response
from flask_babel import ngettext

from ..app.extensions import db
from ..security.permissions import requires
from ..web.htmx import render
from ..web.idempotency import new_key
from . import actions
from .models import Customer
from .owned_records import Belonging
from .views import bp, screens


@bp.get("/<path:code>/delete")
@requires("customers.write")
def delete(code: str) -> Response:
    """Ask before a customer is deleted, or say what belongs to them."""
    customer = screens.found(code)
    return _page(customer, actions.held_by(db.session(), customer))


@bp.post("/<path:code>/delete")
@requires("customers.write")
def delete_post(code: str) -> Response:
    """Delete a customer to whom nothing belongs, if they are still as they were shown."""
    try:
        return screens.delete(code)
    except actions.CustomerKept as kept:
        db.session.rollback()
        return _page(screens.found(code), kept.held, status=409)


def _page(customer: Customer, held: Mapping[Belonging, int], status: int = 200) -> Response:
    told = [ngettext(*belonging.counted, count) for belonging, count in held.items()]
    return render(
        "customers/delete.html",
        status=status,
        customer=customer,
        held=held,
        told=", ".join(told),
        idempotency_key=new_key(),
    )
