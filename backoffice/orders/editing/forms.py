"""What may be typed about an order. Derived amounts are no fields, so posting one has no effect."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.exceptions import RequestEntityTooLarge
from wtforms import (
    FieldList,
    Form,
    FormField,
    HiddenField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.validators import AnyOf

from ...app.extensions import db
from ...base import periods
from ...base.identifiers import whole_number
from ...base.refusals import Refusal
from ...customers import queries as customers
from ...customers.forms import customer_named
from ...customers.models import Customer
from ...people.models import User
from ...products import choosing
from ...products import queries as products
from ...products.models import Product
from ...security.rights import allowed
from ...web.formats import in_words
from ...web.forms import RecordForm, Required, Stamp, at_most, must_be_number, trimmed
from ...web.idempotency import new_key
from ...web.typed_fields import AmountField, DayField, QuantityField, UnitPriceField
from .. import queries
from ..actions import NumberTaken
from ..entries import Breakdown, Fact, LineEntry, OrderEntry
from ..models import COMPONENT_OF_KIND, KINDS, Order
from ..rules import DESCRIPTION_LENGTH, MOST_LINES, MOST_ROWS, NUMBER_LENGTH, is_number
from .steps import KEPT, kept_amount, kept_lines


def _id(text: Any) -> int | None:
    """The id that a hidden field or a select holds; None for anything else."""
    number = whole_number(str(text or ""))
    return None if number < 0 else number


class LineForm(Form):
    """One line. `line` is the stored line's id; it counts only if that line is this order's.

    `filled` names the product whose name and price the row was last filled with; `note` is what the
    row has to say of its product, and `found_product` the one that the text names.
    """

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

    @property
    def is_blank(self) -> bool:
        """Whether nothing has been typed into the row: such a row is no line."""
        fields = (self.product, self.description, self.quantity, self.unit_price)
        if any(field.raw_data is None for field in fields):
            return not any(field.data for field in fields)
        return not any(str(text).strip() for field in fields for text in field.raw_data)

    @property
    def is_readable(self) -> bool:
        """Whether both numbers could be read."""
        return not (self.quantity.process_errors or self.unit_price.process_errors)

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """A blank row is not a mistake; a row with a price wants a quantity, one with a product both."""
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
    """Where the section of `kind` stands in the form."""
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


class LineList(FieldList):
    """Lines under the very indices that the page has, so that the answer finds its rows again."""

    def _extract_indices(self, prefix: str, formdata: Mapping[str, Any]) -> Iterator[int]:
        wanted = re.compile(rf"{re.escape(prefix)}-(\d{{1,6}})-", re.ASCII)
        indices = {int(found[1]) for name in formdata if (found := wanted.match(name))}
        if len(indices) > MOST_ROWS:
            raise RequestEntityTooLarge()
        yield from indices

    def _compact_indices(self) -> None:
        """Keep the page's numbers, which WTForms would renumber; put the rows in the page's order."""
        self.last_index = max((entry.index for entry in self.entries), default=-1)
        self.entries.sort(key=lambda entry: (_place(entry.form.kind.data), entry.index))


class OrderForm(RecordForm):
    """An order: header, and each component as one amount or as lines.

    The account manager is a field only for who sees everybody's orders; others are their own.
    """

    number = StringField(
        _l("Order number"),
        filters=[trimmed],
        validators=[
            Required(_l("Enter an order number.")),
            at_most(NUMBER_LENGTH),
        ],
    )
    customer = StringField(
        _l("Customer"), filters=[trimmed], validators=[Required(_l("Choose a customer."))]
    )
    account_manager = SelectField(_l("Account manager"), coerce=_id, validate_choice=False)
    order_date = DayField(_l("Order date"), validators=[Required(_l("Enter the order date."))])
    closing_date = DayField(_l("Closing date"))
    total_price = AmountField(_l("Package price"), empty_is_zero=True)
    additions = AmountField(_l("Additions"), empty_is_zero=True)
    promo = AmountField(_l("Promo"), empty_is_zero=True)
    reductions = AmountField(_l("Reductions"), empty_is_zero=True)
    kept_package = HiddenField()
    kept_addition = HiddenField()
    kept_promo = HiddenField()
    kept_reduction = HiddenField()
    itemised = SelectMultipleField(choices=list(KINDS), validate_choice=False)
    lines = LineList(FormField(LineForm))

    def __init__(self, order: Order | None, user: Any, **options: Any) -> None:
        """A form for `order` (None: a new one) that `user` fills in."""
        super().__init__(**options)
        self.order = order
        self.found_customer: Customer | None = None
        self.own_manager_id: int | None = None
        if not allowed(user, "orders.read_all"):
            self.own_manager_id = user.id
            del self.account_manager

    @classmethod
    def for_new(cls, user: Any) -> "OrderForm":
        """An empty form with what can be suggested."""
        suggested = {
            "number": queries.suggested_number(db.session()),
            "order_date": periods.today(),
            "version": "0",
            "idempotency_key": new_key(),
        }
        return cls(None, user, formdata=None, data=suggested)

    @classmethod
    def for_order(cls, order: Order, user: Any) -> "OrderForm":
        """The stored order for editing."""
        return cls.for_entry(order, user, OrderEntry.of(order))

    @classmethod
    def for_entry(cls, order: Order, user: Any, entry: OrderEntry) -> "OrderForm":
        """`entry` for editing over what `order` holds now."""
        customer = db.session.get_one(Customer, entry.customer_id)
        lines = entry.breakdown.lines
        listed = products.with_ids(db.session(), [line.product_id for line in lines])
        data = {
            "number": entry.number,
            "customer": customers.label(customer),
            "account_manager": entry.account_manager_id,
            "order_date": entry.order_date,
            "closing_date": entry.closing_date,
            **entry.breakdown.entered,
            "itemised": entry.breakdown.kinds,
            "lines": [_line_data(line, listed) for line in lines],
            "version": str(Stamp(order.id, order.version)),
            "base": json.dumps(OrderEntry.of(order).facts()),
            "idempotency_key": new_key(),
        }
        return cls(order, user, formdata=None, data=data)

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
        """How many lines one amount is to replace when the order is saved, and what they came to."""
        text = self[KEPT[kind]].data or ""
        return (0, "") if kind in self.kinds else (len(kept_lines(text)), kept_amount(text))

    def keep_from(self, other: "OrderForm") -> None:
        """Keep the lines that another form over the same order keeps."""
        for name in KEPT.values():
            self[name].data = other[name].data

    def position_of(self, entry: FormField) -> int:
        """Which line of the page a row is, from 1."""
        return 1 + next(i for i, other in enumerate(self.lines.entries) if other is entry)

    def breakdown(self) -> Breakdown:
        """What the totals are made of; what is empty or unreadable counts as 0."""
        return Breakdown(
            amounts={name: self[name].data or Decimal(0) for name in COMPONENT_OF_KIND.values()},
            itemised=frozenset(self.kinds),
            lines=tuple(entry.form.entry() for entry in self.typed_lines()),
        )

    def entry(self) -> OrderEntry:
        """The order as entered; call it on a valid form only."""
        assert self.found_customer is not None
        assert self.order_date.data is not None
        return OrderEntry(
            number=self.number.data or "",
            customer_id=self.found_customer.id,
            account_manager_id=self._manager_id(),
            order_date=self.order_date.data,
            closing_date=self.closing_date.data,
            breakdown=self.breakdown(),
        )

    def base_facts(self) -> dict[str, Fact] | None:
        """The facts that editing started from; None where the field does not hold them."""
        try:
            facts = json.loads(self.base.data or "")
            return {str(name): tuple(map(str, fact)) for name, fact in facts.items()}
        except (ValueError, AttributeError, TypeError, RecursionError):
            return None

    def _manager_id(self) -> int:
        if self.own_manager_id is not None:
            return self.own_manager_id
        return int(self.account_manager.data)

    # What is refused

    def validate_number(self, field: StringField) -> None:
        """An order's number is part of its address, and no two orders have the same one."""
        must_be_number(field.data, is_number)
        besides = self.order.id if self.order else None
        if queries.number_is_taken(db.session(), field.data, besides):
            raise ValidationError(in_words(NumberTaken(number=field.data)))

    def validate_customer(self, field: StringField) -> None:
        """The text names exactly one customer."""
        self.found_customer = customer_named(field.data)

    def validate_account_manager(self, field: SelectField) -> None:
        """The choice is one of those offered."""
        if field.data not in {person.id for person in self.managers()}:
            raise ValidationError(_("Choose an account manager."))

    def validate_closing_date(self, field: DayField) -> None:
        """An order is not closed before it is placed."""
        if field.data and self.order_date.data and field.data < self.order_date.data:
            raise ValidationError(_("The closing date is before the order date."))

    def validate_lines(self, field: LineList) -> None:
        """There is a limit to what one order holds; what a line names is in the price list."""
        if len(field.entries) > MOST_LINES:
            raise ValidationError(
                _("An order has at most %(count)s lines. Split it in two.", count=MOST_LINES)
            )
        typed = self.typed_lines()
        found = choosing.named(db.session(), [entry.form.product.data for entry in typed])
        for entry in typed:
            line = entry.form
            try:
                product = choosing.checked(found.get(line.product.data), self.present_product(line))
            except Refusal as refusal:
                line.product.errors = [in_words(refusal)]
                field.errors = [e.errors for e in field.entries]
            else:
                line.found_product = product

    def present_product(self, line: LineForm) -> int | None:
        """The product that the stored line has, if the line is one of this order's."""
        line_id = _id(line.line.data)
        stored = self.order.lines if self.order else ()
        return next((other.product_id for other in stored if other.id == line_id), None)

    def blame(self, problems: Mapping[str, Refusal]) -> None:
        """Show each problem at its field; `lines-0` is the first row into which something is typed."""
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
        """Show at each cell what cannot be read, without asking for what is not typed yet."""
        for entry in self.lines:
            for field in entry.form:
                field.errors = list(field.process_errors)
        for component in COMPONENT_OF_KIND.values():
            self[component].errors = list(self[component].process_errors)

    def offer_choices(self) -> None:
        """Fill what is chosen from a list; only a page that shows the form needs it."""
        if self.own_manager_id is None:
            people = [SelectChoice(person.id, person.name) for person in self.managers()]
            self.account_manager.choices = [SelectChoice("", _("Choose…")), *people]

    def managers(self) -> Sequence[User]:
        """The people whom the order can be given to."""
        present = self.order.account_manager_id if self.order else None
        return queries.assignable_managers(db.session(), present)
