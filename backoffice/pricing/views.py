"""The pricing screens: the live preview of a new price before anything is saved, and the outcome of a price change."""

from typing import Any

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from ..app.extensions import db
from ..approvals.screens import carry_out
from ..orders.models import Order
from ..orders.queries import visible_to
from ..people.actors import name_of
from ..products import queries as products
from ..products.models import Product
from ..security.permissions import allowed, requires
from ..web.additions import Addition, Notes
from ..web.claims import Claim
from ..web.htmx import render
from . import actions, queries
from .approved_verbs import PRICE_CHANGE, as_payload
from .effects import (
    MOST,
    Effect,
    Effects,
    NewPrice,
    Sum,
    count_affected,
    effects_of,
    first_open_day,
)
from .forms import PricingForm
from .models import PriceChange

bp = Blueprint("pricing", __name__, url_prefix="/pricing")

PAGE = "pricing/index.html"

SHOWN = 300
"""The most orders that are shown and can be changed at once; the totals are those of all affected orders."""

OFFERED = 200
"""Products that the form offers at once; of more than that, it offers those that match the typed text."""


@bp.get("")
@requires("products.read")
def index() -> Response:
    """The pricing screen; the address may contain the product, the price and the day."""
    return _page(PricingForm.asked(request.args))


@bp.post("/preview")
@requires("products.read")
def preview() -> Response:
    """Preview the typed price. Writes nothing. `choose`: choose all of the orders, or none."""
    form = PricingForm()
    problems = [
        form.find_product(),
        *form.effective_from.process_errors,
        *form.unit_price.process_errors,
    ]
    note = next(filter(None, problems), "")
    return _page(form, block="answer", choose=request.args.get("choose", ""), note=note)


@bp.post("/apply")
@requires("products.write")
def apply() -> Response:
    """Store the price and change the chosen orders, if they have not changed since they were shown."""
    claim = Claim("pricing.apply")
    form = PricingForm()
    if not form.validate():
        return _refused(form)
    new = form.new_price()
    if new is None or not form.is_as_previewed():
        form.form_errors = [
            _("What you applied had not been shown to you yet. Look at it now, then apply.")
        ]
        return _refused(form)

    def done(change: PriceChange) -> Response:
        flash(_("The new price is stored."), "success")
        return claim.complete(url_for("pricing.change", change_id=change.id))

    asked, back = as_payload(new, form.chosen()), url_for("pricing.index")
    try:
        return carry_out(PRICE_CHANGE, asked, claim, done, back=back)
    except actions.NothingToApply as refusal:
        form.form_errors = [_(refusal.sentence)]
        return _refused(form)


@bp.get("/changes/<int:change_id>")
@requires("products.read")
def change(change_id: int) -> Response:
    """One price change: each order's grand total before and after, and the orders that were left unchanged."""
    found = queries.change_with_id(db.session(), change_id) or abort(404)
    new = NewPrice(found.product_id, found.effective_from, found.unit_price)
    rows = queries.orders_of(db.session(), current_user, found)
    applied = [row for row in rows if row.PriceChangeOrder.outcome == "applied"]
    of_all = Sum.of((row.PriceChangeOrder.before, row.PriceChangeOrder.after) for row in applied)
    return render(
        "pricing/change.html",
        change=found,
        who=name_of(db.session, found.actor),
        applied=applied,
        left=[row for row in rows if row not in applied],
        of_all=of_all,
        still_other=count_affected(db.session(), visible_to(current_user), new),
    )


def _refused(form: PricingForm) -> Response:
    db.session.rollback()
    return _page(form, block="form", status=422)


def _page(
    form: PricingForm, *, block: str = "form", status: int = 200, choose: str = "", note: str = ""
) -> Response:
    """The pricing screen with the preview of the typed price; for htmx only the requested part."""
    new = form.new_price()
    effects = effects_of(db.session(), visible_to(current_user), new) if new else None
    rows = effects.rows[:SHOWN] if effects else ()
    chosen = {row.order_id for row in rows if _is_chosen(form, row, choose)}
    return render(
        PAGE,
        block=block,
        status=status,
        form=form,
        new=new,
        effects=effects,
        rows=rows,
        chosen=chosen,
        of_all=Sum.of_effects(effects.rows) if effects else None,
        of_chosen=Sum.of_effects([row for row in rows if row.order_id in chosen]),
        first_day=_first_day(form, effects),
        note=note,
        offered=products.search(db.session(), "", limit=OFFERED),
        may_apply=allowed(current_user, "products.write"),
        SHOWN=SHOWN,
        MOST=MOST,
        OFFERED=OFFERED,
    )


def _is_chosen(form: PricingForm, effect: Effect, choose: str) -> bool:
    if choose in ("all", "none"):
        return effect.is_possible and choose == "all"
    return form.is_chosen(effect)


def _first_day(form: PricingForm, effects: Effects | None) -> Any:
    """If no order is affected: the date of the oldest open order with the product."""
    if form.found_product is None or effects is None or effects.rows or effects.are_too_many:
        return None
    return first_open_day(db.session(), visible_to(current_user), form.found_product.id)


def _of_product(product: Product, user: Any, _number: int) -> dict[str, Any]:
    return {"changes": queries.changes_of_product(db.session(), user, product.id)}


PARTS = (Addition(Product, "pricing/of_product.html", _of_product),)
NOTES = (Notes(Order, queries.notes_of),)
