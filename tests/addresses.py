"""Every address of the app, and records for which they are pages."""

from collections.abc import Iterator
from decimal import Decimal

from flask import Flask
from werkzeug.routing import Rule
from werkzeug.routing.converters import NumberConverter

from backoffice.app.extensions import db
from backoffice.wallets.actions import recharge
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.orders import OrderFactory
from tests.factories.products import ProductFactory
from tests.factories.wallets import WalletFactory


def addresses(app: Flask, **known: object) -> Iterator[tuple[Rule, str, str]]:
    """Every rule with each of its methods and an address that it matches.

    A number in an address is 1 and a word is x, except for the `known` arguments.
    """
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        values = {
            name: known.get(name, 1 if isinstance(rule._converters[name], NumberConverter) else "x")
            for name in rule.arguments
        }
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method, adapter.build(rule.endpoint, values, method=method)


def records_called_x() -> None:
    """An order x of a customer x, a product x, a wallet x, and x of all billing: pages exist. Not committed."""
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
