"""The form of an order. Derived amounts are not fields, so posting one has no effect."""

import json
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Self

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import (
    FormField,
    HiddenField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.validators import AnyOf

from ...app.extensions import db
from ...base import N_
from ...base.identifiers import whole_number
from ...base.refusals import Invalid, Refusal
from ...products import choosing
from ...products import queries as products
from ...products.models import Product
from ...records.forms import LineForm, LineList, OfRecord
from ...records.lines import MOST_LINES as MOST_SHOWN
from ...security.bearer import signed_in_program
from ...security.rights import sees_all
from ...web.conflicts import Conflict
from ...web.formats import in_words
from ...web.forms import Stamp, at_most, trimmed
from ...web.idempotency import new_key
from ...web.typed_fields import DayField, QuantityField, UnitPriceField
from ..entries import Breakdown, LineEntry, OrderEntry
from ..fields import HEADER_FIELDS, LINE_FIELDS
from ..models import COMPONENT_OF_KIND, KINDS, Order
from ..rules import DESCRIPTION_LENGTH, MOST_LINES
from .conflicts import conflict_of
from .previews import preview_of
from .steps import COLUMNS, KEPT, TooManyLines, kept_amount, kept_lines

FEW = 10
"""The most lines above the promo with which the promo still gets the focus when the form is opened."""

OFFERED = 200
"""Products of a kind that the form offers at once; of more than that, it offers those that match the typed text."""

MADE_OF_LINES = N_("This is the sum of its lines. Send the lines or this amount, not both.")


def _id(text: Any) -> int | None:
    """The id in a hidden field or a select; None for anything else."""
    number = whole_number(str(text or ""))
    return None if number < 0 else number


class OrderLineForm(LineForm):
    """One line. `line` is the stored line's id; it is ignored if that line belongs to another order.

    `filled` names the product that last filled the row's name and price; `note` is the message about the
    row's product, and `found_product` the product that the text names.
    """

    typed_into = COLUMNS
    found_product: Product | None = None
    note: str = ""

    line = HiddenField()
    filled = HiddenField()
    product = StringField(_l("Product"), filters=[trimmed])
    kind = HiddenField(validators=[AnyOf(KINDS, message=_l("There is no such kind of line."))])
    description = StringField(
        _l("Description"),
        filters=[trimmed],
        validators=[at_most(DESCRIPTION_LENGTH)],
    )
    quantity = QuantityField(_l("Quantity"))
    unit_price = UnitPriceField(_l("Unit price"))

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """A blank row is valid; a row with a price needs a quantity, a row with a product needs both."""
        if self.is_blank:
            return True
        is_valid: bool = super().validate(extra_validators)
        if self.quantity.data is None and not self.quantity.errors:
            self.quantity.errors = [_("Enter a quantity.")]
            is_valid = False
        if self.product.data and self.unit_price.data is None and not self.unit_price.errors:
            self.unit_price.errors = [_("Enter a unit price.")]
            is_valid = False
        return is_valid

    def entry(self) -> LineEntry:
        """The line as entered; what is empty or unreadable counts as 0."""
        return LineEntry(
            kind=self.kind.data or "",
            description=self.description.data or "",
            quantity=self.quantity.data or Decimal(0),
            unit_price=self.unit_price.data or Decimal(0),
            id=_id(self.line.data),
            product_id=self.found_product.id if self.found_product else None,
        )


def _place(kind: str | None) -> int:
    """The position of the section of `kind` in the form."""
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _line_data(line: LineEntry, products: Mapping[int, Product]) -> dict[str, Any]:
    product = products[line.product_id].code if line.product_id else ""
    return {
        "line": line.id or "",
        "product": product,
        "filled": product,
        "kind": line.kind,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
    }


def most_lines() -> int:
    """The most lines that this request may send."""
    return MOST_LINES if signed_in_program() else MOST_SHOWN


class OrderLines(LineList):
    """Lines that keep the indices of the page, so that the response updates the right rows."""

    def _extract_indices(self, prefix: str, formdata: Mapping[str, Any]) -> Iterator[int]:
        self.most_rows = 2 * most_lines()  # more for programs, which have no form rendered
        return super()._extract_indices(prefix, formdata)

    def _compact_indices(self) -> None:
        """Keep the page's indices, which WTForms would renumber, and put the rows in the page's order."""
        self.last_index = max((entry.index for entry in self.entries), default=-1)
        self.entries.sort(key=lambda entry: (_place(entry.form.kind.data), entry.index))


class OrderForm(OfRecord):
    """An order: header, and each component as one amount or as lines.

    The account manager is a field only for users who see all orders; the orders of others are their own.
    """

    inputs_page = "orders/inputs.html"
    outputs = "orders/outputs.html"
    classes = "order-form"

    kept_package = HiddenField()
    kept_addition = HiddenField()
    kept_promo = HiddenField()
    kept_reduction = HiddenField()
    itemised = SelectMultipleField(choices=list(KINDS), validate_choice=False)
    lines = OrderLines(FormField(OrderLineForm))

    def __init__(self, row: Order | None = None, **options: Any) -> None:
        """A form for `row` (None: a new order) that the current user or program fills in."""
        super().__init__(row, **options)
        self.own_manager_id: int | None = None
        if not sees_all(signed_in_program() or current_user, "orders.read_all"):
            self.own_manager_id = current_user.id
            del self.account_manager

    @classmethod
    def over_row(cls, row: Order, _facts: Mapping[str, str] | None = None) -> Self:
        """The stored order for editing."""
        return cls.over_entry(row, OrderEntry.of(row))

    @classmethod
    def over_entry(cls, order: Order, entry: OrderEntry) -> Self:
        """`entry` for editing over what `order` holds now."""
        lines = entry.breakdown.lines
        listed = products.with_ids(db.session(), [line.product_id for line in lines])
        data = {
            **{field.name: getattr(entry, field.key) for field in HEADER_FIELDS},
            **entry.breakdown.entered,
            "itemised": entry.breakdown.kinds,
            "lines": [_line_data(line, listed) for line in lines],
            "version": str(Stamp(order.id, order.version)),
            "base": json.dumps(OrderEntry.of(order).facts()),
            "idempotency_key": new_key(),
        }
        return cls(order, formdata=None, data=data)

    @classmethod
    def typed(
        cls, row: Order | None, facts: Mapping[str, Any], given: Collection[str]
    ) -> MultiDict[str, str]:
        """What a program has sent, its lines as rows; a component with lines has no amount unless one is given."""
        typed = MultiDict({name: fact for name, fact in facts.items() if name != "lines"})
        lines = facts.get("lines", ())
        for kind, component in COMPONENT_OF_KIND.items():
            if component in given:
                if facts.get(component) and kind in {line["kind"] for line in lines}:
                    raise Invalid([(component, _(MADE_OF_LINES))])
            elif row is not None and kind in row.itemised:
                typed.poplist(component)
                typed.add("itemised", kind)
        for index, line in enumerate(lines):
            typed[f"lines-{index}-line"] = str(line.get("id") or "")
            for field in LINE_FIELDS:
                typed[f"lines-{index}-{field.name}"] = str(line.get(field.name) or "")
        return typed

    # What was typed

    @property
    def kinds(self) -> list[str]:
        """The kinds shown as lines."""
        itemised = set(self.itemised.data or ()) | {e.form.kind.data for e in self.typed_lines()}
        return [kind for kind in KINDS if kind in itemised]

    def typed_lines(self) -> list[FormField]:
        """The rows into which anything has been typed."""
        return [entry for entry in self.lines if not entry.form.is_blank]

    def lines_of(self, kind: str) -> list[FormField]:
        """The rows of one kind, the blank ones too."""
        return [entry for entry in self.lines if entry.form.kind.data == kind]

    def kept_of(self, kind: str) -> tuple[int, str]:
        """The number of lines that one amount will replace on save, and their sum."""
        text = self[KEPT[kind]].data or ""
        return (0, "") if kind in self.kinds else (len(kept_lines(text)), kept_amount(text))

    def position_of(self, entry: FormField) -> int:
        """The position of a row on the page, from 1."""
        return 1 + next(i for i, other in enumerate(self.lines.entries) if other is entry)

    def breakdown(self) -> Breakdown:
        """The breakdown that the totals are computed from; what is empty or unreadable counts as 0."""
        return Breakdown(
            amounts={name: self[name].data or Decimal(0) for name in COMPONENT_OF_KIND.values()},
            itemised=frozenset(self.kinds),
            lines=tuple(entry.form.entry() for entry in self.typed_lines()),
        )

    def values(self) -> dict[str, Any]:
        """The order as entered; call it on a valid form only."""
        own = {"account_manager": self.own_manager_id}
        header = {f.name: self[f.name].data for f in HEADER_FIELDS if f.name in self}
        breakdown = self.breakdown()
        lines = {"itemised": breakdown.itemised, "lines": breakdown.lines}
        return {**own, **header, **breakdown.amounts, **lines}

    # What its page shows, and the merge after a conflict

    def live(self) -> Mapping[str, Any]:
        """The totals of what has been typed so far."""
        return {"preview": preview_of(db.session(), self), "COMPONENT_OF_KIND": COMPONENT_OF_KIND}

    def drawn(self) -> Mapping[str, Any]:
        """What each part with inputs needs: the addresses of its buttons and the number of products."""
        count = products.count(db.session())
        step_at = partial(_address, self.row)
        return {**self.live(), "step_at": step_at, "product_count": count, "OFFERED": OFFERED}

    def beside(self) -> Mapping[str, Any]:
        """What the whole page needs: the products that each section offers, and the field that gets the focus."""
        offered = {
            kind: products.search(db.session(), "", kind=kind, only_active=True, limit=OFFERED)
            for kind in KINDS
        }
        shown = {
            "offered_products": offered,
            "first": self._first(),
            "HEADER_FIELDS": HEADER_FIELDS,
        }
        return {**self.drawn(), **shown}

    def _first(self) -> str:
        """The field that gets the focus: a new order's customer, else the promo, which changes most often, if near."""
        if request.method != "GET":
            return ""
        above = sum(len(self.lines_of(kind)) for kind in ("package", "addition"))
        is_near = "promo" not in self.kinds and above <= FEW
        return "customer" if self.row is None else "promo" if is_near else ""

    def problems(self) -> Mapping[str, Refusal]:
        """The reasons why the known totals cannot be stored, by field."""
        return preview_of(db.session(), self).problems

    def merged(self, session: Session, row: Order) -> tuple[Self, Conflict]:
        """The form merged over the order that another user has saved; lines that an amount will replace are kept."""
        mine = OrderEntry.entered(self.values())
        merged, conflict = conflict_of(session, row, mine, self.base_facts())
        shown = self.over_entry(row, merged)
        for name in KEPT.values():
            shown[name].data = self[name].data
        return shown, conflict

    # Validation

    def validate_closing_date(self, field: DayField) -> None:
        """An order cannot be closed before it is placed."""
        if field.data and self.order_date.data and field.data < self.order_date.data:
            raise ValidationError(_("The closing date is before the order date."))

    def validate_lines(self, field: OrderLines) -> None:
        """An order has a limited number of lines, and each product that a line names is in the price list."""
        if len(field.entries) > most_lines():
            raise ValidationError(in_words(TooManyLines.of(most_lines())))
        typed = self.typed_lines()
        found = choosing.named(db.session(), [entry.form.product.data for entry in typed])
        for entry in typed:
            line = entry.form
            try:
                product = choosing.checked(found.get(line.product.data), self.present_product(line))
                if product and signed_in_program():
                    choosing.check_is_called(product, line.product.data)
            except Refusal as refusal:
                line.product.errors = [in_words(refusal)]
                field.errors = [e.errors for e in field.entries]
            else:
                line.found_product = product

    def present_product(self, line: OrderLineForm) -> int | None:
        """The product of the stored line, if the line belongs to this order."""
        line_id = _id(line.line.data)
        stored = self.row.lines if self.row else ()
        return next((other.product_id for other in stored if other.id == line_id), None)

    def add_errors(self, problems: Mapping[str, Refusal]) -> None:
        """Show each problem at its field; `lines-0` is the first row that is not blank."""
        typed = self.typed_lines()
        for name, problem in problems.items():
            sentence = self.in_words(problem)
            place, _dash, position = name.partition("-")
            if place == "grand_total":
                self.form_errors = [*self.form_errors, sentence]
                continue
            field = typed[int(position)].form.unit_price if position else self[place]
            if sentence not in field.errors:
                field.errors = [*field.errors, sentence]

    def show_unreadable(self) -> None:
        """Show an error at each cell that cannot be read; cells that are still empty get none."""
        for entry in self.lines:
            for field in entry.form:
                field.errors = list(field.process_errors)
        for component in COMPONENT_OF_KIND.values():
            self[component].errors = list(self[component].process_errors)


def _address(order: Order | None, **query: Any) -> str:
    """The address to which the form is posted; with `do` in `query`, that of one of its buttons."""
    if order is None:
        return url_for("orders.create", **query)
    return url_for("orders.update", number=order.number, **query)
