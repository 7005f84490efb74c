"""No write path leaves what is owed wrong: DESIGN.md section 3; lines 13 and 14 of FAULTS.md.

Each way of writing is crossed with each kind of source and figure of billing. Through the session the
figures are right when read in the same transaction, undone with it, and right at commit; what a program
outside writes is noted, right after `heal_noted`, and right within two seconds where a worker runs.
"""

import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.base import table_of
from backoffice.billing.models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from backoffice.customers.models import Customer
from tests.faults.workers import until, worker
from tests.orders.test_outside_writes import _statement, by_a_plain_engine, by_psql, by_psycopg
from tests.orders.ways import WAYS_TO_CHANGE, Change, upsert_statement

from .ledgers import Ledger, stored
from .machine import read
from .offices import Office, noted_then_right, open_office, right_in_the_transaction_and_at_commit

pytestmark = pytest.mark.slow

BAR_SECONDS = 2.0
"""From the other program's commit until everything is right, at the 95th percentile."""


@pytest.fixture
def office(session: Any, owner_connection: psycopg.Connection[Any]) -> Office:
    """See `open_office`."""
    return open_office(session, owner_connection)


# The changed sources


def _fact(model: Any, row: str, column: str, value: Any) -> Change:
    """A fact; `value` may be the name of a row of the office."""

    def given(office: Any) -> Any:
        return getattr(office, value) if isinstance(value, str) and value != "void" else value

    def meaning(office: Any) -> None:
        key = getattr(office, row)
        office.ledger.put(model.__tablename__, key, **{column: given(office)})

    return Change(model, lambda office: getattr(office, row), column, given, meaning)


def _figure(model: Any, row: str, column: str) -> Change:
    """A value written into a figure, which has no effect."""
    return Change(
        model, lambda office: getattr(office, row), column, lambda _: Decimal("1.23"), lambda _: None
    )  # fmt: skip


CHANGES = {
    "units": _fact(Invoice, "metered", "units", Decimal("7.125")),
    "a rate that ends in a tie": _fact(Invoice, "metered", "rate", Decimal("0.0002")),
    "a fixed charge": _fact(Invoice, "metered", "fixed_charge", Decimal("0.01")),
    "an entered amount": _fact(Invoice, "entered", "amount", Decimal("49.99")),
    "the meter of an invoice": _fact(Invoice, "metered", "meter_id", "overpaid"),
    "a void invoice": _fact(Invoice, "metered", "status", "void"),
    "the amount of a payment": _fact(Payment, "part_payment", "amount", Decimal("499.99")),
    "the meter of a payment": _fact(Payment, "part_payment", "meter_id", "overpaid"),
    "an unmatched payment that is matched": _fact(Payment, "unmatched", "meter_id", "owing"),
    "the invoice of a payment": _fact(Payment, "part_payment", "invoice_id", "entered"),
    "a void payment": _fact(Payment, "overpayment", "status", "void"),
    "an adjustment": _fact(MeterAdjustment, "adjustment", "amount", Decimal("-2000.00")),
    "the meter of an adjustment": _fact(MeterAdjustment, "adjustment", "meter_id", "inactive"),
    "a void adjustment": _fact(MeterAdjustment, "adjustment", "status", "void"),
    "the customer of an assignment": _fact(MeterAssignment, "assignment", "customer_id", "bob"),
    "an assignment that ends": _fact(MeterAssignment, "assignment", "is_active", False),
    "an assignment that begins": _fact(MeterAssignment, "inactive_assignment", "is_active", True),
    "the stored amount of an invoice": _figure(Invoice, "metered", "amount"),
    "what is stored as paid on it": _figure(Invoice, "metered", "paid"),
    "what is stored as invoiced": _figure(Meter, "owing", "invoiced"),
    "what is stored as paid": _figure(Meter, "overpaid", "paid"),
    "the stored balance of a meter": _figure(Meter, "owing", "balance"),
    "the stored overpayment of a meter": _figure(Meter, "overpaid", "overpayment"),
    "the stored balance of a customer": _figure(Customer, "ada", "balance"),
    "the stored overpayment of a customer": _figure(Customer, "bob", "overpayment"),
}


# Through the session


