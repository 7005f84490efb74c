"""Small books by meter for the tests of the migration, and its steps performed here."""

import hashlib
from datetime import date
from typing import Any

import psycopg

from backoffice.app.extensions import db
from backoffice.billing.migration import chain
from backoffice.billing.migration.steps import STEP_NAMED
from backoffice.billing.models import Invoice, Meter, MeterAssignment, Payment
from backoffice.customers.models import Customer
from backoffice.drift.healing.performing import performed
from backoffice.runs import actions
from backoffice.runs.models import Run, RunItem
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

DAY = date(2026, 3, 15)
"""When payments of these books are made."""


def a_customer(code: str, *meters: str) -> Customer:
    """A customer with these meters, assigned without a first day."""
    customer: Customer = CustomerFactory(code=code, name=f"Customer {code}")
    for number in meters:
        MeterAssignmentFactory(meter=MeterFactory(number=number), customer=customer)
    return customer


def an_assignment(customer: Customer, meter: Meter, **days: Any) -> MeterAssignment:
    """A meter is the customer's on these days."""
    made: MeterAssignment = MeterAssignmentFactory(customer=customer, meter=meter, **days)
    return made


def a_payment(reference: str, customer: Customer, **facts: Any) -> Payment:
    """A payment of 500.00, unmatched unless `meter` is given."""
    made: Payment = PaymentFactory(reference=reference, customer=customer, paid_on=DAY, **facts)
    return made


def an_invoice(number: str, customer: Customer, **facts: Any) -> Invoice:
    """An invoice of 1,500.00, without a meter unless it is given."""
    made: Invoice = InvoiceFactory(number=number, customer=customer, issued_on=DAY, **facts)
    return made


def meter_named(number: str) -> Meter:
    return db.session.query(Meter).filter_by(number=number).one()


def step(name: str, *, dry_run: bool = False) -> Run:
    """One step alone, done here until it has ended."""
    asked = chain.request_step(db.session(), STEP_NAMED[name], dry_run=dry_run, is_paced=False)
    db.session.commit()
    return ended(asked.id)


def ended(run_id: int) -> Run:
    """The run, done here until it has ended."""
    run = performed(db.engine, run_id).run
    db.session.rollback()
    db.session.expire_all()
    return run


def migrated(*, dry_run: bool = False) -> list[Run]:
    """All steps, done here."""
    run: Run | None = chain.request_all(db.session(), dry_run=dry_run, is_paced=False)
    db.session.commit()
    done = []
    while run is not None:
        done.append(ended(run.id))
        run = chain.next_run(db.session(), done[-1])
    return done


def applied(run: Run) -> Run:
    """What a dry run has found, applied here."""
    limits = actions.Limits(10**9, 10**12)  # type: ignore[arg-type]
    asked = actions.apply(db.session(), run.id, reason="It was looked at", limits=limits)
    db.session.commit()
    return ended(asked.id)


def items_of(run: Run) -> list[tuple[str, int | None, str]]:
    """The run's items: subject, owner and outcome of each."""
    found = db.session.query(RunItem).filter_by(run_id=run.id).order_by(RunItem.id)
    return [(item.subject, item.owner, item.outcome) for item in found]


def meters_of(*references: str) -> dict[str, str | None]:
    """The meter of each payment or invoice, by reference or number."""
    db.session.rollback()
    db.session.expire_all()
    found: dict[str, str | None] = {}
    for reference in references:
        one: Any = db.session.query(Payment).filter_by(reference=reference).one_or_none()
        one = one or db.session.query(Invoice).filter_by(number=reference).one()
        found[reference] = one.meter.number if one.meter else None
    return found


def digest(owner_database_url: str, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Every table except runs and their parts, with a digest of all its rows."""
    left_out = {"runs", "run_items", "run_chunks", *without}
    reported = {}
    with psycopg.connect(owner_database_url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            if table not in left_out:
                rows = connection.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1').fetchall()
                reported[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return reported
