"""Ageing: every balance by how long it is overdue; it always adds up to the balances of the meters."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from backoffice.base import periods
from backoffice.billing.ageing.queries import (
    BUCKETS,
    ageing_by_customer,
    ageing_by_meter,
    tie_out_on,
)
from backoffice.billing.models import Invoice, Meter
from tests.depth import examples
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of

SignIn = Callable[..., FlaskClient]

NAMES = tuple(bucket.name for bucket in BUCKETS)
DAY = date(2026, 6, 30)
"""The day of the ageing in these tests, unless given."""


@pytest.fixture
def meter(session: Any) -> Meter:
    """Meter M-1 of Wanjiru."""
    made = MeterAssignmentFactory(
        meter=MeterFactory(number="M-1"), customer=CustomerFactory(code="C-1", name="Wanjiru")
    ).meter
    session.commit()
    return made


def owner(meter: Meter) -> Any:
    return meter.assignments[0].customer


def owes(meter: Meter, amount: Any, due: date, **more: Any) -> Invoice:
    given = {"issued_on": due - timedelta(days=30), "meter": meter, "customer": owner(meter)}
    entered = {"units": None, "rate": None, "fixed_charge": 0, "amount": Decimal(amount)}
    return InvoiceFactory(due_on=due, **given | entered | more)


def pays(meter: Meter, amount: Any, invoice: Invoice | None = None, /, **more: Any) -> Any:
    given = {"meter": meter, "customer": owner(meter), "paid_on": DAY}
    return PaymentFactory(amount=Decimal(amount), invoice=invoice, **given | more)


def adjusts(meter: Meter, amount: Any, on: date) -> Any:
    return MeterAdjustmentFactory(
        meter=meter, customer=owner(meter), amount=Decimal(amount), adjusted_on=on
    )


def overdue(days: int) -> date:
    """A due date that is so many days before the day of these tests."""
    return DAY - timedelta(days=days)


def aged(session: Any, day: date = DAY, by: Any = ageing_by_meter) -> dict[int, dict[str, Decimal]]:
    """The ageing, by id; empty buckets are left out."""
    session.commit()
    ages = by(day)
    rows = session.execute(select(ages)).mappings().all()
    return {row["id"]: {name: row[name] for name in (*NAMES, "total") if row[name]} for row in rows}


def only(session: Any, day: date = DAY) -> dict[str, Decimal]:
    found = aged(session, day)
    [row] = found.values()
    return row


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (-400, "current"), (-1, "current"), (0, "current"), (1, "days_30"), (30, "days_30"),
        (31, "days_60"), (60, "days_60"), (61, "days_90"), (90, "days_90"), (91, "older"),
        (4000, "older"),
    ],
)  # fmt: skip
def test_days_past_due_say_which_bucket(session: Any, meter: Meter, days: int, bucket: str) -> None:
    owes(meter, 100, overdue(days), issued_on=min(overdue(days), DAY))
    assert only(session) == {bucket: 100, "total": 100}


def test_what_names_an_invoice_comes_off_that_invoice(session: Any, meter: Meter) -> None:
    owes(meter, 100, overdue(100))
    recent = owes(meter, 100, overdue(10))
    pays(meter, 60, recent)
    assert only(session) == {"older": 100, "days_30": 40, "total": 140}


def test_what_names_no_invoice_goes_to_the_oldest(session: Any, meter: Meter) -> None:
    owes(meter, 100, overdue(100))
    owes(meter, 100, overdue(40))
    owes(meter, 100, overdue(10))
    pays(meter, 130)
    assert only(session) == {"days_60": 70, "days_30": 100, "total": 170}


def test_what_an_invoice_was_overpaid_by_goes_to_the_oldest_too(session: Any, meter: Meter) -> None:
    owes(meter, 100, overdue(100))
    recent = owes(meter, 100, overdue(10))
    pays(meter, 150, recent)
    assert only(session) == {"older": 50, "total": 50}


def test_what_is_forgiven_goes_to_the_oldest_and_a_fee_ages_from_its_day(
    session: Any, meter: Meter
) -> None:
    owes(meter, 100, overdue(100))
    adjusts(meter, 30, overdue(45))
    adjusts(meter, -80, overdue(1))
    assert only(session) == {"older": 20, "days_60": 30, "total": 50}


def test_a_meter_that_owes_nothing_is_not_there(session: Any, meter: Meter) -> None:
    owes(meter, 100, overdue(100))
    pays(meter, 150)
    assert aged(session) == {}


def test_documents_after_the_day_dont_count(session: Any, meter: Meter) -> None:
    first = owes(meter, 100, overdue(5))
    owes(meter, 500, overdue(-60), issued_on=overdue(-1))
    pays(meter, 100, first, paid_on=overdue(-1))
    adjusts(meter, 70, overdue(-1))
    assert only(session) == {"days_30": 100, "total": 100}
    assert only(session, overdue(-1)) == {"current": 570, "total": 570}


def test_what_was_paid_later_was_owed_on_the_day(session: Any, meter: Meter) -> None:
    owes(meter, 100, overdue(5))
    pays(meter, 100, paid_on=overdue(-1))
    assert only(session) == {"days_30": 100, "total": 100}
    assert aged(session, overdue(-1)) == {}


def test_what_is_void_counts_nowhere(session: Any, meter: Meter) -> None:
    owes(meter, 100, overdue(5))
    owes(meter, 900, overdue(-5), status="void")
    pays(meter, 100, status="void")
    assert only(session) == {"days_30": 100, "total": 100}


def test_a_payment_that_counts_on_no_meter_takes_nothing_off(session: Any, meter: Meter) -> None:
    old, recent = owes(meter, 100, overdue(100)), owes(meter, 100, overdue(10))
    pays(meter, 100, old, meter=None)
    pays(meter, 40, recent)
    assert only(session) == {"older": 100, "days_30": 60, "total": 160}


def test_a_customer_owes_what_its_active_meters_owe_and_the_rest_is_unassigned(
    session: Any, meter: Meter
) -> None:
    second = MeterAssignmentFactory(customer=owner(meter)).meter
    was = MeterAssignmentFactory(customer=owner(meter), is_active=False).meter
    owes(meter, 100, overdue(5))
    owes(second, 200, overdue(50))
    owes(was, 400, overdue(50))
    assert aged(session, by=ageing_by_customer) == {
        owner(meter).id: {"days_30": 100, "days_60": 200, "total": 300},
        0: {"days_60": 400, "total": 400},
    }


# Any sequence of documents: against an independent computation, and against what is stored


@dataclass
class Book:
    """What happened on one meter, as plain values."""

    invoices: dict[int, list[Any]] = field(default_factory=dict)
    named: dict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    fees: list[tuple[date, Decimal]] = field(default_factory=list)
    credits: Decimal = Decimal(0)


def worked_out(book: Book, day: date) -> dict[str, Decimal]:
    """The ageing of one meter by hand: name the open parts, then pay the oldest of them."""
    parts, rest = [], book.credits
    for key, (due, amount) in book.invoices.items():
        rest += max(book.named[key] - amount, Decimal(0))
        parts.append((due, max(amount - book.named[key], Decimal(0))))
    owed: dict[str, Decimal] = defaultdict(Decimal)
    for due, amount in sorted([*parts, *book.fees]):
        covered = min(rest, amount)
        rest -= covered
        late = (day - due).days
        bucket = next(b for b in BUCKETS if b.until is None or late <= b.until)
        owed[bucket.name] += amount - covered
        owed["total"] += amount - covered
    return {name: amount for name, amount in owed.items() if amount}


AMOUNTS = st.decimals(Decimal("0.01"), Decimal(900), places=2)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["invoice", "invoice", "named", "credit", "fee", "goodwill", "void"]),
        st.integers(0, 2),
        st.integers(-20, 150),
        AMOUNTS,
    ),
    max_size=16,
)


@given(EVENTS, st.integers(-10, 140))
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_happened_it_is_what_one_works_out_and_comes_to_the_balances(
    session: Any, events: list[tuple[str, int, int, Decimal]], ago: int
) -> None:
    meters = [MeterAssignmentFactory().meter for _ in range(3)]
    day = DAY - timedelta(days=ago)
    books = {meter.id: Book() for meter in meters}
    made: dict[int, list[Invoice]] = defaultdict(list)
    for kind, number, days, amount in events:
        meter, on = meters[number], DAY - timedelta(days=days)
        book, counts = books[meter.id], on <= day
        if kind in ("invoice", "void"):
            due = on + timedelta(days=number * 15)
            status = {"status": "void"} if kind == "void" else {}
            invoice = owes(meter, amount, due, issued_on=on, **status)
            if kind == "invoice":
                made[meter.id].append(invoice)
                if counts:
                    book.invoices[invoice.id] = [due, amount]
        elif kind == "named" and made[meter.id]:
            invoice = made[meter.id][days % len(made[meter.id])]
            pays(meter, amount, invoice, paid_on=on)
            if counts and invoice.id in book.invoices:
                book.named[invoice.id] += amount
            elif counts:
                book.credits += amount
        elif kind in ("named", "credit"):
            pays(meter, amount, paid_on=on)
            book.credits += amount if counts else 0
        elif kind == "fee":
            adjusts(meter, amount, on)
            book.fees += [(on, amount)] if counts else []
        else:
            adjusts(meter, -amount, on)
            book.credits += amount if counts else 0
    found = aged(session, day)
    expected = {key: worked_out(book, day) for key, book in books.items()}
    mine = {key: row for key, row in found.items() if key in books}
    assert mine == {key: row for key, row in expected.items() if row}
    assert_it_ties(session, day)


def assert_it_ties(session: Any, day: date) -> None:
    """The sums of both kinds are what is owed on the day; when nothing comes later, what is stored."""
    for by in (ageing_by_meter, ageing_by_customer):
        ages = by(day)
        total = session.scalar(select(func.coalesce(func.sum(ages.c.total), 0)))
        each = session.execute(select(*(func.sum(ages.c[name]) for name in NAMES))).one()
        parts = sum((amount or Decimal(0) for amount in each), Decimal(0))
        tie = tie_out_on(session, day)
        assert total == parts == tie.aged == tie.owed
        assert tie.holds
    last = date(2199, 12, 31)
    tie = tie_out_on(session, last)
    assert tie.holds
    assert tie.owed == tie.stored
    ages = ageing_by_meter(last)
    stored = dict(session.execute(select(Meter.id, Meter.balance).where(Meter.balance > 0)).all())
    assert dict(session.execute(select(ages.c.id, ages.c.total)).all()) == stored


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([None, 0, 1]), AMOUNTS), min_size=1, max_size=8
    )
)
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_it_comes_to_the_balances_even_where_payments_count_elsewhere_than_their_invoices(
    session: Any, payments: list[tuple[int, int | None, Decimal]]
) -> None:
    meters = [MeterAssignmentFactory().meter for _ in range(2)]
    invoices = [owes(meters[n % 2], 100 * (n + 1), overdue(40 * n)) for n in range(4)]
    for number, on, amount in payments:
        elsewhere = meters[on] if on is not None else None
        pays(meters[number % 2], amount, invoices[number], meter=elsewhere)
    session.commit()
    assert_it_ties(session, DAY)


# On screen


@pytest.fixture
def finance(sign_in: SignIn, session: Any, meter: Meter) -> FlaskClient:
    """A finance person; Wanjiru owes 100 since 5 days and 250 not yet, a meter without a customer 70 for long."""
    today = periods.today()
    owes(meter, 100, today - timedelta(days=5))
    owes(meter, 250, today + timedelta(days=5))
    unassigned = MeterFactory(number="M-2")
    InvoiceFactory(
        number="INV-70", meter=unassigned, customer=owner(meter), units=None, rate=None, fixed_charge=0,
        amount=70, issued_on=today - timedelta(days=300), due_on=today - timedelta(days=200),
    )  # fmt: skip
    session.commit()
    return sign_in("finance")


def page_of(client: FlaskClient, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, page.text
    return str(page.text)


def test_the_screen_shows_each_customer_and_ties_it_to_the_balances(finance: FlaskClient) -> None:
    page = page_of(finance, "/billing/ageing")
    words = text_of(page)
    assert "Wanjiru C-1 250.00 100.00 0.00 0.00 0.00 350.00" in words
    assert "Meters without a customer" in words
    assert "Rp 420.00 is owed on all meters. That is exactly the sum" in words
    assert 'href="/billing/customers/C-1/statement?period=all"' in page
    assert 'href="/billing/ageing/documents?customer=C-1&amp;overdue=days_30"' in page
    assert 'href="/billing/ageing/documents?owner=unassigned&amp;overdue=older"' in page


def test_by_meter_each_leads_to_its_statement_and_its_documents(finance: FlaskClient) -> None:
    page = page_of(finance, "/billing/ageing?by=meter")
    assert "M-1 Wanjiru 250.00 100.00" in text_of(page)
    assert "/billing/meters/M-1/statement?period=all" in page
    assert "/billing/ageing/documents?meter=M-1" in page


def test_as_of_another_day_it_shows_what_was_owed_then(finance: FlaskClient) -> None:
    long_ago = (periods.today() - timedelta(days=299)).isoformat()
    words = text_of(page_of(finance, f"/billing/ageing?as_of={long_ago}"))
    assert "Rp 70.00 is owed on all meters." in words
    assert "Wanjiru" not in words
    before = text_of(page_of(finance, "/billing/ageing?as_of=2001-01-01"))
    assert "No customer matches" in before
    assert "Rp 420.00" in text_of(page_of(finance, "/billing/ageing?as_of=gestern"))


def test_documents_that_are_dated_later_are_said_to_make_the_difference(
    finance: FlaskClient, session: Any, meter: Meter
) -> None:
    tomorrow = periods.today() + timedelta(days=1)
    owes(session.merge(meter), 30, tomorrow + timedelta(days=9), issued_on=tomorrow)
    session.commit()
    words = text_of(page_of(finance, "/billing/ageing"))
    assert (
        "Rp 420.00 is owed on all meters. With the documents that are dated later it is Rp 450.00"
        in words
    )


def test_it_can_be_searched_and_sorted(finance: FlaskClient) -> None:
    assert "Meters without a customer" not in text_of(page_of(finance, "/billing/ageing?q=wanj"))
    first = text_of(page_of(finance, "/billing/ageing?sort=total"))
    assert first.index("Meters without a customer") < first.index("Wanjiru")


@pytest.mark.parametrize("by", ["", "meter"])
def test_the_file_ends_with_its_control_totals(finance: FlaskClient, by: str) -> None:
    rows = lines_for_people(finance, f"/billing/ageing/export.csv?by={by}")
    total = next(row for row in rows if row[0] == "Total")
    assert total[-6:] == ["250.00", "100.00", "0.00", "0.00", "70.00", "420.00"]
    assert {row[-4] for row in rows[1:3]} == {"0.00"}
    footer = {row[0]: row[1] for row in rows if len(row) == 2}
    assert "As of: " in footer["Filter"]
    assert (footer["Rows"], footer["Total: Balance"]) == ("2", "420.00")
    assert finance.get(f"/billing/ageing/export.xlsx?by={by}").status_code == 200
