"""Statements: documents by day with the running balance, and that they add up to the stored balance."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from backoffice.billing.statements import queries as statements
from backoffice.billing.statements.queries import Period
from backoffice.customers.models import Customer
from tests.depth import examples
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

from .accounts import documents, meter, wanjiru

EVERYTHING = Period()


@pytest.fixture
def customer(session: Any) -> Customer:
    """Wanjiru with two meters, M-1 and M-2, and one that was hers once."""
    return wanjiru(session)


def reported(
    session: Any, customer: Customer, period: Period = EVERYTHING, **how: Any
) -> list[Any]:
    lines = statements.lines_of(
        session, statements.meters_of_customer(session, customer), period, **{"limit": 100} | how
    )
    return [(line.number, line.amount, line.balance) for line in lines]


def test_a_statement_lists_the_documents_by_day_with_what_was_owed_after_each(
    session: Any, customer: Customer
) -> None:
    documents(session, customer)
    assert reported(session, customer) == [
        ("INV-1", 1500, 1500),
        ("ADJ-1", 100, 1600),
        ("PAY-1", -900, 700),
        ("ADJ-2", -40, 660),
    ]


def test_a_receipt_is_one_document_that_says_what_it_pays(session: Any, customer: Customer) -> None:
    documents(session, customer)
    lines = statements.lines_of(
        session, statements.meters_of_customer(session, customer), EVERYTHING, limit=9
    )
    receipt = next(line for line in lines if line.kind == "payment")
    assert (receipt.number, receipt.meter, receipt.note) == ("PAY-1", "M-1, M-2", "INV-1")


def test_the_opening_of_a_period_is_the_closing_of_the_days_before(
    session: Any, customer: Customer
) -> None:
    documents(session, customer)
    meters = statements.meters_of_customer(session, customer)
    february = Period(date(2026, 2, 1), date(2026, 2, 28))
    summary = statements.summary_of(session, meters, february)
    assert (summary.opening, summary.invoiced, summary.adjusted, summary.paid) == (
        1500,
        0,
        100,
        900,
    )
    assert (summary.closing, summary.total, summary.count) == (700, 660, 2)
    assert reported(session, customer, february) == [("ADJ-1", 100, 1600), ("PAY-1", -900, 700)]
    before = statements.summary_of(session, meters, Period(until=date(2026, 1, 31)))
    after = statements.summary_of(session, meters, Period(since=date(2026, 3, 1)))
    assert (before.closing, after.opening, after.closing) == (1500, 700, 660)


def test_a_page_goes_on_where_the_one_before_it_ended(session: Any, customer: Customer) -> None:
    documents(session, customer)
    everything = reported(session, customer)
    assert reported(session, customer, limit=2) == everything[:2]
    assert reported(session, customer, limit=2, offset=2) == everything[2:]


def test_the_statement_of_one_meter_holds_that_meter_alone(
    session: Any, customer: Customer
) -> None:
    documents(session, customer)
    for number, owed in (("M-1", 900), ("M-2", -240), ("M-3", 1500)):
        of = [meter(session, number).id]
        assert statements.summary_of(session, of, EVERYTHING).closing == owed


def test_no_document_is_joined_to_whole_tables_whatever_the_planner_knows_of_them(
    session: Any, customer: Customer
) -> None:
    """With statistics that were old by a minute, payments were compared with every invoice: 36,000,000 pairs."""
    documents(session, customer)
    meters = statements.meters_of_customer(session, customer)
    rows = select(statements.running_balances(meters, EVERYTHING)).order_by("position")
    connection = session.connection()
    asked = rows.compile(connection, compile_kwargs={"literal_binds": True})
    plan = connection.execute(text(f"EXPLAIN {asked}")).scalars().all()
    assert any("SubPlan" in line for line in plan)
    assert [line for line in plan if "Join" in line or "Nested Loop" in line] == []


AMOUNTS = st.decimals(Decimal("0.01"), Decimal(5000), places=2)
DOCUMENTS = st.lists(
    st.tuples(
        st.sampled_from(["invoice", "payment", "fee", "goodwill", "void"]),
        st.integers(0, 3),
        st.integers(0, 40),
        AMOUNTS,
    ),
    max_size=12,
)


@given(DOCUMENTS, st.integers(0, 40))
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_happened_everything_closes_with_what_is_stored(
    session: Any, made: list[tuple[str, int, int, Decimal]], cut: int
) -> None:
    customer = CustomerFactory()
    meters = [
        MeterAssignmentFactory(customer=customer, is_active=number < 2).meter for number in range(3)
    ]
    for kind, number, day, amount in made:
        on = date(2026, 1, 1) + timedelta(days=day)
        given = {"customer": customer, "meter": meters[number % 3]}
        entered = {"units": None, "rate": None, "fixed_charge": 0, "amount": amount}
        if kind in ("invoice", "void"):
            status = {"status": "void"} if kind == "void" else {}
            InvoiceFactory(issued_on=on, due_on=on, **entered, **given, **status)
        elif kind == "payment":
            PaymentFactory(paid_on=on, amount=amount, **given)
        else:
            signed = amount if kind == "fee" else -amount
            MeterAdjustmentFactory(adjusted_on=on, amount=signed, **given)
    session.commit()
    session.refresh(customer)
    of = statements.meters_of_customer(session, customer)
    whole = statements.summary_of(session, of, EVERYTHING)
    assert whole.closing == whole.total == customer.balance - customer.overpayment
    day = date(2026, 1, 1) + timedelta(days=cut)
    before = statements.summary_of(session, of, Period(until=day - timedelta(days=1)))
    after = statements.summary_of(session, of, Period(since=day))
    assert (before.closing, after.closing) == (after.opening, whole.closing)
    lines = statements.lines_of(session, of, EVERYTHING, limit=100)
    assert (lines[-1].balance if lines else 0) == whole.closing
