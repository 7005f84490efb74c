"""Recording a receipt, voiding it, and moving its parts: the verbs and their refusals."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from backoffice.base.refusals import Refusal
from backoffice.billing.models import Meter, Payment
from backoffice.billing.payments import actions, refusals
from backoffice.billing.payments.allocation import Part
from backoffice.database.numbering import next_number
from backoffice.records.actions import RecordChanged, RecordGone
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

DAY = date(2026, 3, 15)


@pytest.fixture
def customer(session):
    """A customer."""
    return CustomerFactory(code="C-1")


@pytest.fixture
def meter(session, customer):
    """The customer's meter, with 1,500.00 invoiced twice."""
    return MeterAssignmentFactory(customer=customer).meter


@pytest.fixture
def first(session, customer, meter):
    """An invoice of 1,500.00."""
    return InvoiceFactory(customer=customer, meter=meter)


@pytest.fixture
def second(session, customer, meter, first):
    """The next month's."""
    return InvoiceFactory(
        customer=customer, meter=meter, issued_on=date(2026, 4, 1), due_on=date(2026, 4, 30)
    )


def entry(customer, *parts, **facts):
    amount = facts.pop("amount", sum(part.amount for part in parts))
    return actions.ReceiptEntry(
        **{
            "customer_id": customer.id,
            "paid_on": DAY,
            "amount": Decimal(amount),
            "method": "transfer",
            "parts": parts,
        }
        | facts
    )


def on(invoice, amount):
    return Part(Decimal(amount), invoice_id=invoice.id)


def rest(meter, amount):
    return Part(Decimal(amount), meter_id=meter and meter.id)


def refused(session, refusal, verb, *arguments):
    """The verb raises that refusal; returns its sentence, and rolls back."""
    session.commit()
    with pytest.raises(refusal) as caught:
        verb(session, *arguments)
    session.rollback()
    assert type(caught.value) is refusal
    return str(caught.value)


def stands(payments):
    return [(p.part, p.invoice_id, p.meter_id, p.amount) for p in payments]


# Recording


def test_a_receipt_is_one_row_per_invoice_and_one_for_the_rest(
    session, customer, meter, first, second
):
    made = actions.record(
        session, entry(customer, on(first, 1500), on(second, 200), rest(meter, 50))
    )
    session.commit()
    assert stands(made) == [
        (1, first.id, meter.id, 1500),
        (2, second.id, meter.id, 200),
        (3, None, meter.id, 50),
    ]
    assert {p.reference for p in made} == {"PAY-2026-00001"}
    assert {(p.customer_id, p.method, p.paid_on) for p in made} == {(customer.id, "transfer", DAY)}
    session.refresh(meter)
    assert (first.paid, second.paid, meter.paid, meter.balance) == (1500, 200, 1750, 1250)
    session.refresh(customer)
    assert (customer.balance, customer.overpayment) == (1250, 0)


def test_a_receipt_that_cannot_be_placed_is_unmatched_and_counts_nowhere(session, customer, meter):
    [made] = actions.record(session, entry(customer, rest(None, 500)))
    session.commit()
    assert (made.meter_id, made.invoice_id) == (None, None)
    assert session.get(Meter, meter.id).paid == 0


def test_references_count_by_the_year_of_payment_and_pass_over_taken_ones(session, customer):
    part = rest(None, 1)
    PaymentFactory(reference="PAY-2026-00002", customer=customer)
    PaymentFactory(reference="PAY-2026-XYZ", customer=customer)
    PaymentFactory(reference="PAY-28092636", customer=customer)
    years = [2026, 2026, 2025, 2026]
    found = [
        actions.record(session, entry(customer, part, paid_on=date(year, 5, 1)))[0].reference
        for year in years
    ]
    assert found == ["PAY-2026-00003", "PAY-2026-00004", "PAY-2025-00001", "PAY-2026-00005"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 1000, 1031])
def test_the_next_number_follows_however_many_there_are(session, customer, count):
    session.add_all(
        Payment(
            reference=f"PAY-2026-{n:05d}", customer_id=customer.id, paid_on=DAY, amount=Decimal(1)
        )
        for n in range(1, count + 1)
    )
    session.flush()
    assert next_number(session, Payment.reference, "PAY-2026-") == f"PAY-2026-{count + 1:05d}"


def test_after_99999_references_get_a_digit_more(session, customer):
    session.add_all(
        Payment(
            reference=f"PAY-2026-{n:05d}", customer_id=customer.id, paid_on=DAY, amount=Decimal(1)
        )
        for n in range(99_990, 100_003)
    )
    session.flush()
    assert next_number(session, Payment.reference, "PAY-2026-") == "PAY-2026-100003"


def test_a_given_reference_is_kept_and_given_once(session, customer):
    [made] = actions.record(session, entry(customer, rest(None, 5), reference="BANK 4711"))
    session.commit()
    assert made.reference == "BANK 4711"
    again = entry(customer, rest(None, 5), reference="BANK 4711")
    said = refused(session, refusals.ReferenceTaken, actions.record, again)
    assert "already a payment BANK 4711" in said


