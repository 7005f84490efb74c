"""Two cashiers at once: no open amount is allocated twice, no reference given twice, no part lost.

FAULTS.md lines 19 (as for charges), 21, 22 and 28.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base.refusals import Refusal
from backoffice.billing.invoices import actions as invoice_actions
from backoffice.billing.models import Invoice, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.processes import barrier, together

pytestmark = pytest.mark.slow

ROUNDS = 30

Verb = Callable[[], Any]


def owed(session: Any, count: int) -> tuple[int, list[int]]:
    """A customer and that many open invoices of 1,500.00 on one meter of theirs, committed."""
    given = MeterAssignmentFactory()
    made = [InvoiceFactory(customer=given.customer, meter=given.meter).id for _ in range(count)]
    session.commit()
    return given.customer_id, made


def unmatched(session: Any, customer_id: int) -> list[int]:
    """A payment of 10.00 without a meter per round, committed."""
    customer = session.get_one(Customer, customer_id)
    made = [PaymentFactory(customer=customer, amount=Decimal(10)).id for _ in range(ROUNDS)]
    session.commit()
    return made


def pay(customer_id: int, invoice_id: int, amount: int, **facts: Any) -> None:
    """Record a payment of one invoice."""
    part = Part(Decimal(amount), invoice_id=invoice_id)
    day, amounts = date(2026, 3, 15), (Decimal(amount), "cash", (part,))
    payment_actions.record(
        db.session(), payment_actions.ReceiptEntry(customer_id, day, *amounts, **facts)
    )


def outcome(verb: Verb) -> str:
    """Perform a verb and commit; the name of the refusal, else empty."""
    try:
        verb()
        db.session.commit()
    except Refusal as refusal:
        db.session.rollback()
        return type(refusal).__name__
    return ""


def both(app: Flask, *rounds: tuple[Verb, ...]) -> list[list[str]]:
    """In every round each process carries out its own verb, at the same moment; the outcomes by process."""
    parties = len(rounds[0])
    meet = barrier(parties)

    def work(place: int) -> list[str]:
        found = []
        for verbs in rounds:
            meet.wait()
            found.append(outcome(verbs[place]))
        return found

    return together(app, *(lambda place=place: work(place) for place in range(parties)))


def paid(session: Any) -> dict[int, Decimal]:
    """The sum of the payments that name each invoice."""
    session.rollback()
    rows = session.execute(
        select(Payment.invoice_id, func.sum(Payment.amount)).group_by(Payment.invoice_id)
    )
    return dict(rows.all())


def test_of_two_cashiers_who_pay_the_same_open_amount_one_is_refused(
    app: Flask, session: Any
) -> None:
    customer, invoices = owed(session, ROUNDS)
    rounds = [(lambda i=i: pay(customer, i, 1000),) * 2 for i in invoices]
    outcomes = both(app, *rounds)
    assert all(sorted(pair) == ["", "OverAllocated"] for pair in zip(*outcomes, strict=True))
    assert paid(session) == dict.fromkeys(invoices, Decimal(1000))
    assert list(figures.verify(session)) == []


def test_without_the_lock_an_invoice_is_paid_twice(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr(payment_actions.figures, "hold", lambda *_: None)
    customer, invoices = owed(session, ROUNDS)
    both(app, *[(lambda i=i: pay(customer, i, 1000),) * 2 for i in invoices])
    assert max(paid(session).values()) == Decimal(2000)


def test_two_receipts_over_the_same_invoices_in_other_orders_do_not_wait_in_a_circle(
    app: Flask, session: Any
) -> None:
    customer, invoices = owed(session, 2)
    forth = [Part(Decimal(1), invoice_id=key) for key in invoices]

    def over(parts: list[Part]) -> Verb:
        amounts = (Decimal(2), "cash", tuple(parts))
        entry = payment_actions.ReceiptEntry(customer, date(2026, 3, 15), *amounts)
        return lambda: payment_actions.record(db.session(), entry)

    outcomes = both(app, *[(over(forth), over(forth[::-1]))] * ROUNDS)
    assert outcomes == [[""] * ROUNDS] * 2
    assert set(paid(session).values()) == {Decimal(2 * ROUNDS)}


def test_receipts_recorded_at_the_same_moment_get_references_of_their_own(
    app: Flask, session: Any
) -> None:
    customer, [invoice] = owed(session, 1)
    outcomes = both(app, *[(lambda: pay(customer, invoice, 1),) * 3] * ROUNDS)
    assert outcomes == [[""] * ROUNDS] * 3
    references = set(session.scalars(select(Payment.reference)))
    assert references == {f"PAY-2026-{n:05d}" for n in range(1, 3 * ROUNDS + 1)}


def test_one_reference_that_two_cashiers_give_is_given_once(app: Flask, session: Any) -> None:
    customer, invoices = owed(session, ROUNDS)
    rounds = [
        (lambda i=i: pay(customer, i, 1, reference=f"BANK {i}"),) * 2 for i in invoices
    ]  # fmt: skip
    outcomes = both(app, *rounds)
    assert all(sorted(pair) == ["", "ReferenceTaken"] for pair in zip(*outcomes, strict=True))


def test_of_two_who_match_the_same_payment_one_is_too_late(app: Flask, session: Any) -> None:
    customer, invoices = owed(session, 2)
    payments = unmatched(session, customer)

    def match(payment: int, invoice: int) -> Verb:
        part = Part(Decimal(10), invoice_id=invoice)
        return lambda: payment_actions.place(db.session(), payment, 1, [part])

    outcomes = both(app, *[tuple(match(p, i) for i in invoices) for p in payments])
    assert all(sorted(pair) == ["", "RecordChanged"] for pair in zip(*outcomes, strict=True))
    assert sum(paid(session).values()) == 10 * ROUNDS


def test_a_payment_that_is_matched_while_everything_sure_is_matched_is_matched_once(
    app: Flask, session: Any
) -> None:
    customer, [invoice] = owed(session, 1)
    payments = unmatched(session, customer)
    part = Part(Decimal(10), invoice_id=invoice)

    def by_hand(payment: int) -> Verb:
        return lambda: payment_actions.place(db.session(), payment, 1, [part])

    def sure(payment: int) -> Verb:
        return lambda: payment_actions.match_sure(
            db.session(), payments[: payments.index(payment) + 1]
        )

    outcomes = both(app, *[(by_hand(p), sure(p)) for p in payments])
    assert set(outcomes[0]) <= {"", "RecordChanged"}
    assert set(outcomes[1]) == {""}
    session.rollback()
    assert set(session.scalars(select(Payment.version))) == {2}
    assert list(figures.verify(session)) == []


def test_an_invoice_that_is_voided_while_it_is_paid_keeps_no_payment_and_loses_none(
    app: Flask, session: Any
) -> None:
    customer, invoices = owed(session, ROUNDS)

    def void(invoice: int) -> Verb:
        return lambda: invoice_actions.void(db.session(), invoice, 1, "wrong")

    outcomes = both(app, *[(lambda i=i: pay(customer, i, 1000), void(i)) for i in invoices])
    assert set(outcomes[0]) <= {"", "InvoiceIsVoid"}
    assert set(outcomes[1]) == {""}
    session.rollback()
    kept = select(func.count()).select_from(Payment).join(Invoice, Invoice.id == Payment.invoice_id)
    assert session.scalar(kept) == 0
    assert session.scalar(select(func.count()).select_from(Payment)) == outcomes[0].count("")


def test_an_invoice_that_moves_while_it_is_paid_has_its_payment_on_its_own_meter(
    app: Flask, session: Any
) -> None:
    customer, invoices = owed(session, ROUNDS)
    other = MeterFactory()
    session.commit()
    meter = other.id

    def move(invoice: int) -> Verb:
        return lambda: invoice_actions.move(db.session(), invoice, 1, meter)

    outcomes = both(app, *[(lambda i=i: pay(customer, i, 1000), move(i)) for i in invoices])
    assert outcomes == [[""] * ROUNDS] * 2
    session.rollback()
    of_invoice = select(Payment.meter_id, Invoice.meter_id).join(Payment.invoice)
    assert set(session.execute(of_invoice).all()) == {(meter, meter)}
    assert list(figures.verify(session)) == []


def test_of_two_cashiers_who_want_a_void_receipts_reference_one_gets_it(
    app: Flask, session: Any
) -> None:
    customer, [invoice] = owed(session, 1)
    references = [f"BANK-{n}" for n in range(ROUNDS)]
    gone = {"status": "void", "void_reason": "wrong", "customer": session.get(Customer, customer)}
    for reference in references:
        PaymentFactory(reference=reference, **gone)
    session.commit()

    def again(reference: str) -> Verb:
        return lambda: pay(customer, invoice, 1, reference=reference)

    outcomes = both(app, *[(again(reference),) * 2 for reference in references])
    assert all(sorted(pair) == ["", "ReferenceTaken"] for pair in zip(*outcomes, strict=True))
    session.rollback()
    rows = session.execute(select(Payment.reference, Payment.status)).all()
    renamed = [(payment_actions.void_reference(name, 1), "void") for name in references]
    assert sorted(map(tuple, rows)) == sorted([(n, "posted") for n in references] + renamed)
