"""Metrics of wallets: how many are below their limit, and how many below zero."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from ..app.measures import Measure, Reading, Source
from .models import Wallet

LOW = Measure("backoffice_wallets_low", "Wallets that hold less than their limit.")
BELOW_ZERO = Measure("backoffice_wallets_below_zero", "Wallets that are below zero.")

low, below = func.count().filter(Wallet.is_low), func.count().filter(Wallet.balance < 0)


def _read(connection: Connection) -> Iterator[Reading]:
    counts = connection.execute(select(low, below).where(Wallet.needs_attention)).one()
    yield from (measure.is_now(n) for measure, n in zip((LOW, BELOW_ZERO), counts, strict=True))


SOURCES = (Source("wallets", (LOW, BELOW_ZERO), _read),)
