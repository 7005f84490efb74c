"""Where a payment without a meter belongs: every sure case, and every case in which nothing is sure."""

from datetime import date
from decimal import Decimal

import pytest

from backoffice.billing.models import Payment
from backoffice.billing.payments import actions
from backoffice.billing.payments.matching import sure_matches, unsure_matches
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

DAY = date(2026, 3, 15)
BEFORE, AFTER = date(2026, 3, 14), date(2026, 3, 16)


@pytest.fixture
def customer(session):
    """A customer without meters."""
    return CustomerFactory()


def paid(customer, **facts):
    return PaymentFactory(customer=customer, paid_on=DAY, **facts)


def assigned(customer, **facts):
    return MeterAssignmentFactory(customer=customer, **facts).meter


def judged(session, payment):
    """("sure", meter, why) or ("unsure", why); a payment that is matched or void is neither."""
    session.flush()
    sure = session.execute(sure_matches().where(Payment.id == payment.id)).all()
    unsure = session.execute(unsure_matches().where(Payment.id == payment.id)).all()
    assert len(sure) + len(unsure) <= 1
    if sure:
        return "sure", sure[0].meter_id, sure[0].why
    return ("unsure", unsure[0].why) if unsure else None


# By invoice


def test_a_payment_belongs_on_the_meter_of_the_invoice_that_it_names(session, customer):
    meter, other = assigned(customer), assigned(customer)
    invoice = InvoiceFactory(customer=customer, meter=meter)
    assert judged(session, paid(customer, invoice=invoice)) == ("sure", meter.id, "invoice")
    assert other.id != meter.id


def test_the_invoice_says_it_even_of_a_meter_that_is_another_users(session, customer):
    meter = assigned(CustomerFactory())
    invoice = InvoiceFactory(customer=CustomerFactory(), meter=meter)
    assigned(customer)
    assert judged(session, paid(customer, invoice=invoice)) == ("sure", meter.id, "invoice")


def test_an_invoice_without_a_meter_gets_its_own_first(session, customer):
    assigned(customer)
    invoice = InvoiceFactory(customer=customer, meter=None)
    assert judged(session, paid(customer, invoice=invoice)) == ("unsure", "invoice without meter")


def test_a_void_invoice_is_no_evidence(session, customer):
    wrong, right = MeterFactory(), assigned(customer)
    invoice = InvoiceFactory(customer=customer, meter=wrong, status="void", void_reason="x")
    assert judged(session, paid(customer, invoice=invoice)) == ("sure", right.id, "assignment")
    without = InvoiceFactory(customer=customer, meter=None, status="void", void_reason="x")
    assert judged(session, paid(customer, invoice=without)) == ("sure", right.id, "assignment")


def test_a_void_invoice_of_a_customer_with_two_meters_leaves_it_open(session, customer):
    meter, _other = assigned(customer), assigned(customer)
    invoice = InvoiceFactory(customer=customer, meter=meter, status="void", void_reason="x")
    assert judged(session, paid(customer, invoice=invoice)) == ("unsure", "several assignments")


# By assignment


UNBOUNDED = [{}, {"assigned_from": DAY}, {"assigned_from": BEFORE}]
ENDED = [
    {"assigned_to": DAY},
    {"assigned_from": DAY, "assigned_to": DAY},
    {"assigned_from": BEFORE, "assigned_to": AFTER},
]


@pytest.mark.parametrize("days", [*UNBOUNDED, *ENDED])
def test_the_only_meter_assigned_on_the_day_is_sure(session, customer, days):
    meter = assigned(customer, **days)
    assert judged(session, paid(customer)) == ("sure", meter.id, "assignment")


@pytest.mark.parametrize("days", ENDED)
def test_what_is_no_longer_active_but_has_an_end_was_active_until_then(session, customer, days):
    meter = assigned(customer, is_active=False, **days)
    assert judged(session, paid(customer)) == ("sure", meter.id, "assignment")


@pytest.mark.parametrize(
    "days",
    [
        {"assigned_from": AFTER},
        {"assigned_to": BEFORE},
        {"assigned_from": date(2020, 1, 1), "assigned_to": BEFORE},
    ],
)
@pytest.mark.parametrize("is_active", [True, False])
def test_an_assignment_of_other_days_says_nothing(session, customer, days, is_active):
    assigned(customer, is_active=is_active, **days)
    assert judged(session, paid(customer)) == ("unsure", "no assignment")


