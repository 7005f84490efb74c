"""Customers and meters are stamped when their stored balance changes, by any writer."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.billing.models import Meter
from backoffice.customers.models import Customer
from backoffice.drift.outside import watch
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory

MODELS = (Customer, Meter)


@pytest.fixture
def assignment(session: Any) -> Any:
    """A meter with an invoice of 100, and its assignment."""
    made = MeterAssignmentFactory()
    InvoiceFactory(
        meter=made.meter, customer=made.customer, amount=Decimal(100), units=None, rate=None
    )
    session.commit()
    return made


def stamps(session: Any) -> list[Any]:
    """When the customer's and the meter's balance changed."""
    session.rollback()
    return [session.scalar(select(model.balance_changed_at)) for model in MODELS]


def long_ago(owner_connection: psycopg.Connection[Any]) -> None:
    for model in MODELS:
        owner_connection.execute(
            f"UPDATE {model.__tablename__} SET balance_changed_at = now() - interval '9 days'".encode()
        )


def test_a_save_stamps_what_it_moves_and_nothing_else_does(
    assignment: Any, session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    assert all(stamps(session))
    long_ago(owner_connection)
    before = stamps(session)
    session.scalars(select(Customer)).one().city = "Elsewhere"
    session.scalars(select(Meter)).one().description = "Kitchen"
    session.commit()
    assert stamps(session) == before, "a row is written, and its balance stays what it was"
    InvoiceFactory(
        meter=assignment.meter,
        customer=assignment.customer,
        amount=Decimal(50),
        units=None,
        rate=None,
    )
    session.commit()
    assert all(
        now - then > timedelta(days=8) for now, then in zip(stamps(session), before, strict=True)
    )


def test_other_programs_drains_and_heals_stamp_too(
    assignment: Any,
    session: Any,
    owner_connection: psycopg.Connection[Any],
    surgery: psycopg.Connection[Any],
) -> None:
    long_ago(owner_connection)
    before = stamps(session)
    owner_connection.execute("UPDATE invoices SET amount = amount + 1")
    watch.drain(db.engine)
    drained = stamps(session)
    assert all(now > then for now, then in zip(drained, before, strict=True))
    surgery.execute("UPDATE customers SET balance = 7")
    assert stamps(session)[0] == drained[0], "writes past the triggers are not stamped"
    figures.heal(db.engine)
    customer, meter = stamps(session)
    assert customer > drained[0]
    assert meter == drained[1], "what was right is not written"


def test_a_stamp_is_no_event_and_notes_nothing(
    assignment: Any, session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    session.rollback()
    count = select(func.count(AuditEvent.id))
    events = session.scalar(count)
    long_ago(owner_connection)
    session.rollback()
    assert session.scalar(count) == events
    assert not any(figures.noted(db.engine).values())


def test_the_screens_show_it(assignment: Any, sign_in: Callable[..., Any]) -> None:
    finance = sign_in("finance")
    for page in (
        f"/customers/{assignment.customer.code}",
        f"/billing/meters/{assignment.meter.number}",
    ):
        assert "Balance last changed" in finance.get(page).text
