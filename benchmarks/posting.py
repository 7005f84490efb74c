"""(l) Posting a payment on a meter with twelve documents, and on one with twelve thousand."""

from datetime import date
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

from flask import Flask
from psycopg import Connection
from sqlalchemy import Select, select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.billing.figures import RECALCULATED, invoice_amount, invoice_paid
from backoffice.billing.models import Invoice
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.actions import ReceiptEntry
from backoffice.billing.payments.allocation import Part, Target, oldest_first
from backoffice.database.embedded import ADMIN
from tests.surgery import tell_of_everything

from .billing_book import load
from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

BAR = 1.3
CUSTOMERS = 2_000
ROUNDS = 400
DOCUMENTS = {"few": 12, "many": 12_000}
"""Meter → its number of existing documents: paid invoices, and their payments."""

FILL = (
    (
        "INSERT INTO invoices (number, customer_id, meter_id, amount, paid, issued_on, due_on) "
        "SELECT 'L-' || %(meter)s || '-' || n, %(customer)s, %(meter)s, 100, 100, "
        " date '2010-01-01' + n::int / 3, date '2010-01-31' + n::int / 3 FROM generate_series(1, %(half)s) AS n"
    ),
    (
        "INSERT INTO payments (reference, customer_id, meter_id, invoice_id, paid_on, amount) "
        "SELECT 'L-' || i.id, i.customer_id, i.meter_id, i.id, i.due_on, 100 FROM invoices i "
        "WHERE i.meter_id = %(meter)s AND i.number LIKE 'L-%%'"
    ),
    (
        "INSERT INTO invoices (number, customer_id, meter_id, amount, issued_on, due_on) "
        "VALUES ('OPEN-' || %(meter)s, %(customer)s, %(meter)s, 1000000, '2026-01-01', '2026-01-31')"
    ),
)


def measure(world: World, scale: float) -> Report:
    """Time both meters in turn: open invoices are read, the payment is allocated, posted, audited and committed."""
    world.empty()
    with world.connect(ADMIN) as connection:
        load(connection, CUSTOMERS)
        connection.execute(
            "INSERT INTO users (id, email, name, role) OVERRIDING SYSTEM VALUE "
            "VALUES (1, 'cashier@example.com', 'Cashier', 'finance')"
        )
        meters = {name: _meter(connection, name, size) for name, size in DOCUMENTS.items()}
    with world.app.app_context(), figures.acting_as("user:1"):
        figures.heal(db.engine)
        db.session.rollback()
    world.settle()
    numbers = count(1)
    sides = {
        name: partial(_timed, world.app, meter, customer, numbers)
        for name, (meter, customer) in meters.items()
    }
    rounds = max(20, int(ROUNDS * scale))
    with figures.acting_as("user:1"):
        seconds = in_turn(sides, rounds, warm_up=20)
    with world.app.app_context():
        scope = (*RECALCULATED, invoice_amount, invoice_paid)
        assert not list(figures.verify(db.engine, scope))
    reported: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    return Report(
        [
            Measured(
                "l",
                "post a payment, 12,000 documents beside 12",
                ratio(seconds["many"], seconds["few"]),
                "×",
                BAR,
            ),
            Measured(
                "l", "post a payment on the meter with 12", reported["few"]["median_ms"], "ms"
            ),
        ],
        reported,
    )


def _meter(connection: Connection[Any], name: str, documents: int) -> tuple[int, int]:
    """Create a meter of a new customer, with so many documents and an open invoice."""
    customer = _inserted(connection, "customers (code, name)", (name, name))
    meter = _inserted(connection, "meters (number, description)", (name, ""))
    _inserted(connection, "meter_assignments (meter_id, customer_id)", (meter, customer))
    given = {"meter": meter, "customer": customer, "half": documents // 2}
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for statement in FILL:
            connection.execute(statement.encode(), given)
        tell_of_everything(connection)
    return meter, customer


def _inserted(connection: Connection[Any], into: str, values: tuple[Any, Any]) -> int:
    statement = f"INSERT INTO {into} VALUES (%s, %s) RETURNING id"
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


def _timed(app: Flask, meter: int, customer: int, numbers: Any) -> float:
    with app.app_context():
        seconds = timed(partial(_post, meter, customer, f"NEW-{next(numbers)}"))
        db.session.remove()
    return seconds


def _open_of(meter: int) -> Select[tuple[Invoice]]:
    """The open invoices that the payment is allocated to, oldest due date first."""
    first = (Invoice.due_on, Invoice.issued_on, Invoice.id)
    return select(Invoice).where(Invoice.meter_id == meter, Invoice.is_open).order_by(*first)


def _post(meter: int, customer: int, reference: str) -> None:
    amount = Decimal("1.25")
    targets = [
        Target(invoice.id, meter, invoice.open) for invoice in db.session.scalars(_open_of(meter))
    ]
    parts = tuple(
        Part(given, invoice_id=key, meter_id=meter)
        for key, given in oldest_first(amount, targets).items()
        if given
    )
    entry = ReceiptEntry(customer, date(2026, 2, 1), amount, "transfer", parts, reference)
    payment_actions.record(db.session(), entry)
    db.session.commit()
