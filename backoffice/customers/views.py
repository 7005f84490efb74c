"""The screens of customers: the list, one customer with their records, and the options of a form."""

from flask import Blueprint, Response, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from ..app.extensions import db
from ..records.former_addresses import leave_for_present
from ..security.permissions import requires
from ..web.additions import parts_of
from ..web.htmx import render
from ..web.paging import page_number
from . import merging, queries
from .models import Customer
from .records import CUSTOMER
from .screens import screens

bp = Blueprint("customers", __name__, url_prefix="/customers")
screens.add_to(bp, without=("record",))


@bp.get("/options")
@requires("customers.read")
def options() -> Response:
    """The customers that match the text typed into a form, as options."""
    typed = (request.args.get(name) for name in ("customer", "survivor", "duplicate"))
    text = next((text for text in typed if text is not None), "").strip()[:100]
    return render("customers/options.html", found=queries.search(db.session(), text))


@bp.get("/<path:code>")
@requires("customers.read")
def record(code: str) -> AnyResponse:
    """One customer, with the parts that other domains add. The code of a merged duplicate shows its survivor."""
    found = queries.by_code(db.session(), code) or leave_for_present(CUSTOMER, code)
    customer = queries.survivor_of(db.session(), found)
    if customer is not found:
        return redirect(url_for("customers.record", code=customer.code, was=found.code))
    number = page_number(request.args.get("page"))
    return screens.shown(
        customer,
        parts=parts_of(customer, current_user, number),
        was=_merged_code(customer, request.args.get("was", "")),
        merges=merging.live_merges_into(db.session(), customer),
    )


def _merged_code(customer: Customer, code: str) -> str:
    """The code in the address, if it is that of a merged duplicate of this customer."""
    duplicate = queries.by_code(db.session(), code) if code else None
    if duplicate is None or duplicate is customer:
        return ""
    return code if queries.survivor_of(db.session(), duplicate) is customer else ""
