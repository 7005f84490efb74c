"""Recording beside replacing, and beside a program that pays past the app: no deadlock, no double payment."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.billing.models import Invoice, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.billing.payments.refusals import InvoicePaid
from backoffice.customers.models import Customer
from tests.factories.billing import PaymentFactory

from .test_payment_races import ROUNDS, both, owed, pay


def replacing(customer_id: int, receipt: int, invoice_id: int) -> Callable[[], Any]:
    """Void the receipt and record 1.00 on the invoice in its place, under the next reference."""
    parts = (Part(Decimal(1), invoice_id=invoice_id),)
    entry = payment_actions.ReceiptEntry(customer_id, date(2026, 3, 15), Decimal(1), "cash", parts)
    return lambda: payment_actions.replace_receipt(db.session(), receipt, 1, "wrong", entry)


def test_recording_beside_replacing_on_one_meter_does_not_wait_in_a_circle(
    app: Flask, session: Any
) -> None:
    customer, [one, other] = owed(session, 2)
    invoice = session.get_one(Invoice, other)
    on = {"customer": session.get_one(Customer, customer), "invoice": invoice}
    made = [PaymentFactory(amount=Decimal(1), meter=invoice.meter, **on) for _ in range(ROUNDS)]
    session.commit()
    receipts = [payment.id for payment in made]
    session.rollback()
    rounds = [(lambda: pay(customer, one, 1), replacing(customer, r, other)) for r in receipts]
    assert both(app, *rounds) == [[""] * ROUNDS] * 2
    session.rollback()
    replaced = session.scalars(select(Payment.replaces_id).where(Payment.replaces_id.is_not(None)))
    assert sorted(replaced) == receipts
    assert list(figures.verify(session)) == []


def test_what_another_program_has_just_paid_is_not_open_any_more(
    session: Any, app_connection: psycopg.Connection[Any]
) -> None:
    """Its payment is noted, and not yet in what is stored as paid."""
    customer, [invoice] = owed(session, 1)
    meter = session.get_one(Invoice, invoice).meter_id
    session.rollback()
    app_connection.execute(
        "INSERT INTO payments (reference, part, customer_id, meter_id, invoice_id, method, amount, paid_on) "
        "VALUES ('ELSEWHERE', 1, %s, %s, %s, 'cash', 1500, '2026-03-15')",
        [customer, meter, invoice],
    )
    with pytest.raises(InvoicePaid):
        pay(customer, invoice, 100)
    session.rollback()
    figures.heal_noted(session.get_bind())
