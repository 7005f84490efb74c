"""The lists whose files come back as files of a kind, and the meaning of their columns there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from ..base.languages import in_each_language
from ..billing.invoices.listing import INVOICES
from ..billing.meters.listing import METERS
from ..billing.payments.listing import PAYMENTS
from ..customers.listing import customers_for
from ..gas.listing import DEPOSITS, PRICES, READINGS
from ..ledger.listing import ACCOUNTS
from ..lists import List
from ..orders.listing import ORDERS
from ..people.models import User
from ..products.listing import PRODUCTS
from .files.layout import Layout, normalised
from .files.reading import CsvFile
from .files.sources import Source
from .kinds import KINDS, ImportKind

_WHO_SEES_ALL = User(role="admin", is_active=True)
"""The heads of a list are the same for all users who see its columns."""


class Exported(NamedTuple):
    """A list as a user sees it, and the columns that a file of the kind names otherwise."""

    listing: Callable[[Any], List]
    names: Mapping[str, str]


def _same(listing: List, **names: str) -> Exported:
    return Exported(lambda _user: listing, names)


EXPORTED: Mapping[str, Exported] = {
    "customers": Exported(customers_for, {}),
    "products": _same(PRODUCTS, price_since="effective_from"),
    "orders": _same(ORDERS, manager_email="account_manager_email"),
    "meters": _same(METERS, number="meter_number", state="is_active"),
    "invoices": _same(INVOICES, meter="meter_number"),
    "payments": _same(PAYMENTS, meters="meter_number", invoices="invoice_number"),
    "prices": _same(PRICES),
    "readings": _same(READINGS, metered_volume="metered_volume_m3"),
    "deposits": _same(DEPOSITS),
    "accounts": _same(ACCOUNTS),
}
"""Kind of file → its list."""


@cache
def meanings_of(kind: str) -> Mapping[str, str]:
    """The heads of the list's files, in each language: each with the column that it means, or "" for none."""
    if kind not in EXPORTED:
        return {}
    exported, known = EXPORTED[kind], {column.name for column in KINDS[kind].columns}
    found: dict[str, str] = {}
    for column in exported.listing(_WHO_SEES_ALL).columns:
        name = exported.names.get(column.name, column.name)
        for head in in_each_language(column.label):
            found[head] = name if name in known else found.get(head, "")
    return found


def as_exported(kind: ImportKind, sources: Sequence[Source], layout: Layout) -> Layout:
    """`layout` with the columns of our list, where these files have no others."""
    heads = {normalised(head): name for head, name in meanings_of(kind.name).items()}
    complete = replace(layout, columns={**heads, **layout.columns})
    files = [CsvFile(source, kind.columns, complete) for source in sources]
    header = {normalised(cell) for file in files for cell in file.header}
    return complete if header <= heads.keys() else layout
