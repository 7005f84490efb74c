"""The price list, one product with its prices, and choosing one in a form."""

from typing import Any

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import lists
from ..app.extensions import db
from ..base import periods
from ..base.refusals import AnotherRecord
from ..security.permissions import requires
from ..web.claims import Claim
from ..web.conflicts import Conflict
from ..web.htmx import hx_redirect, render
from . import actions, history, queries
from .forms import NewProductForm, ProductForm
from .listing import PRODUCTS
from .models import Product
from .parts import PARTS
from .rules import SOLD_AS

bp = Blueprint("products", __name__, url_prefix="/products")


def product_or_404(code: str) -> Product:
    """The product with that code."""
    return queries.by_code(db.session(), code) or abort(404)


@bp.get("")
@requires("products.read")
def index() -> Response:
    """The products that the filter leaves in, with today's prices."""
    return lists.show(PRODUCTS, "products/index.html")


@bp.get("/export.<flavour>")
@requires("products.read")
@lists.limited
def export(flavour: str) -> Response:
    """The same as a file."""
    return lists.export(PRODUCTS, flavour)


@bp.get("/options")
@requires("products.read")
def options() -> Response:
    """The products that fit what is typed into a form, as options to choose from."""
    typed = (text for name, text in request.args.items() if name.endswith("product"))
    text = next(typed, "").strip()[:100]
    kind = request.args.get("kind", "")
    found = queries.search(db.session(), text, kind=kind, only_active=True)
    return render("products/options.html", found=found)


@bp.get("/new")
@requires("products.write")
def new() -> Response:
    """An empty form."""
    return _page(NewProductForm.empty(), None)


@bp.post("/new")
@requires("products.write")
def create() -> Response:
    """Add a product, with its first price if one was entered."""
    claim = Claim("products.create")
    if claim.answer is not None:
        return claim.answer
    form = NewProductForm()
    if not form.validate():
        return _refused(form, None)
    try:
        product = actions.create(db.session(), form.entry())
    except actions.CodeTaken as taken:
        return _code_taken(form, None, taken)
    price, day = form.unit_price.data, form.effective_from.data
    if price is not None and day is not None:
        actions.set_price(db.session(), product, day, price)
    return _saved(product, claim)


@bp.get("/<code>")
@requires("products.read")
def record(code: str) -> Response:
    """One product: what it costs, has cost and will cost, and what the other domains show about it."""
    product = product_or_404(code)
    today = periods.today()
    parts: list[dict[str, Any]] = [
        {"template": part.template, **part.context(product, current_user)} for part in PARTS
    ]
    return render(
        "products/record.html",
        product=product,
        price=queries.price_on(db.session(), product.id, today),
        today=today,
        events=history.events_of(db.session(), product),
        parts=parts,
        SOLD_AS=SOLD_AS,
    )


@bp.get("/<code>/edit")
@requires("products.write")
def edit(code: str) -> Response:
    """The product in a form."""
    product = product_or_404(code)
    return _page(ProductForm.for_product(product), product)


@bp.post("/<code>/edit")
@requires("products.write")
def update(code: str) -> Response:
    """Save a changed product."""
    claim = Claim(f"products.update {code}"[:200])
    if claim.answer is not None:
        return claim.answer
    product, form = product_or_404(code), ProductForm()
    if not form.validate():
        return _refused(form, product)
    try:
        version = form.expected_version(product.id)
        actions.update(db.session(), product.id, form.entry(), version)
    except (actions.ProductChanged, AnotherRecord):
        return _conflict(form, product.id)
    except actions.CodeTaken as taken:
        return _code_taken(form, code, taken)
    return _saved(product, claim)


@bp.post("/<code>/prices/<int:price_id>/remove")
@requires("products.write")
def remove_price(code: str, price_id: int) -> Response:
    """Take back a price that is not in force yet."""
    product = actions.locked(db.session(), product_or_404(code).id)
    actions.remove_price(db.session(), product, price_id, periods.today())
    flash(_("The price is taken back."), "success")
    return hx_redirect(url_for("products.record", code=code))


def _saved(product: Product, claim: Claim) -> Response:
    flash(_("Product %(code)s is saved.", code=product.code), "success")
    return claim.fulfilled(url_for("products.record", code=product.code))


def _page(
    form: ProductForm,
    product: Product | None,
    status: int = 200,
    conflict: Conflict | None = None,
) -> Response:
    context = {"form": form, "product": product, "conflict": conflict}
    return render("products/edit.html", block="form", status=status, **context)


def _refused(form: ProductForm, product: Product | None) -> Response:
    db.session.rollback()
    return _page(form, product, status=422)


def _code_taken(form: ProductForm, code: str | None, taken: actions.CodeTaken) -> Response:
    form.blame({"code": taken})
    db.session.rollback()
    return _page(form, None if code is None else product_or_404(code), status=422)


def _conflict(form: ProductForm, product_id: int) -> Response:
    """Somebody else was faster: the form again, with mine and theirs side by side."""
    db.session.rollback()
    product = form.opened(db.session(), Product, product_id) or abort(404)
    merged, conflict = history.conflict_of(db.session(), product, form.entry(), form.base_facts())
    shown = ProductForm.for_product(product, merged)
    shown.warning = form.warning_over(product_id)
    return _page(shown, product, 409, conflict)
