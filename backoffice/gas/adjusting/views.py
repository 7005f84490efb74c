"""The screen of a customer's proposed adjustment of closed months."""

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...base.refusals import Refusal
from ...customers.models import Customer
from ...customers.screens import screens as customers
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.htmx import render
from ...web.idempotency import new_key
from ..statements.views import bp
from .actions import accept, proposal_of


@bp.get("/customers/<path:code>/adjustment")
@requires("gas.read")
def adjustment(code: str) -> Response:
    """The closed months as stored and as expected, and the deposit proposed for the first open day."""
    return _render_page(customers.found(code))


@bp.post("/customers/<path:code>/adjustment")
@requires("gas.write")
def adjust(code: str) -> Response:
    """Accept the closed months, and reverse the difference on the first open day."""
    customer = customers.found(code)
    claim = Claim(f"gas.adjust {code}"[:200])
    try:
        accept(db.session(), customer.id, request.form.get("shown", ""))
    except Refusal as refusal:
        db.session.rollback()
        return _render_page(customer, refusal)
    flash(_("The closed months of %(name)s are accepted.", name=customer.name), "success")
    return claim.complete(url_for("gas.statement", code=customer.code))


def _render_page(customer: Customer, refusal: Refusal | None = None) -> Response:
    proposed = proposal_of(db.session(), customer.id)
    shown_refusal = refusal or (proposed and proposed.refusal)
    return render(
        "gas/adjustment.html",
        status=200 if refusal is None else refusal.status,
        customer=customer,
        proposed=proposed,
        complaint=in_words(shown_refusal) if shown_refusal else "",
        key=new_key(),
    )
