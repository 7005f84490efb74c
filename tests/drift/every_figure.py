"""A small book with rows of every declared figure, ways to tamper with it without triggers, and its stored values."""

import json
import random
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import Integer, Numeric, select
from sqlalchemy.orm import Session

from backoffice.figures import Figure, registry
from backoffice.wallets.actions import adjust, charge, recharge, refund
from tests.drift.books import an_order
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import moved
from tests.factories.people import AccountManagerFactory
from tests.factories.wallets import WalletFactory

Row = tuple[str, tuple[tuple[str, str], ...]]
"""A figure's name, and the key of one of its rows."""

FACTS = (
    "UPDATE order_lines SET quantity = quantity + 2 WHERE id = {row}",
    "UPDATE invoices SET units = units + 1 WHERE id = {row} AND units IS NOT NULL",
    "UPDATE payments SET amount = amount + 7 WHERE id = {row}",
    "UPDATE payments SET status = 'void' WHERE id = {row}",
    "UPDATE meter_adjustments SET amount = amount - 11 WHERE id = {row}",
    "UPDATE orders SET closing_date = '2026-02-14' WHERE id = {row} AND closing_date IS NOT NULL",
)
"""SQL that changes facts while every trigger is off; `row` is one of the first five."""


def fill(session: Any) -> None:
    """Managers with orders in two months; customers with meters, invoices, payments, adjustments, gas
    and a wallet that was charged."""
    for _ in range(2):
        manager = AccountManagerFactory()
        for n in range(4):
            closed = {"closing_date": date(2026, 1 + n % 2, 10)} if n < 3 else {}
            an_order(f"{manager.email[:6]}-{manager.id}-{n}", account_manager=manager, **closed)
    for n in range(3):
        customer = CustomerFactory()
        for m in range(1 + n % 2):
            meter = MeterAssignmentFactory(customer=customer).meter
            invoice = InvoiceFactory(customer=customer, meter=meter, units=Decimal(n + m + 1))
            PaymentFactory(
                customer=customer, meter=meter, amount=Decimal(400 * (n + m)) + 1, invoice=invoice
            )
            MeterAdjustmentFactory(customer=customer, meter=meter, amount=Decimal(25 - 20 * n))
        GasPriceFactory(customer=customer)
        DepositFactory(customer=customer)
        for month in (1, 3):
            ReadingFactory(customer=customer, read_on=date(2026, month, 7 + n))
        wallet = WalletFactory(customer=customer)
        for move, amount in (
            (recharge, 500 + n),
            (charge, 40 * n + 1),
            (refund, 1),
            (adjust, -n - 1),
        ):
            move(session, wallet.id, Decimal(amount))
        moved(100 + n)
    session.commit()


def tamper(connection: psycopg.Connection[Any], chance: random.Random, times: int) -> None:
    """Change that many figures, or facts beneath them, without triggers."""
    for _ in range(times):
        if chance.random() < 0.3:
            connection.execute(chance.choice(FACTS).format(row=chance.randint(1, 5)).encode())
            continue
        figure = chance.choice([one for one in registry.figures if not one.generated])
        rows = connection.execute(
            f"SELECT {figure.primary_key.name} FROM {figure.table.name} ORDER BY 1".encode()
        ).fetchall()
        if not rows:
            continue
        [row] = chance.choice(rows)
        if figure.derived_rows and chance.random() < 0.3:
            connection.execute(f"DELETE FROM {figure.table.name} WHERE id = {row}".encode())
            continue
        numbers = [c for c in figure.columns if isinstance(c.type, Numeric | Integer)]
        column = chance.choice(numbers).name
        by = chance.choice(("+ 5", "- 30", "+ 1000"))
        connection.execute(
            f"UPDATE {figure.table.name} SET {column} = {column} {by} WHERE id = {row}".encode()
        )


def stored(session: Session) -> dict[Row, dict[str, str]]:
    """The stored values of every figure, row by row."""
    session.rollback()
    return {row: values for figure in registry.figures for row, values in _rows(session, figure)}


def _rows(session: Session, figure: Figure) -> Any:
    names = [key.key for key in figure.key]
    found = session.execute(select(*figure.key, *figure.columns)).all()
    for row in found:
        key = tuple(sorted(zip(names, map(str, row[: len(names)]), strict=True)))
        values = zip(figure.columns, row[len(names) :], strict=True)
        yield (figure.name, key), {column.key: plain(value) for column, value in values}


def plain(value: Any) -> str:
    """A value as text, the same for equal amounts."""
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value.normalize() + 0) if isinstance(value, Decimal) else str(value)


def changes(
    before: Mapping[Row, Mapping[str, str]], after: Mapping[Row, Mapping[str, str]]
) -> dict[Row, tuple[Any, Any]]:
    """The rows that have changed: their differing columns, before and after; None: no row."""
    found: dict[Row, tuple[Any, Any]] = {}
    for row in before.keys() | after.keys():
        was, is_now = before.get(row), after.get(row)
        if was is None or is_now is None:
            found[row] = (was, is_now)
        elif was != is_now:
            apart = [name for name in was if was[name] != is_now[name]]
            found[row] = tuple({name: side[name] for name in apart} for side in (was, is_now))  # type: ignore[assignment]
    return found


def reported(items: Any) -> dict[Row, tuple[Any, Any]]:
    """The same for the items of a run, or for corrections: `before` and `after` of the differing columns."""
    found: dict[Row, tuple[Any, Any]] = {}
    for item in items:
        row = (item.subject, tuple(sorted((name, str(value)) for name, value in item.key.items())))
        assert row not in found, f"{row} is listed twice"
        found[row] = (_side(item.subject, item.before), _side(item.subject, item.after))
    return found


def _side(name: str, values: Mapping[str, Any] | None) -> dict[str, str] | None:
    if values is None:
        return None
    table = registry.get(name).table
    return {
        column: plain(Decimal(value) if isinstance(table.c[column].type, Numeric) else value)
        for column, value in values.items()
    }
