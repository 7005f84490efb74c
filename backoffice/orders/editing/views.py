"""Entering and changing an order: the form, its live totals, its buttons, saving and deleting."""

from datetime import date
from functools import partial
from typing import Any

from flask import Response, abort, flash, make_response, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from jinja2_fragments.flask import render_block
from markupsafe import escape

from ...app.extensions import db
from ...base import money, periods
from ...base.identifiers import whole_number
from ...base.refusals import AnotherRecord, Refusal
from ...customers import queries as customers
from ...products import choosing
from ...products import queries as products
from ...products.models import Product
from ...products.rules import SOLD_AS
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.conflicts import Conflict
from ...web.formats import day_filter
from ...web.forms import Stamp
from ...web.htmx import render, trigger, wants_partial
from ...web.idempotency import new_key
from ...web.preferences import number_format
from .. import actions, queries
from ..entries import OrderEntry
from ..models import COMPONENT_OF_KIND, KINDS, Order
from ..views import bp, order_or_404
from . import steps
from .conflicts import conflict_of
from .forms import OrderForm
from .previews import preview_of

PAGE = "orders/edit.html"

FEW = 10
"""Lines above the promo with which a form still begins there without losing its top."""

OFFERED = 200
"""Customers, and products of a kind, in the form's lists from the start; beyond that they follow what is typed."""


@bp.get("/new")
@requires("orders.write")
def new() -> Response:
    """An empty form."""
    return _page(OrderForm.for_new(current_user), first="customer")


@bp.post("/new")
@requires("orders.write")
def create() -> Response:
    """Save a new order; with `do`, only carry out that button of the form."""
    return _step(None) if "do" in request.args else _save(None)


@bp.get("/<path:number>/edit")
@requires("orders.write")
def edit(number: str) -> Response:
    """The order in a form."""
    form = OrderForm.for_order(order_or_404(number), current_user)
    return _page(form, first=_first(form))


@bp.post("/<path:number>/edit")
@requires("orders.write")
def update(number: str) -> Response:
    """Save a changed order; with `do`, only carry out that button of the form."""
    return _step(order_or_404(number)) if "do" in request.args else _save(number)


@bp.post("/preview")
@requires("orders.write")
def preview() -> Response:
    """The totals of what is being typed, as outputs to be swapped in. Writes nothing."""
    form = OrderForm(None, current_user)
    return make_response(render_block(PAGE, "outputs", **_shown(form)))


@bp.get("/<path:number>/delete")
@requires("orders.write")
def delete(number: str) -> Response:
    """Ask before an order is deleted."""
    return render("orders/delete.html", order=order_or_404(number), idempotency_key=new_key())


@bp.post("/<path:number>/delete")
@requires("orders.write")
def delete_post(number: str) -> Response:
    """Delete an open order, if it is still as it was shown."""
    claim = Claim(f"orders.delete {number}")
    if claim.answer is not None:
        return claim.answer
    order = order_or_404(number)
    version = Stamp.read(request.form.get("version")).version_of(order.id)
    actions.delete(db.session(), order.id, version)
    flash(_("Order %(number)s is deleted.", number=number), "success")
    return claim.fulfilled(url_for("orders.index"))


def _save(number: str | None) -> Response:
    """Save the posted order, or show all that is wrong with it, its input kept."""
    claim = Claim(f"orders.save {number or ''}")
    if claim.answer is not None:
        return claim.answer
    form = OrderForm(None if number is None else order_or_404(number), current_user)
    if not form.validate():
        form.blame(preview_of(db.session(), form).problems)
        return _refused(form)
    entry = form.entry()
    try:
        order = _saved(form, entry)
    except (actions.OrderChanged, AnotherRecord):
        return _conflict(form, entry)
    except actions.OrderRefused as refused:
        form.blame(refused.problems)
        return _refused(form)
    except actions.NumberTaken as taken:
        form.blame({"number": taken})
        return _refused(form)
    flash(_("Order %(number)s is saved.", number=order.number), "success")
    return claim.fulfilled(url_for("orders.record", number=order.number))


