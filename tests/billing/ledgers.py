"""Billing in plain Python: the facts, and what every stored figure must be.

Written from the specification and on purpose without a line of the product: the tests compare the
product's figures with it. Rounding is Python's own, half away from zero.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import psycopg

CENT, ZERO = Decimal("0.01"), Decimal("0.00")

Totals = Mapping[tuple[str, int], Mapping[str, Decimal]]
"""Every stored figure by table and row."""

Row = dict[str, Any]

_WIDE = Context(prec=60)

FACTS = {
    "meter_assignments": ("meter_id", "customer_id", "is_active"),
    "invoices": ("meter_id", "units", "rate", "fixed_charge", "amount", "status"),
    "payments": ("meter_id", "invoice_id", "amount", "status"),
    "meter_adjustments": ("meter_id", "amount", "status"),
}
"""The entered columns that figures depend on. An invoice's amount is entered where it has no units."""

FIGURES = {
    "invoices": ("amount", "paid"),
    "meters": ("invoiced", "adjusted", "paid", "balance", "overpayment"),
    "customers": ("balance", "overpayment"),
}


def _facts() -> dict[str, dict[int, Row]]:
    return {table: {} for table in FACTS}


@dataclass
class Ledger:
    """Every row by table and primary key; of meters and customers only the keys."""

    rows: dict[str, dict[int, Row]] = field(default_factory=_facts)
    meters: set[int] = field(default_factory=set)
    customers: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, connection: psycopg.Connection[Any]) -> "Ledger":
        """The ledger as it stands in the database; only facts are read, no figure."""
        ledger = cls()
        for table, names in FACTS.items():
            query = f"SELECT id, {', '.join(names)} FROM {table}"
            for key, *values in connection.execute(query.encode()):
                ledger.put(table, key, **dict(zip(names, values, strict=True)))
        ledger.meters = {key for (key,) in connection.execute("SELECT id FROM meters")}
        ledger.customers = {key for (key,) in connection.execute("SELECT id FROM customers")}
        return ledger

    def copy(self) -> "Ledger":
        """A ledger of its own with the same contents."""
        return deepcopy(self)

    def put(self, table: str, key: int, **facts: Any) -> None:
        """Add a row, or change some of its facts."""
        row = {**self.rows[table].get(key, {}), **facts}
        if table == "invoices" and row["units"] is not None:
            exact = _WIDE.multiply(row["units"], row["rate"])
            row["amount"] = exact.quantize(CENT, ROUND_HALF_UP, _WIDE) + row["fixed_charge"]
        self.rows[table][key] = row

    def facts(self) -> tuple[object, object, object]:
        """Everything, in a comparable form."""
        return self.rows, self.meters, self.customers

    def counted(self, table: str, column: str, key: int) -> Decimal:
        """The sum of that table's amounts that refer to the row by `column` and are not void."""
        rows = self.rows[table].values()
        return sum((r["amount"] for r in rows if r[column] == key and r["status"] != "void"), ZERO)

    def owed(self, meter: int) -> Decimal:
        """What is owed for the meter; what was paid beyond it is negative."""
        invoiced, adjusted, paid = self._documents(meter)
        return invoiced + adjusted - paid

    def totals(self) -> Totals:
        """Every figure that must be stored."""
        return dict(self._totals())

    def _documents(self, meter: int) -> tuple[Decimal, Decimal, Decimal]:
        invoiced = self.counted("invoices", "meter_id", meter)
        adjusted = self.counted("meter_adjustments", "meter_id", meter)
        return invoiced, adjusted, self.counted("payments", "meter_id", meter)

    def _totals(self) -> Iterator[tuple[tuple[str, int], Mapping[str, Decimal]]]:
        for key, row in self.rows["invoices"].items():
            paid = self.counted("payments", "invoice_id", key)
            yield ("invoices", key), {"amount": row["amount"], "paid": paid}
        sides: dict[int, tuple[Decimal, Decimal]] = {}
        for key in self.meters:
            owed = self.owed(key)
            sides[key] = max(owed, ZERO), max(-owed, ZERO)
            values = (*self._documents(key), *sides[key])
            yield ("meters", key), dict(zip(FIGURES["meters"], values, strict=True))
        for key in self.customers:
            own = [
                sides[a["meter_id"]]
                for a in self.rows["meter_assignments"].values()
                if a["customer_id"] == key and a["is_active"]
            ]
            balance, overpayment = (sum((s[side] for s in own), ZERO) for side in (0, 1))
            yield ("customers", key), {"balance": balance, "overpayment": overpayment}


def stored(connection: psycopg.Connection[Any]) -> Totals:
    """Every figure that is stored, as another program reads it."""
    found: dict[tuple[str, int], Mapping[str, Decimal]] = {}
    for table, names in FIGURES.items():
        query = f"SELECT id, {', '.join(names)} FROM {table}"
        for key, *values in connection.execute(query.encode()):
            found[table, key] = dict(zip(names, values, strict=True))
    return found
