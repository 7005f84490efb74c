"""The buttons of the order form: they add, remove and paste lines and fill them from products; nothing is saved."""

from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import partial

from flask import Response, abort, make_response, request
from flask_babel import gettext as _
from jinja2_fragments.flask import render_block
from markupsafe import escape
from sqlalchemy.orm import Session

from ...app.extensions import db
from ...base import money, periods
from ...base.identifiers import whole_number
from ...base.refusals import Refusal
from ...products import choosing
from ...products import queries as products
from ...products.rules import SOLD_AS
from ...records.lines import MOST_LINES
from ...records.screens import Screens
from ...web.formats import day_filter
from ...web.htmx import trigger, wants_partial
from ...web.preferences import number_format
from .. import actions
from ..models import COMPONENT_OF_KIND, KINDS, Order
from . import steps
from .forms import OrderForm


class OrderScreens(Screens):
    """The screens of orders, with the buttons of their form."""

    def check_editable(self, session: Session, row: Order) -> None:
        """Raises OrderTooLong for an order with more lines than the form shows."""
        super().check_editable(session, row)
        if len(row.lines) > MOST_LINES:
            raise steps.OrderTooLong(count=f"{len(row.lines):,}", most=f"{MOST_LINES:,}")

    def step(self, form: OrderForm) -> Response:
        """Add, remove or paste lines, or change how a component is entered."""
        typed, again = request.form.copy(), partial(type(form), form.row)
        kind, do = request.args.get("kind", ""), request.args["do"]
        line = whole_number(request.args.get("line", ""))
        if do == "product":
            return self._chosen(form, typed, line)
        if do == "remove":
            steps.remove_line(typed, line)
            if wants_partial():
                return trigger(make_response(""), "linesChanged")
        elif do != "recalculate" and kind not in KINDS:
            abort(400)
        elif do == "add":
            index = steps.add_line(typed, kind)
            if wants_partial():
                return _row(again(formdata=typed), index)
        elif do in _STEPS:
            _STEPS[do](form, typed, kind)
        return self._section(again(formdata=typed), kind)

    def _section(self, form: OrderForm, kind: str) -> Response:
        """The part of the form that shows `kind`; the whole page without htmx."""
        form.show_unreadable()
        if not wants_partial() or not kind:
            return self.page(form)
        shown = {"form": form, **form.drawn(), "kind": kind, "name": COMPONENT_OF_KIND[kind]}
        body = render_block(form.inputs_page, "component", **shown)
        return trigger(make_response(body), "linesChanged")

    def _chosen(self, form: OrderForm, typed: steps.Typed, index: int) -> Response:
        """Fill a line from the product that was typed into it, and show the message about it."""
        if not any(entry.index == index for entry in form.lines):
            abort(400)
        names = [f"lines-{index}-{name}" for name in (*steps.COLUMNS, "filled")]
        before = {name: typed.get(name, "") for name in names}
        note = _fill(form, typed, [index])[index]
        if not wants_partial():
            shown = type(form)(form.row, formdata=typed)
            shown.show_unreadable()
            next(entry for entry in shown.lines if entry.index == index).form.note = note
            return self.page(shown)
        filled = [
            {"id": name, "was": was, "now": typed[name]}
            for name, was in before.items()
            if typed.get(name, "") != was
        ]
        return trigger(make_response(escape(note)), "fill", fields=filled)


def _row(form: OrderForm, index: int) -> Response:
    entry = next(entry for entry in form.lines if entry.index == index)
    shown = {"form": form, **form.drawn(), "entry": entry, "is_new": True}
    return make_response(render_block(form.inputs_page, "row", **shown))


def _itemise(_form: OrderForm, typed: steps.Typed, kind: str) -> None:
    steps.itemise(typed, kind, _(SOLD_AS[kind]))


def _one_amount(form: OrderForm, typed: steps.Typed, kind: str) -> None:
    """Enter the sum of the typed lines as the component's one amount."""
    amount = actions.compute(db.session(), form.breakdown()).components[COMPONENT_OF_KIND[kind]]
    steps.enter_one_amount(typed, kind, money.format_amount(amount, number_format()))


def _paste(form: OrderForm, typed: steps.Typed, kind: str) -> None:
    """Paste the block into the lines; where it begins with products, they fill the cells that it leaves empty."""
    column, row = request.form.get("column", ""), whole_number(request.form.get("row"))
    if column not in steps.COLUMNS or row < 0:
        abort(400)
    indices = steps.paste(typed, kind, request.form.get("block", ""), row, column)
    if column == steps.COLUMNS[0]:
        _fill(type(form)(form.row, formdata=typed), typed, indices)


_STEPS = {"itemise": _itemise, "one-amount": _one_amount, "paste": _paste}
"""Name of a button → what it does to the lines of one kind."""


def _fill(form: OrderForm, typed: steps.Typed, indices: Collection[int]) -> dict[int, str]:
    """Fill these lines of `form` from their products; returns the messages: no such product, or no price."""
    session, day = db.session(), form.order_date.data or periods.today()
    lines = {entry.index: entry.form for entry in form.lines if entry.index in indices}
    found = choosing.named(session, [line.product.data for line in lines.values()])
    notes, chosen = dict.fromkeys(lines, ""), {}
    for index, line in lines.items():
        try:
            product = choosing.checked(found[line.product.data], form.present_product(line))
        except Refusal as refusal:
            notes[index] = form.in_words(refusal)
            continue
        if product is None:
            typed[f"lines-{index}-filled"] = ""
        else:
            chosen[index] = product
    prices = products.prices_on(session, [product.id for product in chosen.values()], day)
    before = _filled_by(lines[index].filled.data for index in chosen)
    for index, product in chosen.items():
        price = prices[product.id]
        filling = steps.Filling(product.code, product.name, _as_typed(price))
        steps.fill(typed, index, filling, before.get(lines[index].filled.data or "", {}))
        if price is None:
            notes[index] = _(
                "%(code)s has no price on %(day)s. Enter one.",
                code=product.code,
                day=day_filter(day),
            )
    return notes


def _filled_by(codes: Iterable[str | None]) -> dict[str, steps.Filled]:
    """The texts that each of these products can have put into a line, whatever the order's date was then."""
    found = products.with_codes(db.session(), filter(None, codes))
    listed = products.listed_prices(db.session(), [product.id for product in found.values()])
    return {
        code: {"description": {product.name}, "unit_price": set(map(_as_typed, listed[product.id]))}
        for code, product in found.items()
    }


def _as_typed(price: Decimal | None) -> str:
    """A price as the user would type it."""
    return "" if price is None else money.format_unit_price(price, number_format())
