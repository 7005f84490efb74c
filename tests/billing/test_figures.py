"""What is owed is right whatever happens to documents and assignments, and explains itself."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from backoffice import figures
from backoffice.base import table_of
from backoffice.billing.figures import (
    customer_balance,
    invoice_amount,
    invoice_paid,
    meter_balance,
    meter_totals,
)
from backoffice.billing.models import Meter
from backoffice.drift.facts.holding import Doubts
from backoffice.figures.showing.terms import Term
from tests.depth import examples
from tests.surgery import tell_of_everything

from .ledgers import FIGURES, Ledger, stored
from .machine import OWNERS, Billing
from .offices import Office, open_office

EXAMPLES = examples(20)
STEPS = 40


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * EXAMPLES)
def test_random_writes_leave_every_balance_right(
    app: Flask, owner_connection: psycopg.Connection[Any], sweep: Callable[[], None]
) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Billing(app, owner_connection, sweep),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# A customer with two active meters and an inactive one, overpaid on one


@pytest.fixture
def office(session: Any, owner_connection: psycopg.Connection[Any]) -> Office:
    """See `open_office`."""
    return open_office(session, owner_connection)


def test_a_balance_and_an_overpayment_stand_side_by_side(session: Any, office: Office) -> None:
    owed = stored(office.outside)["customers", office.ada]
    assert owed == {"balance": Decimal("1100.00"), "overpayment": Decimal("250.00")}
    assert session.get_one(Meter, office.inactive).balance == 70


# What was tampered with while the triggers were disabled is found by its root, and healed

TAMPERED = {
    "an invoice's amount": ("invoices", "amount", "metered", "invoices.amount"),
    "what was paid on an invoice": ("invoices", "paid", "metered", "invoices.paid"),
    "what a meter was invoiced": ("meters", "invoiced", "owing", "meters.documents"),
    "what a meter was adjusted": ("meters", "adjusted", "owing", "meters.documents"),
    "what was paid on a meter": ("meters", "paid", "overpaid", "meters.documents"),
    "a meter's balance": ("meters", "balance", "owing", "meters.balance"),
    "a meter's overpayment": ("meters", "overpayment", "overpaid", "meters.balance"),
    "a customer's balance": ("customers", "balance", "ada", "customers.balance"),
    "a customer's overpayment": ("customers", "overpayment", "ada", "customers.balance"),
}


@pytest.mark.parametrize("amount", ["123.45", "-0.01", "9999999999999.99"])
@pytest.mark.parametrize(
    ("table", "column", "owner", "figure"), TAMPERED.values(), ids=TAMPERED.keys()
)
def test_a_figure_that_is_tampered_with_is_found_by_its_root_and_healed(
    session: Any,
    office: Office,
    surgery: psycopg.Connection[Any],
    table: str,
    column: str,
    owner: str,
    figure: str,
    amount: str,
) -> None:
    before, key = stored(office.outside), getattr(office, owner)
    surgery.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s".encode(), (amount, key))
    findings = list(figures.verify(session))
    session.rollback()
    assert [(f.figure.name, f.key["id"]) for f in findings] == [(figure, key)]
    [found] = findings
    assert [(root.figure, dict(root.key)["id"]) for root in found.roots] == [(figure, key)]
    assert found.stored[column] == Decimal(amount)
    assert found.expected[column] == before[table, key][column]
    healed = figures.heal(session)
    assert (healed.corrections, healed.failures) == (1, [])
    assert stored(office.outside) == before


def test_a_payment_that_slipped_in_unseen_is_the_root_of_all_that_is_wrong(
    session: Any, office: Office, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute(
        "UPDATE payments SET amount = amount + 100 WHERE id = %s", [office.part_payment]
    )
    findings = {f.figure.name: f for f in figures.verify(session)}
    session.rollback()
    assert set(findings) == {
        "invoices.paid",
        "meters.documents",
        "meters.balance",
        "customers.balance",
    }
    for name in ("meters.balance", "customers.balance"):
        assert {root.figure for root in findings[name].roots} == {"meters.documents"}
    assert findings["customers.balance"].expected == {"balance": Decimal("1000.00")}
    before = stored(office.outside)
    assert figures.heal(session, doubtful=Doubts()).corrections == 0
    assert stored(office.outside) == before, "nothing follows a fact that was not accepted"
    tell_of_everything(surgery)
    assert figures.heal(session).failures == []
    assert stored(office.outside) == Ledger.read(office.outside).totals()


def test_a_meter_that_lost_its_owner_unseen_is_found(
    session: Any, office: Office, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("DELETE FROM meter_assignments WHERE meter_id = %s", [office.owing])
    tell_of_everything(surgery)
    [found] = list(figures.verify(session))
    session.rollback()
    assert (found.figure.name, found.key["id"]) == ("customers.balance", office.ada)
    assert found.expected == {"balance": Decimal("0.00")}
    assert figures.heal(session).failures == []


# How was this calculated?


def terms(session: Any, figure: figures.Figure, key: int) -> dict[str, tuple[Term, ...]]:
    """The terms of each column of a figure row, which is right and adds up as it says."""
    explained = figures.explain(session, figure, key)
    assert explained is not None
    assert explained.is_right
    return {column.column: column.terms for column in explained.columns}


def test_an_invoices_amount_is_explained_by_its_formula(session: Any, office: Office) -> None:
    [amount] = figures.explain(session, invoice_amount, office.metered).columns
    assert (amount.stored, amount.expected, amount.entered) == (1500, 1500, False)
    assert amount.formula
    [entered] = figures.explain(session, invoice_amount, office.entered).columns
    assert (entered.stored, entered.expected) == (50, 50)


def test_what_was_paid_on_an_invoice_is_explained_by_its_payments(
    session: Any, office: Office
) -> None:
    [paid] = terms(session, invoice_paid, office.metered)["paid"]
    assert paid.value == 500
    assert [(row.table, row.id, row.amount) for row in paid.rows] == [
        ("payments", office.part_payment, Decimal("500.00"))
    ]


def test_a_meters_documents_are_explained_down_to_each_of_them(
    session: Any, office: Office
) -> None:
    found = terms(session, meter_totals, office.owing)
    for column, table, amounts in (
        ("invoiced", "invoices", ["1500.00"]),
        ("adjusted", "meter_adjustments", ["100.00"]),
        ("paid", "payments", ["500.00"]),
    ):
        [term] = found[column]
        assert [row.table for row in term.rows] == [table] * len(amounts)
        assert [str(row.amount) for row in term.rows] == amounts


def test_a_meters_balance_is_explained_by_its_formula(session: Any, office: Office) -> None:
    explained = figures.explain(session, meter_balance, office.overpaid)
    assert explained is not None
    values = {c.column: (c.stored, c.expected) for c in explained.columns}
    assert values == {"balance": (0, 0), "overpayment": (250, 250)}
    assert all(column.formula for column in explained.columns)


def test_a_customers_balance_is_explained_by_the_meters_that_are_actively_theirs(
    session: Any, office: Office
) -> None:
    explained = figures.explain(session, customer_balance, office.ada)
    assert explained is not None
    assert {c.column: c.stored for c in explained.columns} == {"balance": 1100, "overpayment": 250}
    named = {
        row.id for c in explained.columns for term in c.terms for row in term.rows
    }  # assignments or meters
    assert office.inactive not in named
    assert explained.is_right
    assert all(column.formula for column in explained.columns)


def test_every_figure_of_billing_is_declared_once_for_its_columns() -> None:
    declared = {
        (figure.table.name, column.name)
        for figure in figures.registry.figures
        if figure.table.name in FIGURES
        for column in figure.columns
    }
    assert declared >= {(table, name) for table, names in FIGURES.items() for name in names}
    assert {table_of(model).name for model in OWNERS.values()} == set(FIGURES)
