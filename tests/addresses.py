"""Every address of the app, and records with which these addresses show pages."""

from collections.abc import Iterator
from decimal import Decimal

from flask import Flask
from werkzeug.routing import Rule
from werkzeug.routing.converters import BaseConverter, NumberConverter

from backoffice.app.extensions import db
from backoffice.wallets.actions import recharge
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory, draft, of, posted
from tests.factories.orders import OrderFactory
from tests.factories.products import ProductFactory
from tests.factories.wallets import WalletFactory


def addresses(app: Flask, **known: object) -> Iterator[tuple[Rule, str, str]]:
    """Every rule with each of its methods and an address that it matches.

    Numbers in an address are 1 and words are x, except for the `known` arguments.
    """
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        values = {name: _value(rule._converters[name], known.get(name)) for name in rule.arguments}
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method, adapter.build(rule.endpoint, values, method=method)


def _value(converter: BaseConverter, known: object) -> object:
    if isinstance(converter, NumberConverter):
        return known if isinstance(known, int) else 1
    return "x" if known is None else known


def records_called_x() -> None:
    """Create a customer x with an order x, gas and every other entered record x, so that pages exist. Not committed."""
    order = OrderFactory(
        number="x", customer__code="x", lines=[("package", "Queso", "12", "14.00")]
    )
    ProductFactory(code="x", prices={"2026-01-01": "10"})
    held = MeterAssignmentFactory(meter__number="x", customer=order.customer)
    of_it = {"customer": order.customer, "meter": held.meter}
    invoice = InvoiceFactory(number="x", **of_it)
    PaymentFactory(reference="x", invoice=invoice, **of_it)
    MeterAdjustmentFactory(number="x", **of_it)
    wallet = WalletFactory(number="x", customer=order.customer)
    recharge(db.session(), wallet.id, Decimal(100), description="x")
    GasPriceFactory(customer=order.customer)
    ReadingFactory(customer=order.customer)
    DepositFactory(customer=order.customer)
    debited, credited = AccountFactory(code="x"), AccountFactory(code="y")
    posted(of(debited, 100), of(credited, -100), number="y")
    draft(of(debited, 5), of(credited, -5), number="x")