def test_a_customer_without_meters_leaves_it_open(session, customer):
    assigned(CustomerFactory())
    assert judged(session, paid(customer)) == ("unsure", "no assignment")


def test_two_meters_on_the_day_leave_it_open(session, customer):
    assigned(customer)
    assigned(customer)
    assert judged(session, paid(customer)) == ("unsure", "several assignments")


def test_the_day_chooses_between_meters_that_followed_each_other(session, customer):
    old = assigned(customer, assigned_to=BEFORE, is_active=False)
    new = assigned(customer, assigned_from=DAY)
    assert judged(session, paid(customer)) == ("sure", new.id, "assignment")
    earlier = PaymentFactory(customer=customer, paid_on=BEFORE)
    assert judged(session, earlier) == ("sure", old.id, "assignment")


def test_the_day_on_which_one_meter_ends_and_the_next_begins_is_open(session, customer):
    assigned(customer, assigned_to=DAY, is_active=False)
    assigned(customer, assigned_from=DAY)
    assert judged(session, paid(customer)) == ("unsure", "several assignments")


def test_what_was_deactivated_without_an_end_makes_nothing_sure(session, customer):
    assigned(customer, is_active=False)
    assert judged(session, paid(customer)) == ("unsure", "no assignment")


def test_what_was_deactivated_without_an_end_may_have_been_meant(session, customer):
    assigned(customer)
    assigned(customer, is_active=False, assigned_from=date(2020, 1, 1))
    assert judged(session, paid(customer)) == ("unsure", "several assignments")


def test_what_was_deactivated_without_an_end_but_began_later_was_not_meant(session, customer):
    meter = assigned(customer)
    assigned(customer, is_active=False, assigned_from=AFTER)
    assert judged(session, paid(customer)) == ("sure", meter.id, "assignment")


def test_one_meter_that_was_assigned_twice_is_one_meter(session, customer):
    meter = assigned(customer, is_active=False)
    MeterAssignmentFactory(meter=meter, customer=customer, assigned_from=BEFORE)
    assert judged(session, paid(customer)) == ("sure", meter.id, "assignment")


def test_that_another_user_has_the_meter_on_the_day_too_does_not_matter(session, customer):
    meter = assigned(customer, assigned_to=AFTER, is_active=False)
    MeterAssignmentFactory(meter=meter, customer=CustomerFactory())
    assert judged(session, paid(customer)) == ("sure", meter.id, "assignment")


def test_payments_that_are_matched_or_void_are_not_judged(session, customer):
    meter = assigned(customer)
    assert judged(session, paid(customer, meter=meter)) is None
    assert judged(session, paid(customer, status="void", void_reason="x")) is None


# The bulk verb


def test_what_is_sure_is_matched_and_the_rest_is_left(session, customer):
    meter = assigned(customer)
    sure = [paid(customer) for _ in range(3)]
    open_, matched = paid(CustomerFactory()), paid(customer, meter=assigned(CustomerFactory()))
    void = paid(customer, status="void", void_reason="x")
    session.commit()
    everything = [p.id for p in (*sure, open_, matched, void)]
    assert actions.match_sure(session, everything) == sorted(p.id for p in sure)
    session.commit()
    assert {p.meter_id for p in sure} == {meter.id}
    assert (open_.meter_id, void.meter_id) == (None, None)
    assert matched.meter_id != meter.id
    assert {p.version for p in sure} == {2}
    assert open_.version == matched.version == 1
    session.refresh(meter)
    assert (meter.paid, meter.overpayment) == (Decimal(1500), Decimal(1500))
    assert actions.match_sure(session, everything) == []


def test_matching_by_invoice_keeps_the_invoice_even_if_it_is_overpaid(session, customer):
    meter = assigned(customer)
    invoice = InvoiceFactory(customer=customer, meter=meter)
    payments = [paid(customer, invoice=invoice, amount=Decimal(1000)) for _ in range(2)]
    session.commit()
    assert len(actions.match_sure(session, [p.id for p in payments])) == 2
    session.commit()
    assert {(p.invoice_id, p.meter_id) for p in payments} == {(invoice.id, meter.id)}
    session.refresh(meter)
    assert (meter.balance, meter.overpayment) == (0, Decimal(500))
