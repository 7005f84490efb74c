"""The screens of products: the price list, one product with its prices, and the options of a form."""

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from ..app.extensions import db
from ..base import periods, table_of
from ..drift.marks import marks_of_facts
from ..records.history import history_of
from ..records.screens import Screens
from ..security.permissions import requires
from ..web.additions import parts_of
from ..web.htmx import hx_redirect, render
from . import actions, queries
from .records import PRODUCT
from .rules import SOLD_AS

bp = Blueprint("products", __name__, url_prefix="/products")
screens = Screens(PRODUCT, "products/index.html")
screens.add_to(bp, without=("record", "changes"))


@bp.get("/options")
@requires("products.read")
def options() -> Response:
    """The products that match the text typed into a form, as options."""
    typed = (text for name, text in request.args.items() if name.endswith("product"))
    text = next(typed, "").strip()[:100]
    kind = request.args.get("kind", "")
    found = queries.search(db.session(), text, kind=kind, only_active=True)
    return render("products/options.html", found=found)


@bp.get("/<code>")
@requires("products.read")
def record(code: str) -> Response:
    """One product: its present, past and future prices, and what other domains show about it."""
    product = screens.found(code)
    today = periods.today()
    return render(
        "products/record.html",
        product=product,
        fact_marks=marks_of_facts(table_of(PRODUCT.model), product.id),
        price=queries.price_on(db.session(), product.id, today),
        today=today,
        recorded=history_of(db.session(), PRODUCT, product),
        parts=parts_of(product, current_user),
        SOLD_AS=SOLD_AS,
    )


@bp.post("/<code>/prices/<int:price_id>/remove")
@requires("products.write")
def remove_price(code: str, price_id: int) -> Response:
    """Remove a price that is not in force yet."""
    product = actions.locked(db.session(), screens.found(code).id)
    actions.remove_price(db.session(), product, price_id, periods.today())
    flash(_("The price is taken back."), "success")
    return hx_redirect(url_for("products.record", code=code))
