"""The kinds of files that can be imported."""

from collections.abc import Mapping

from . import (
    account_managers,
    customers,
    gas,
    invoices,
    ledger,
    meters,
    order_lines,
    orders,
    payments,
    products,
    wallet_charges,
)
from .base import Changes, ImportKind, Reads

KINDS: Mapping[str, ImportKind] = {
    kind.name: kind
    for kind in (
        customers.KIND,
        account_managers.KIND,
        products.KIND,
        orders.KIND,
        order_lines.KIND,
        meters.KIND,
        invoices.KIND,
        payments.KIND,
        wallet_charges.KIND,
        *gas.KINDS,
        *ledger.KINDS,
    )
}
"""By name, in the order in which a company's files are imported."""

__all__ = ["KINDS", "Changes", "ImportKind", "Reads"]
