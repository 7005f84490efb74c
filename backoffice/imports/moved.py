"""The stored totals that an import moves, of records that were there before: how many, by how much, the greatest."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Session

from ..approvals.changes import Outlook, totals_moved
from ..subjects import called

SHOWN = 50
"""Rows that are kept to be shown; sums and fingerprint are of all."""


@dataclass(frozen=True)
class Moved:
    """So many rows, their differences net and gross, the greatest of them, and a text that tells all of them apart."""

    rows: int = 0
    net: Decimal = Decimal(0)
    gross: Decimal = Decimal(0)
    sample: tuple[dict[str, Any], ...] = ()
    fingerprint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, amounts as strings."""
        sums = {"rows": self.rows, "net": str(self.net), "gross": str(self.gross)}
        return {**sums, "items": list(self.sample)}


def moved_by(session: Session, rows: Iterable[tuple[Table, int]]) -> Moved:
    """What this transaction has made of these rows of figures, while it can still be taken back."""
    connection = session.connection()
    items = sorted(
        totals_moved(connection, rows), key=lambda item: -(item["amounts"].get("gross") or 0)
    )
    told = sorted(
        json.dumps([item[name] for name in ("subject", "owner", "key", "before", "after")], sort_keys=True)
        for item in items
    )  # fmt: skip
    shown = items[:SHOWN]
    names = called(connection, ((item["subject"], item["owner"], item["key"]) for item in shown))
    found = Outlook(tuple(items)).found
    return Moved(
        found.count, found.net, found.gross,
        tuple(_as_dict(item, name) for item, name in zip(shown, names, strict=True)),
        hashlib.sha256("\n".join(told).encode()).hexdigest(),
    )  # fmt: skip


def _as_dict(item: dict[str, Any], name: str | None) -> dict[str, Any]:
    amounts = {key: None if value is None else str(value) for key, value in item["amounts"].items()}
    net = amounts.pop("amount", None)
    told = {key: item[key] for key in ("subject", "owner", "key", "before", "after")}
    return {"name": name, **told, **amounts, "net": net}