@pytest.mark.parametrize("way", WAYS_TO_CHANGE, ids=lambda way: way.__name__)
def test_a_change_of_every_source_and_figure_through_the_session_is_right(
    way: Callable[..., None], session: Any, office: Office, subtests: pytest.Subtests
) -> None:
    for name, change in CHANGES.items():
        if way is upsert_statement and change.model is Customer:
            continue  # it has columns that cannot be inserted
        with subtests.test(name):
            values = {change.column: change.value(office)}
            change.meaning(office)
            row = change.row(office)
            right_in_the_transaction_and_at_commit(
                session, office, partial(way, session, change.model, row, values), read
            )


PAID = date(2026, 3, 20)


def _copied(session: Any, values: dict[str, Any]) -> None:
    cursor = session.connection().connection.driver_connection.cursor()
    with cursor.copy(f"COPY payments ({', '.join(values)}) FROM STDIN") as copy:
        copy.write_row(tuple(values.values()))


def _inserted_by_text(session: Any, values: dict[str, Any]) -> None:
    names, given = ", ".join(values), ", ".join(f":{name}" for name in values)
    session.execute(text(f"INSERT INTO payments ({names}) VALUES ({given})"), values)


def _merged(session: Any, values: dict[str, Any]) -> None:
    names, given = ", ".join(values), ", ".join(f":{name}" for name in values)
    session.execute(
        text(
            "MERGE INTO payments AS t USING (SELECT 1) AS s ON t.id = -1 "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({given})"
        ),
        values,
    )


def _executed_many(session: Any, values: dict[str, Any]) -> None:
    names, given = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    driver = session.connection().connection.driver_connection
    driver.cursor().executemany(f"INSERT INTO payments ({names}) VALUES ({given})", [values])


ADDING: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "unit of work": lambda session, values: session.add(Payment(**values)),
    "bulk insert": lambda session, values: session.execute(insert(Payment), [values]),
    "bulk_save_objects": lambda session, values: session.bulk_save_objects([Payment(**values)]),
    "bulk_insert_mappings": lambda s, values: s.bulk_insert_mappings(Payment, [values]),
    "Core": lambda session, values: session.execute(table_of(Payment).insert().values(**values)),
    "the session's connection": lambda session, values: session.connection().execute(
        table_of(Payment).insert(), [values]
    ),
    "text()": _inserted_by_text,
    "executemany": _executed_many,
    "COPY": _copied,
    "MERGE": _merged,
}


@pytest.mark.parametrize("way", ADDING.values(), ids=ADDING.keys())
def test_a_payment_added_through_the_session_is_right(
    way: Callable[[Any, dict[str, Any]], Any], session: Any, office: Office
) -> None:
    facts = {"meter_id": office.owing, "invoice_id": office.metered, "amount": Decimal("1200.05")}
    values = {"reference": "NEW-1", "customer_id": office.ada, "paid_on": PAID, **facts}
    office.ledger.put("payments", -1, status="posted", **facts)
    right_in_the_transaction_and_at_commit(session, office, lambda: way(session, values), read)


REMOVING: dict[str, Callable[[Any, int], Any]] = {
    "unit of work": lambda session, key: session.delete(session.get_one(Payment, key)),
    "bulk delete": lambda session, key: session.execute(delete(Payment).where(Payment.id == key)),
    "query": lambda session, key: session.query(Payment).filter_by(id=key).delete(),
    "Core": lambda session, key: session.execute(
        table_of(Payment).delete().where(table_of(Payment).c.id == key)
    ),
    "text()": lambda session, key: session.execute(
        text("DELETE FROM payments WHERE id = :id"), {"id": key}
    ),
}


@pytest.mark.parametrize("row", ["part_payment", "overpayment"])
@pytest.mark.parametrize("way", REMOVING.values(), ids=REMOVING.keys())
def test_a_payment_removed_through_the_session_is_right(
    way: Callable[[Any, int], Any], row: str, session: Any, office: Office
) -> None:
    key = getattr(office, row)
    del office.ledger.rows["payments"][key]
    right_in_the_transaction_and_at_commit(session, office, lambda: way(session, key), read)