@pytest.mark.parametrize("amount", ["0", "-5", "-0"])
def test_a_payment_of_nothing_or_less_is_refused(session, customer, meter, amount):
    refused(session, refusals.NothingPaid, actions.record, entry(customer, rest(meter, amount)))
    parts = (rest(meter, "10"), rest(meter, amount))
    refused(session, refusals.NothingPaid, actions.record, entry(customer, *parts, amount=10))


def test_a_payment_that_no_column_holds_is_refused(session, customer, meter):
    most = "9999999999999.99"
    refused(
        session,
        refusals.PaysTooMuch,
        actions.record,
        entry(customer, rest(meter, most), rest(meter, "0.01")),
    )
    [made] = actions.record(session, entry(customer, rest(meter, most)))
    session.commit()
    assert made.amount == Decimal(most)


def test_parts_that_do_not_add_up_are_refused(session, customer, meter, first):
    wrong = entry(customer, on(first, 100), rest(meter, 5), amount=110)
    said = refused(session, refusals.PartsDontAddUp, actions.record, wrong)
    assert said == "The parts come to 105, but the payment is 110. Make them add up."


def test_more_than_is_open_is_refused_and_the_sentence_says_what_is(
    session, customer, meter, first
):
    actions.record(session, entry(customer, on(first, "1400.50")))
    session.commit()
    said = refused(
        session, refusals.OverAllocated, actions.record, entry(customer, on(first, "99.51"))
    )
    assert f"Of invoice {first.number} only 99.50 is open." in said
    twice = entry(customer, on(first, "50"), on(first, "49.51"))
    refused(session, refusals.OverAllocated, actions.record, twice)
    actions.record(session, entry(customer, on(first, "99.50")))
    session.commit()
    refused(session, refusals.InvoicePaid, actions.record, entry(customer, on(first, "0.01")))


def test_void_invoices_and_those_without_a_meter_take_no_payment(session, customer, first):
    void = InvoiceFactory(customer=customer, meter=first.meter, status="void", void_reason="x")
    without = InvoiceFactory(customer=customer, meter=None)
    session.commit()
    refused(session, refusals.InvoiceIsVoid, actions.record, entry(customer, on(void, 1)))
    refused(session, refusals.InvoiceHasNoMeter, actions.record, entry(customer, on(without, 1)))
    gone = entry(customer, Part(Decimal(1), invoice_id=987_654))
    refused(session, refusals.InvoiceUnknown, actions.record, gone)


def test_a_part_on_an_invoice_is_on_the_meter_of_that_invoice_whatever_was_sent(
    session, customer, first
):
    elsewhere = MeterFactory()
    part = replace(on(first, 10), meter_id=elsewhere.id)
    [made] = actions.record(session, entry(customer, part))
    session.commit()
    assert made.meter_id == first.meter_id


# Voiding


@pytest.fixture
def receipt(session, customer, meter, first, second):
    """1,500.00 and 200.00 on two invoices, and 50.00 on the meter."""
    made = actions.record(
        session, entry(customer, on(first, 1500), on(second, 200), rest(meter, 50))
    )
    session.commit()
    return made


def test_a_void_receipt_counts_nowhere_with_any_of_its_parts(
    session, customer, meter, first, second, receipt
):
    voided = actions.void(session, receipt[0].id, 3, " bounced ")
    session.commit()
    assert {(p.status, p.void_reason, p.version) for p in voided} == {("void", "bounced", 2)}
    session.refresh(meter)
    assert (first.paid, second.paid, meter.paid, meter.balance) == (0, 0, 0, 3000)
    said = refused(session, refusals.PaymentStaysVoid, actions.void, receipt[0].id, 6, "x")
    assert "Record the payment again" in said
    for verb in (actions.take_off, lambda *a: actions.place(*a, [rest(meter, 50)])):
        refused(session, refusals.PaymentStaysVoid, verb, receipt[2].id, 2)


def test_a_void_receipt_gives_its_reference_to_the_next_that_wants_it(session, customer, receipt):
    again = entry(customer, rest(None, 5), reference="PAY-2026-00001")
    for number, amount in ((1, 1500), (2, 5)):
        parts = actions.parts_in(session, "PAY-2026-00001")
        actions.void(session, parts[0].id, actions.version_of(parts), "bounced")
        session.commit()
        [made] = actions.record(session, again)
        session.commit()
        renamed = actions.parts_in(session, f"PAY-2026-00001 (void {number})")
        assert (renamed[0].status, renamed[0].amount) == ("void", amount)
    assert actions.parts_in(session, "PAY-2026-00001") == [made]
    refused(session, refusals.ReferenceTaken, actions.record, again)
    assert len(actions.parts_in(session, "PAY-2026-00001 (void 1)")) == 3


def test_a_number_that_is_counted_passes_over_void_ones(session, customer, receipt):
    actions.void(session, receipt[0].id, 3, "bounced")
    session.commit()
    [made] = actions.record(session, entry(customer, rest(None, 5)))
    assert made.reference == "PAY-2026-00002"


