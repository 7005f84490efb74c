"""The actions on an invoice: entering and changing it, their effects on balances; its payment status."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from backoffice.app.extensions import db
from backoffice.base import periods
from backoffice.billing.invoices import actions
from backoffice.billing.invoices.charges import Charges, compute
from backoffice.billing.invoices.refusals import (
    ChargeWithoutUnits,
    DueBeforeIssued,
    LessThanPaid,
    NegativeCharge,
    NothingOwed,
    PaymentsGoAlong,
    RateMissing,
    TooLarge,
    UnitsMissing,
)
from backoffice.billing.meters.refusals import TooMuchOwed
from backoffice.billing.models import Invoice, Meter
from backoffice.billing.wording import INVOICE_WORDS, is_called, word_column, word_of
from backoffice.records.actions import Impossible, RecordChanged, RecordGone, Taken
from tests.factories.billing import MeterAssignmentFactory, MeterFactory

from .invoices import (
    balances,
    change,
    enter,
    entry,
    invoice_on,
    owner,
    paid,
    problems,
    wanjirus_meter,
)


@pytest.fixture
def meter(session: Any) -> Meter:
    """Meter M-1 of Wanjiru."""
    return wanjirus_meter(session)


# Entering


def test_an_invoice_comes_to_units_times_rate_and_its_fixed_charge(
    session: Any, meter: Meter
) -> None:
    invoice = enter(session, entry(meter))
    session.commit()
    assert invoice.amount == Decimal("1500.00")
    assert balances(session, meter, owner(meter)) == [(1500, 0), (1500, 0)]


@pytest.mark.usefixtures("without_cents")
def test_the_usage_is_rounded_to_the_currencys_smallest_unit(session: Any) -> None:
    assert compute(session, Charges(Decimal("2.5"), Decimal("1.5"), Decimal(1))) == 5


def test_without_units_it_comes_to_what_was_entered(session: Any, meter: Meter) -> None:
    invoice = enter(session, entry(meter, charges=Charges(amount=Decimal("99.95"))))
    session.commit()
    assert (invoice.units, invoice.amount) == (None, Decimal("99.95"))


def test_with_units_an_entered_amount_is_ignored(session: Any, meter: Meter) -> None:
    charges = Charges(Decimal(1), Decimal(10), amount=Decimal(999_999))
    invoice = enter(session, entry(meter, charges=charges))
    session.commit()
    assert invoice.amount == 10


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        (Charges(), {"amount": NothingOwed}),
        (Charges(amount=Decimal(-5)), {"amount": NothingOwed}),
        (Charges(Decimal(0), Decimal(10)), {"units": NothingOwed}),
        (Charges(Decimal(-1), Decimal(10), Decimal(20)), {"units": NegativeCharge}),
        (Charges(Decimal(1), Decimal(10), Decimal(-2)), {"fixed_charge": NegativeCharge}),
        (Charges(Decimal(1), None, Decimal(20)), {"rate": RateMissing}),
        (Charges(None, Decimal(10), amount=Decimal(5)), {"units": UnitsMissing}),
        (Charges(fixed_charge=Decimal(5), amount=Decimal(5)), {"fixed_charge": ChargeWithoutUnits}),
        (Charges(Decimal(999_999_999), Decimal(999_999_999)), {"units": TooLarge}),
    ],
)
def test_what_cannot_be_owed_is_refused_at_its_field(
    session: Any, meter: Meter, charges: Charges, expected: dict[str, type]
) -> None:
    assert problems(session, entry(meter, charges=charges)) == expected


def test_it_is_not_due_before_it_is_issued(session: Any, meter: Meter) -> None:
    made = entry(meter, due_on=date(2026, 2, 28))
    assert problems(session, made) == {"due_on": DueBeforeIssued}
    enter(session, entry(meter, due_on=date(2026, 3, 1)))
    session.commit()


def test_a_number_is_given_only_once(session: Any, meter: Meter) -> None:
    enter(session, entry(meter))
    session.commit()
    with pytest.raises(Taken, match="INV-1"):
        enter(session, entry(meter))


def test_without_a_number_it_gets_the_next_one_of_its_year(session: Any, meter: Meter) -> None:
    made = [enter(session, entry(meter, number="")) for _ in range(2)]
    made.append(enter(session, entry(meter, number="", issued_on=date(2025, 12, 31))))
    assert [i.number for i in made] == ["INV-2026-00001", "INV-2026-00002", "INV-2025-00001"]
    session.commit()


def test_people_who_enter_invoices_at_the_same_time_get_numbers_of_their_own(
    app: Any, session: Any, meter: Meter
) -> None:
    made = entry(meter, number="")

    def enter_one(_: int) -> str:
        with app.app_context():
            invoice = enter(db.session(), made)
            db.session.commit()
            return invoice.number

    with ThreadPoolExecutor(4) as people:
        numbers = list(people.map(enter_one, range(8)))
    assert sorted(numbers) == [f"INV-2026-{n:05d}" for n in range(1, 9)]


# Changing


def test_changing_the_units_changes_the_amount_and_both_balances(
    session: Any, meter: Meter
) -> None:
    invoice = invoice_on(meter)
    session.commit()
    charges = Charges(Decimal(20), Decimal(100), Decimal(250))
    change(session, invoice.id, entry(meter, charges=charges), invoice.version)
    assert balances(session, meter, owner(meter)) == [(2250, 0), (2250, 0)]
    assert invoice.version == 2


def test_an_amount_as_a_whole_takes_the_place_of_units(session: Any, meter: Meter) -> None:
    invoice = invoice_on(meter)
    session.commit()
    change(session, invoice.id, entry(meter, charges=Charges(amount=Decimal(70))), 1)
    session.commit()
    assert (invoice.units, invoice.rate, invoice.amount) == (None, None, 70)
    change(session, invoice.id, entry(meter), 2)
    session.commit()
    assert invoice.amount == 1500


def test_who_opened_it_before_another_user_saved_is_told(session: Any, meter: Meter) -> None:
    invoice = invoice_on(meter)
    session.commit()
    change(session, invoice.id, entry(meter, number="INV-2"), 1)
    session.commit()
    for late in (
        lambda: change(session, invoice.id, entry(meter), 1),
        lambda: actions.void(session, invoice.id, 1, "Twice"),
        lambda: actions.move(session, invoice.id, 1, meter.id),
    ):
        with pytest.raises(RecordChanged, match="INV-2"):
            late()
    with pytest.raises(RecordGone):
        change(session, 999, entry(meter), 1)


def test_while_payments_name_it_it_comes_to_no_less_and_stays_where_it_is(
    session: Any, meter: Meter
) -> None:
    invoice = invoice_on(meter)
    paid(invoice, 600)
    other = MeterAssignmentFactory().meter
    session.commit()
    less = entry(meter, charges=Charges(Decimal(5), Decimal(100)))
    elsewhere = entry(meter, meter=other.id, customer=owner(other).id)
    found = {}
    for changed in (less, elsewhere):
        with pytest.raises(Impossible) as refused:
            change(session, invoice.id, changed, 1)
        found |= {name: type(problem) for name, problem in refused.value.problems.items()}
    assert found == {"units": LessThanPaid, "meter": PaymentsGoAlong, "customer": PaymentsGoAlong}
    just_enough = entry(meter, charges=Charges(Decimal(6), Decimal(100)))
    change(session, invoice.id, just_enough, 1)
    session.commit()
    assert word_of(invoice).name == "paid"


def test_one_that_was_overpaid_can_still_get_another_due_date(session: Any, meter: Meter) -> None:
    invoice = invoice_on(meter)
    paid(invoice, 2000)
    session.commit()
    later = entry(meter, number=invoice.number, due_on=date(2026, 4, 30))
    change(session, invoice.id, later, 1)
    session.commit()
    assert invoice.due_on == date(2026, 4, 30)


def test_an_unpaid_invoice_changes_its_meter_and_both_balances_follow(
    session: Any, meter: Meter
) -> None:
    invoice, other = invoice_on(meter), MeterAssignmentFactory().meter
    session.commit()
    there = entry(meter, meter=other.id, customer=owner(other).id)
    change(session, invoice.id, there, 1)
    assert balances(session, meter, owner(meter), other, owner(other)) == [
        (0, 0), (0, 0), (1500, 0), (1500, 0),
    ]  # fmt: skip


def test_what_the_column_cannot_hold_is_refused_where_it_was_entered(
    session: Any, meter: Meter
) -> None:
    most = {"units": None, "rate": None, "fixed_charge": 0, "amount": Decimal("9999999999999.99")}
    large, small, other = invoice_on(meter, **most), invoice_on(meter), MeterFactory()
    small.meter = other
    session.commit()
    small_id, meter_id = small.id, meter.id
    for act in (
        lambda: enter(session, entry(meter)),
        lambda: change(session, small_id, entry(meter), 1),
    ):
        with pytest.raises(Impossible) as refused:
            act()
        session.rollback()
        assert {n: type(p) for n, p in refused.value.problems.items()} == {"units": TooMuchOwed}
    with pytest.raises(TooMuchOwed):
        actions.move(session, small_id, 1, meter_id)
    session.rollback()
    assert balances(session, meter, other) == [(large.amount, 0), (1500, 0)]


# Payment status


WORDED: list[tuple[str, Callable[[date], dict[str, Any]], int]] = [
    ("void", lambda today: {"status": "void", "void_reason": "x", "due_on": today}, 0),
    ("paid", lambda today: {"due_on": today - timedelta(days=9)}, 1500),
    ("paid", lambda today: {"due_on": today}, 1600),
    ("overdue", lambda today: {"due_on": today - timedelta(days=1)}, 0),
    ("overdue", lambda today: {"due_on": today - timedelta(days=1)}, 100),
    ("part_paid", lambda today: {"due_on": today}, 100),
    ("open", lambda today: {"due_on": today}, 0),
]


def test_python_and_sql_have_one_word_for_every_invoice(session: Any, meter: Meter) -> None:
    today = periods.today()
    expected = {}
    for word, facts, amount in WORDED:
        given = {"issued_on": today - timedelta(days=30)} | facts(today)
        invoice = invoice_on(meter, **given)
        if amount:
            paid(invoice, amount)
        expected[invoice] = word
    session.commit()
    assert {invoice: word_of(invoice).name for invoice in expected} == expected
    reported = dict(session.query(Invoice.id, word_column()).all())
    assert reported == {invoice.id: word for invoice, word in expected.items()}
    for word in INVOICE_WORDS:
        found = session.query(Invoice).filter(is_called(word.name)).all()
        assert set(found) == {i for i, name in expected.items() if name == word.name}