def test_two_meters_that_change_places_are_right_on_both_sides(
    session: Any, office: Office
) -> None:
    office.ledger.put("invoices", office.metered, meter_id=office.overpaid)
    office.ledger.put("invoices", office.entered, meter_id=office.owing)
    office.ledger.put("payments", office.part_payment, meter_id=office.overpaid)

    def write() -> None:
        session.get_one(Invoice, office.metered).meter_id = office.overpaid
        session.get_one(Invoice, office.entered).meter_id = office.owing
        session.get_one(Payment, office.part_payment).meter_id = office.overpaid

    right_in_the_transaction_and_at_commit(session, office, write, read)


def test_a_new_meter_with_its_owner_and_documents_is_right_in_one_transaction(
    session: Any, office: Office
) -> None:
    def write() -> None:
        bob = session.get_one(Customer, office.bob)
        meter = Meter(number="M-NEW")
        session.add(MeterAssignment(meter=meter, customer=bob))
        by_hand = {"issued_on": PAID, "due_on": PAID, "amount": Decimal("80.00")}
        session.add(Invoice(number="NEW-1", customer=bob, meter=meter, **by_hand))
        session.flush()
        paid = {"customer": bob, "meter": meter, "paid_on": PAID}
        session.add(Payment(reference="NEW-1", amount=Decimal("100.00"), **paid))

    write()
    session.commit()
    assert stored(office.outside) == Ledger.read(office.outside).totals()
    assert session.scalar(select(Customer.overpayment).where(Customer.id == office.bob)) == 20


def test_the_apps_role_may_not_truncate(session: Any, office: Office) -> None:
    for table in ("payments", "meter_assignments"):
        with pytest.raises(DBAPIError, match="permission denied"):
            session.execute(text(f"TRUNCATE {table}"))
        session.rollback()


# From outside


@pytest.mark.parametrize("form", ["UPDATE", "MERGE"])
def test_a_change_of_every_source_and_figure_from_outside_is_noted_and_then_right(
    form: str, session: Any, office: Office, database_url: str, subtests: pytest.Subtests
) -> None:
    for name, change in CHANGES.items():
        with subtests.test(name):
            change.meaning(office)
            by_psycopg(database_url, _statement(form, change, office))
            noted_then_right(session, office, db_user="backoffice_app")


@pytest.mark.parametrize("program", [by_psql, by_a_plain_engine])
def test_what_another_program_changes_of_every_source_and_figure_is_noted_and_then_right(
    program: Callable[[str, str], None], session: Any, office: Office, database_url: str
) -> None:
    """The same statements, sent by programs that connect in other ways."""
    statements = []
    for change in CHANGES.values():
        change.meaning(office)
        statements.append(_statement("UPDATE", change, office))
    program(database_url, ";".join(statements))
    noted_then_right(session, office, db_user="backoffice_app")


@pytest.mark.parametrize("table", ["payments", "meter_adjustments", "meter_assignments"])
def test_truncate_from_outside_is_noted_and_then_right(
    session: Any, office: Office, table: str
) -> None:
    session.rollback()  # a TRUNCATE waits for transactions that have merely read
    office.outside.execute(f"TRUNCATE {table}".encode())
    office.ledger.rows[table].clear()
    noted_then_right(session, office, db_user="backoffice_owner")


def test_with_a_worker_every_change_from_outside_is_right_within_two_seconds(
    session: Any, office: Office, database_url: str, tmp_path: Path
) -> None:
    took: dict[str, float] = {}
    log = tmp_path / "worker.log"

    def is_right() -> bool:
        if office.outside.execute("SELECT 1 FROM figure_notes LIMIT 1").fetchone():
            return False
        return stored(office.outside) == Ledger.read(office.outside).totals()

    with worker(log):
        office.outside.execute("UPDATE payments SET amount = amount + 1")
        until(is_right, 30, "the worker has started", log)
        for (name, change), form in product(CHANGES.items(), ("UPDATE", "MERGE")):
            by_psycopg(database_url, _statement(form, change, office))
            began = time.monotonic()
            until(is_right, 20, "everything is right", log)
            took[f"{form}: {name}"] = time.monotonic() - began
    ordered = sorted(took.values())
    assert ordered[int(len(ordered) * 0.95)] <= BAR_SECONDS, took
    assert list(figures.verify(session)) == []
    causes = office.outside.execute("SELECT DISTINCT cause FROM corrections").fetchall()
    assert causes == [("bypass",)]
