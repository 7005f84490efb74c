"""Metrics of the balance sheet: whether it is valid, and its totals, from stored balances and findings."""

from collections.abc import Iterator

from sqlalchemy import Connection

from ...app.measures import Measure, Reading, Source
from ...base import money
from .examining import stored_health

VALID = Measure(
    "balance_sheet_valid",
    "1 where assets are liabilities and equity and nothing that was found wrong of the ledger is open, else 0.",
)
TOTAL = Measure(
    "balance_sheet_total", "What the balance sheet comes to, as it is stored.", ("part", "currency")
)


def _read(connection: Connection) -> Iterator[Reading]:
    health = stored_health(connection)
    yield VALID.is_now(int(health.is_valid))
    parts = {
        "assets": health.assets,
        "liabilities": health.liabilities,
        "equity": health.total_equity,
    }
    for name, amount in parts.items():
        yield TOTAL.is_now(amount, name, money.currency())


SOURCES = (Source("balance_sheet", (VALID, TOTAL), _read),)
