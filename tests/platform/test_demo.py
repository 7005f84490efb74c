"""The demo company."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice.base import periods
from backoffice.base.periods import Month, today
from backoffice.billing.models import Invoice, MeterAdjustment, MeterAssignment, Payment
from backoffice.customers.models import Customer
from backoffice.ledger.models import Account, JournalEntry
from backoffice.orders.models import Order
from backoffice.people.actions import authenticate
from backoffice.people.models import User
from backoffice.security.permissions import ROLES
from backoffice.wallets.models import Wallet, WalletTransaction

pytestmark = pytest.mark.slow


def test_the_demo_company_loads_once_and_everybody_can_sign_in(
    app: Flask,
    session: Any,
    run_command: Callable[..., Any],
    demo_company: list[dict[str, str]],
) -> None:
    assert {person["role"] for person in demo_company} == set(ROLES)
    assert session.scalar(select(func.count()).select_from(Order)) == 830
    for person in demo_company:
        user = authenticate(session, person["email"], person["password"])
        assert user is not None
        assert user.role == person["role"]
    manager = session.scalar(select(User).where(User.email == "nancy.davolio@northwind.example"))
    own = select(func.count()).select_from(Order).where(Order.account_manager_id == manager.id)
    assert session.scalar(own) > 50
    kept = app.config["BACKOFFICE_HOME"] / "demo-sign-ins.json"
    assert kept.stat().st_mode & 0o777 == 0o600

    again = run_command("demo", "load")
    assert again.exit_code == 2
    assert "empty book only" in again.stderr


@pytest.mark.usefixtures("demo_company")
def test_its_billing_has_something_for_every_screen(
    session: Any, run_command: Callable[..., Any]
) -> None:
    def count(*conditions: Any) -> int:
        return session.scalar(select(func.count()).where(*conditions)) or 0

    owners = session.execute(
        select(MeterAssignment.customer_id, func.count())
        .where(MeterAssignment.is_active)
        .group_by(MeterAssignment.customer_id)
    ).all()
    assert sorted({meters for _, meters in owners}) == [1, 2]
    assert count(MeterAssignment.id > 0, ~MeterAssignment.is_active) == 2
    assert count(Invoice.id > 0) > 700
    assert count(Invoice.status == "void") == 1
    assert count(Payment.meter_id.is_(None)) == 7
    assert count(Payment.part == 2) > 10
    assert count(MeterAdjustment.id > 0) == 2
    assert count(Customer.overpayment > 0) >= 1
    assert count(Wallet.id > 0) == 8
    assert count(Wallet.is_low) >= 1
    assert count(Wallet.status == "suspended") == 1
    assert count(WalletTransaction.id > 0) > 80
    assert count(JournalEntry.status == "posted") > 60
    assert count(JournalEntry.status == "draft") == 2
    assert count(JournalEntry.reverses_entry_id.is_not(None)) == 1
    assert count(Account.debits + Account.credits > 0) == count(Account.role != "retained_earnings")
    tied = json.loads(run_command("ledger", "reconcile", "--json").stdout)
    assert (tied["posted"], {one["difference"] for one in tied["tie_out"]}) == (0, {"0.00"})
    assert all(float(one["held"]) > 0 and one["not_posted"] == "0.00" for one in tied["tie_out"])
    latest, overdue = session.execute(
        select(func.max(Invoice.issued_on), func.min(Invoice.due_on)).where(
            Invoice.paid < Invoice.amount, Invoice.status == "posted"
        )
    ).one()
    assert latest == Month.current().first
    assert overdue < today() - timedelta(days=90)
    assert session.scalar(select(func.max(Payment.paid_on))) <= today()


@pytest.mark.parametrize(
    "day", [date(2026, 1, 1), date(2026, 1, 31), date(2028, 2, 29), date(2026, 12, 31)]
)
def test_its_billing_looks_natural_on_every_day_of_the_year(
    day: date, session: Any, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periods, "today", lambda: day)
    done = run_command("demo", "load", "--json")
    assert done.exit_code == 0, done.output
    assert session.scalar(select(func.max(Payment.paid_on))) <= day
    assert session.scalar(select(func.max(Invoice.issued_on))) == Month.of(day).first
    assert session.scalar(select(func.sum(Customer.balance))) > 0