def _saved(form: OrderForm, entry: OrderEntry) -> Order:
    if form.order is None:
        return actions.create(db.session(), entry)
    return actions.update(db.session(), form.order.id, entry, form.expected_version(form.order.id))


def _refused(form: OrderForm) -> Response:
    db.session.rollback()
    return _page(form, status=422)


def _conflict(form: OrderForm, mine: OrderEntry) -> Response:
    """Somebody else was faster: the form again, with mine and theirs side by side."""
    base = form.base_facts()
    order_id = form.order.id if form.order else 0
    db.session.rollback()
    opened = form.opened(db.session(), Order, order_id) or abort(404)
    order = queries.order_with_id(db.session(), current_user, opened.id) or abort(404)
    merged, conflict = conflict_of(db.session(), order, mine, base)
    shown = OrderForm.for_entry(order, current_user, merged)
    shown.warning = form.warning_over(order_id)
    shown.keep_from(form)
    return _page(shown, status=409, conflict=conflict)


def _page(
    form: OrderForm, status: int = 200, conflict: Conflict | None = None, first: str = ""
) -> Response:
    """The form with its totals, the keyboard in the field `first`; for htmx only the form itself."""
    form.offer_choices()
    offered = customers.search(db.session(), "", limit=OFFERED)
    context = _drawn(form) | {"conflict": conflict, "offered": offered, "OFFERED": OFFERED}
    context |= {"first": first, "offered_products": _offered_products()}
    return render(PAGE, block="form", status=status, **context)


def _first(form: OrderForm) -> str:
    """Where the keyboard begins: the promo, which changes most often, unless much stands above it."""
    above = sum(len(form.lines_of(kind)) for kind in ("package", "addition"))
    return "promo" if "promo" not in form.kinds and above <= FEW else ""


def _shown(form: OrderForm) -> dict[str, Any]:
    """What every part of the form needs: its fields, its totals, and the address of its buttons."""
    return {
        "form": form,
        "preview": preview_of(db.session(), form),
        "COMPONENT_OF_KIND": COMPONENT_OF_KIND,
        "address": partial(_address, form.order),
    }


def _drawn(form: OrderForm) -> dict[str, Any]:
    """What the parts with inputs need beside: how many products there are to choose from."""
    return _shown(form) | {"product_count": products.count(db.session()), "OFFERED": OFFERED}


def _offered_products() -> dict[str, list[Product]]:
    """The products that each section of the form offers from the start."""
    return {
        kind: products.search(db.session(), "", kind=kind, only_active=True, limit=OFFERED)
        for kind in KINDS
    }


def _address(order: Order | None, **query: Any) -> str:
    """Where the form is sent; with `do` and what it is about, where a button of it is."""
    if order is None:
        return url_for("orders.create", **query)
    return url_for("orders.update", number=order.number, **query)


# The form's buttons


def _step(order: Order | None) -> Response:
    """Add, remove or paste lines, or change how a component is entered; nothing is saved."""
    typed = request.form.copy()
    kind, do = request.args.get("kind", ""), request.args["do"]
    if do == "remove":
        steps.remove_line(typed, whole_number(request.args.get("line", "")))
        if wants_partial():
            return trigger(make_response(""), "linesChanged")
    elif do == "product":
        return _chosen(order, typed, whole_number(request.args.get("line", "")))
    elif do != "recalculate" and kind not in KINDS:
        abort(400)
    elif do == "add":
        index = steps.add_line(typed, kind)
        if wants_partial():
            return _row(OrderForm(order, current_user, formdata=typed), index)
    elif do == "itemise":
        steps.itemise(typed, kind, _(SOLD_AS[kind]))
    elif do == "one-amount":
        steps.enter_one_amount(typed, kind, _total_of(typed, kind))
    elif do == "paste":
        _paste(order, typed, kind)
    return _section(OrderForm(order, current_user, formdata=typed), kind)