@pytest.mark.parametrize(
    ("part", "version", "reason", "refusal"),
    [
        (0, 3, "  ", refusals.VoidReasonMissing),
        (0, 2, "bounced", RecordChanged),
        (None, 3, "bounced", RecordGone),
    ],
)
def test_voiding_wants_a_reason_and_what_was_opened(
    session, receipt, part, version, reason, refusal
):
    receipt_id = 404 if part is None else receipt[part].id
    refused(session, refusal, actions.void, receipt_id, version, reason)
    assert {p.status for p in actions.parts_in(session, "PAY-2026-00001")} == {"posted"}


# Where a part belongs


def test_an_unmatched_payment_is_matched_to_a_meter(session, customer, meter):
    payment = PaymentFactory(customer=customer)
    session.commit()
    [placed] = actions.place(session, payment.id, 1, [rest(meter, 500)])
    session.commit()
    assert (placed.meter_id, placed.version) == (meter.id, 2)
    session.refresh(meter)
    assert meter.paid == 500


def test_an_unmatched_payment_is_split_over_invoices_and_a_meter(
    session, customer, meter, first, second
):
    payment = PaymentFactory(customer=customer, amount=Decimal("1700.10"), method="cash")
    session.commit()
    parts = [on(first, 1500), on(second, "150.10"), rest(meter, 50)]
    placed = actions.place(session, payment.id, 1, parts)
    session.commit()
    assert placed[0].id == payment.id
    assert stands(placed) == [
        (1, first.id, meter.id, 1500),
        (2, second.id, meter.id, Decimal("150.10")),
        (3, None, meter.id, 50),
    ]
    assert {(p.reference, p.method, p.paid_on) for p in placed} == {
        (payment.reference, "cash", payment.paid_on)
    }
    assert actions.version_of(actions.parts_in(session, payment.reference)) == 4


def test_a_match_is_taken_back_part_by_part(session, customer, meter, first, second):
    payment = PaymentFactory(customer=customer, amount=Decimal(1600))
    session.commit()
    placed = actions.place(session, payment.id, 1, [on(first, 1500), on(second, 100)])
    session.commit()
    for part in placed:
        actions.take_off(session, part.id, part.version)
    session.commit()
    assert [(p.invoice_id, p.meter_id) for p in placed] == [(None, None)] * 2
    session.refresh(meter)
    assert (first.paid, second.paid, meter.paid) == (0, 0, 0)
    refused(session, refusals.NothingToMove, actions.take_off, payment.id, 3)


def test_a_part_moves_to_another_invoice_and_both_sides_are_right(
    session, customer, meter, first, receipt
):
    other = MeterAssignmentFactory(customer=customer).meter
    theirs = InvoiceFactory(customer=customer, meter=other)
    session.commit()
    actions.place(session, receipt[0].id, 1, [on(theirs, 1500)])
    session.commit()
    session.refresh(meter)
    session.refresh(other)
    assert (first.paid, theirs.paid, meter.paid, other.paid) == (0, 1500, 250, 1500)
    assert (meter.balance, other.balance) == (2750, 0)


def test_what_stays_on_its_own_invoice_is_not_refused_for_what_it_pays_itself(
    session, customer, meter, first, receipt
):
    placed = actions.place(session, receipt[0].id, 1, [on(first, 1400), rest(meter, 100)])
    session.commit()
    assert stands(placed) == [(1, first.id, meter.id, 1400), (4, None, meter.id, 100)]
    assert first.paid == 1400


def test_a_move_past_what_is_open_is_refused(session, customer, meter, first, second, receipt):
    said = refused(
        session, refusals.OverAllocated, actions.place, receipt[0].id, 1, [on(second, 1500)]
    )
    assert f"Of invoice {second.number} only 1300.00 is open." in said


def test_a_move_to_where_it_is_a_wrong_sum_and_a_stale_version_are_refused(
    session, meter, second, receipt
):
    payment = receipt[2]
    cases = [
        (1, [rest(meter, 50)], refusals.NothingToMove),
        (1, [rest(meter, 49)], refusals.PartsDontAddUp),
        (1, [rest(meter, 50), rest(meter, 0)], refusals.NothingPaid),
        (0, [on(second, 50)], RecordChanged),
        (2, [on(second, 50)], RecordChanged),
    ]
    for version, parts, refusal in cases:
        refused(session, refusal, actions.place, payment.id, version, parts)
    refused(session, RecordGone, actions.place, 987_654, 1, [rest(meter, 50)])
    refused(session, RecordGone, actions.take_off, 987_654, 1)


def test_every_refusal_is_a_sentence_that_says_what_to_do_next():
    found = [
        kind for kind in vars(refusals).values()
        if isinstance(kind, type) and issubclass(kind, Refusal) and kind.__module__ == refusals.__name__
    ]  # fmt: skip
    assert len(found) >= 12
    for kind in found:
        assert len(re.findall(r"[.,;] ", kind.sentence)) >= 1
        assert kind.sentence.endswith(".")
