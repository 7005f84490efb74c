"""Books for recalculations, tampering past every trigger, and reads of their state."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import text

from backoffice.app.extensions import db
from backoffice.billing.models import Meter
from backoffice.customers.models import Customer
from backoffice.drift.healing.performing import performed
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

KIND = "billing.recalculate"

INDEPENDENT = """
WITH owed AS (
    SELECT meter_id, sum(amount) AS amount FROM (
        SELECT meter_id, amount FROM invoices WHERE status = 'posted'
        UNION ALL SELECT meter_id, amount FROM meter_adjustments WHERE status = 'posted'
        UNION ALL SELECT meter_id, -amount FROM payments WHERE status = 'posted'
    ) documents WHERE meter_id IS NOT NULL GROUP BY meter_id
)
SELECT a.customer_id, sum(greatest(o.amount, 0)) AS balance, sum(greatest(-o.amount, 0)) AS overpayment
FROM meter_assignments a JOIN owed o USING (meter_id) WHERE a.is_active GROUP BY a.customer_id
"""
"""What every customer owes and has overpaid, computed from the documents without the product's code."""


def a_customer(code: str, *, invoiced: str = "0", paid: str = "0", **facts: Any) -> Customer:
    """A customer with one more meter, on which that was invoiced and paid."""
    customer = facts.pop("customer", None) or CustomerFactory(code=code, **facts)
    a_meter(customer, invoiced=invoiced, paid=paid)
    return customer  # type: ignore[no-any-return]


def a_meter(
    customer: Customer, *, invoiced: str = "0", paid: str = "0", is_active: bool = True
) -> Meter:
    """A further meter of the customer's."""
    meter: Meter = MeterFactory()
    MeterAssignmentFactory(meter=meter, customer=customer, is_active=is_active)
    owner = {"meter": meter, "customer": customer}
    if Decimal(invoiced):
        entered = {"units": None, "rate": None, "fixed_charge": 0}
        InvoiceFactory(amount=Decimal(invoiced), **entered, **owner)
    if Decimal(paid):
        PaymentFactory(amount=Decimal(paid), **owner)
    return meter


@contextmanager
def refused(owner: psycopg.Connection[Any], table: str, row: int) -> Iterator[None]:
    """PostgreSQL refuses every update of one row."""
    owner.execute(
        "CREATE FUNCTION refuse_it() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'this row is sealed'; END $$"
    )
    owner.execute(
        f"CREATE TRIGGER a_refusal BEFORE UPDATE ON {table} FOR EACH ROW "
        f"WHEN (NEW.id = {row}) EXECUTE FUNCTION refuse_it()"
    )
    try:
        yield
    finally:
        db.session.rollback()  # the trigger's lock would wait for a transaction that has read the table
        owner.execute("DROP FUNCTION refuse_it() CASCADE")


def ask(scope: Any = None, **options: Any) -> int:
    """Ask for a recalculation; its number."""
    run = actions.request(db.session(), KIND, scope or {}, is_paced=False, **options)
    db.session.commit()
    return int(run.id)


def recalculated(scope: Any = None, **options: Any) -> Run:
    """A recalculation that has ended."""
    return performed(db.engine, ask(scope, **options)).run


def balances(session: Any) -> dict[str, tuple[Decimal, Decimal]]:
    """What is stored of every customer, by code."""
    session.rollback()
    rows = session.execute(text("SELECT code, balance, overpayment FROM customers"))
    return {code: (balance, overpayment) for code, balance, overpayment in rows}


def digest(connection: psycopg.Connection[Any], *, but: tuple[str, ...]) -> dict[str, str]:
    """A digest of every table of the database, except these."""
    names = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY 1"
    ).fetchall()
    reported = {}
    for (name,) in names:
        if name not in but:
            row = connection.execute(
                f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM {name} t"
            ).fetchone()
            reported[name] = row[0] if row else ""
    return reported


def text_of(page: str) -> str:
    """What a reader sees of a page's main part, with single blanks."""
    main = page.partition("<main")[2].partition("</main>")[0]
    plain = re.sub(r"<[^>]+>", " ", main).replace("&#39;", "'").replace("&gt;", ">")
    return " ".join(plain.replace("\xa0", " ").split())


def key_in(page: str) -> str:
    """The key of the first form on a page that has one."""
    found = re.search(r'name="idempotency_key"\s+value="([^"]+)"', page)
    assert found, "no form on the page"
    return found[1]