def _row(form: OrderForm, index: int) -> Response:
    entry = next(entry for entry in form.lines if entry.index == index)
    return make_response(render_block(PAGE, "row", entry=entry, is_new=True, **_drawn(form)))


def _section(form: OrderForm, kind: str) -> Response:
    """The part of the form that shows `kind`; the whole page without htmx."""
    form.show_unreadable()
    if not wants_partial() or not kind:
        return _page(form)
    context = _drawn(form) | {"kind": kind, "name": COMPONENT_OF_KIND[kind]}
    body = render_block(PAGE, "component", **context)
    return trigger(make_response(body), "linesChanged")


def _total_of(typed: steps.Typed, kind: str) -> str:
    """What the typed lines of `kind` come to, as the user would type it."""
    totals = actions.compute(
        db.session(), OrderForm(None, current_user, formdata=typed).breakdown()
    )
    return money.format_amount(totals.components[COMPONENT_OF_KIND[kind]], number_format())


def _chosen(order: Order | None, typed: steps.Typed, index: int) -> Response:
    """Fill a line from the product that was typed into it, and say what there is to say of it."""
    form = OrderForm(order, current_user, formdata=typed)
    if not any(entry.index == index for entry in form.lines):
        abort(400)
    names = [f"lines-{index}-{name}" for name in (*steps.COLUMNS, "filled")]
    before = {name: typed.get(name, "") for name in names}
    note = _fill(form, typed, index)
    if not wants_partial():
        form = OrderForm(order, current_user, formdata=typed)
        form.show_unreadable()
        next(entry for entry in form.lines if entry.index == index).form.note = note
        return _page(form)
    filled = [
        {"id": name, "was": was, "now": typed[name]}
        for name, was in before.items()
        if typed.get(name, "") != was
    ]
    return trigger(make_response(escape(note)), "fill", fields=filled)


def _fill(form: OrderForm, typed: steps.Typed, index: int) -> str:
    """Fill one line of `form` from its product; a sentence where there is no such product, or no price."""
    line = next(entry.form for entry in form.lines if entry.index == index)
    if not line.product.data:
        typed[f"lines-{index}-filled"] = ""
        return ""
    found = choosing.named(db.session(), [line.product.data])[line.product.data]
    try:
        product = choosing.checked(found, form.present_product(line))
    except Refusal as refusal:
        return form.in_words(refusal)
    assert product is not None
    day = form.order_date.data or periods.today()
    earlier = products.by_code(db.session(), line.filled.data or "")
    now = _filling(product, day)
    steps.fill(typed, index, now, _filling(earlier, day) if earlier else None)
    if now.unit_price:
        return ""
    return str(
        _("%(code)s has no price on %(day)s. Enter one.", code=now.code, day=day_filter(day))
    )


def _filling(product: Product, day: date) -> steps.Filling:
    """What `product` puts into a line of an order of `day`."""
    price = products.price_on(db.session(), product.id, day)
    shown = "" if price is None else money.format_unit_price(price, number_format())
    return steps.Filling(product.code, product.name, shown)


def _paste(order: Order | None, typed: steps.Typed, kind: str) -> None:
    """Put the pasted block into the lines; where it begins with products, they fill what it leaves empty."""
    block, row, column = _pasted()
    pasted = steps.paste(typed, kind, block, row, column)
    if column == steps.COLUMNS[0]:
        form = OrderForm(order, current_user, formdata=typed)
        for index in pasted:
            _fill(form, typed, index)


def _pasted() -> tuple[str, int, str]:
    """The pasted block, and the row and column of the cell that it was pasted into."""
    column = request.form.get("column", "")
    row = whole_number(request.form.get("row"))
    if column not in steps.COLUMNS or row < 0:
        abort(400)
    return request.form.get("block", ""), row, column
