"""What a user enters, changes or voids on a screen is posted after the save, without delaying or blocking it."""

from contextvars import ContextVar
from datetime import date

import pytest
from sqlalchemy import select

from backoffice.base.periods import Month, today
from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.periods.actions import close
from backoffice.ledger.posting import at_once
from backoffice.ledger.posting.actions import reconcile
from backoffice.ledger.posting.queries import Scope, open_postings
from backoffice.ledger.posting.tie_out import tie_out
from tests.billing.invoice_desk import form_at, meter, new, wanjiru
from tests.customers.desk import form
from tests.drift.books import run_of, text_of
from tests.factories.billing import InvoiceFactory
from tests.factories.gas import DepositFactory
from tests.factories.ledger import accounts_of_roles
from tests.factories.orders import OrderFactory
from tests.factories.wallets import WalletFactory
from tests.orders.pages import filled
from tests.targets.pages import fields_of


@pytest.fixture
def roles(session):
    made = accounts_of_roles()
    session.commit()
    return made


@pytest.fixture
def desk(session, sign_in):
    """Wanjiru's meter M-1, and a signed-in bookkeeper."""
    wanjiru(session)
    return sign_in("finance")


def entries(session):
    session.rollback()
    return session.scalars(select(JournalEntry).order_by(JournalEntry.id)).all()


def held(session, role):
    session.rollback()
    return session.scalar(select(Account.balance).where(Account.role == role))


def nothing_is_open(session):
    session.rollback()
    assert open_postings(session) == []
    assert not [one for one in tie_out(session) if one.difference or one.not_posted]
    session.rollback()


def sent(browser, address, data, **typed):
    """A form, answered; what follows the answer is done too."""
    for name, value in typed.items():
        data[name] = value
    answer = browser.post(address, data=data)
    assert answer.status_code == 303, text_of(answer.text)[-1500:]
    answer.close()


def test_invoices_payments_and_adjustments_are_posted_as_they_are_saved(session, roles, desk):
    sent(desk, "/billing/invoices/new", new(desk, issued_on="2026-03-01", due_on="2026-03-20"))
    assert held(session, "receivables") == 1500
    nothing_is_open(session)
    number = entries(session)[0].source
    edited = form_at(desk, f"/billing/invoices/{number}/edit")
    edited["units"] = "10"
    sent(desk, f"/billing/invoices/{number}/edit", edited)
    assert (held(session, "receivables"), len(entries(session))) == (1250, 2)
    nothing_is_open(session)
    paid = fields_of(desk.get("/billing/payments/new?customer=C-1").text, "payment-form")
    paid["amount"], paid["paid_on"] = "400", "2026-03-05"
    sent(desk, "/billing/payments/new", paid)
    assert (held(session, "receivables"), held(session, "cash")) == (850, 400)
    nothing_is_open(session)
    page = "/billing/adjustments/new"
    sent(
        desk,
        page,
        form(desk, page, meter="M-1", amount="-50", reason="Late", adjusted_on="2026-03-06"),
    )
    assert held(session, "receivables") == 800
    nothing_is_open(session)
    void = "/billing/adjustments/ADJ-2026-00001/void"
    sent(desk, void, form(desk, void, reason="Of another"))
    assert held(session, "receivables") == 850
    nothing_is_open(session)


def test_orders_follow_their_lines_and_wallets_and_deposits_their_movements(session, roles, desk):
    closed = {"closing_date": date(2026, 3, 9), "promo": 0, "reductions": 0}
    order = OrderFactory(lines=[("package", "Cake", "1", "10")], **closed)
    wallet, customer = WalletFactory(), DepositFactory(deposited_on=date(2026, 2, 1)).customer
    at, money = f"/orders/{order.number}/edit", f"/wallets/{wallet.number}"
    code = customer.code
    session.commit()
    typed = filled(desk, at)
    typed["lines-0-quantity"] = "3"
    sent(desk, at, typed)
    assert held(session, "orders") == order.grand_total
    movement = form_at(desk, f"{money}/recharge", "recharge-form")
    sent(desk, f"{money}/recharge", movement, amount="90")
    assert held(session, "wallets") == 90
    deposit = {"customer": code, "amount": "70", "deposited_on": "2026-03-03"}
    at = "/gas/deposits/new"
    sent(desk, at, form(desk, at), **deposit)
    assert held(session, "gas_deposits") == 70
    assert [one.source.name for one in open_postings(session)] == ["deposits"], (
        "only what was saved"
    )


def test_what_is_dated_in_a_closed_month_is_posted_today(session, roles, desk):
    at = "/billing/invoices/INV-9"
    days = {"issued_on": date(2026, 1, 9), "due_on": date(2026, 2, 9)}
    invoice = InvoiceFactory(number="INV-9", meter=meter(session), **days)
    reconcile(session, Scope())
    close(session, Month(2026, 1), "user:1")
    session.commit()
    sent(desk, f"{at}/void", form(desk, f"{at}/void", reason="Never delivered"))
    last = entries(session)[-1]
    assert (last.entry_date, last.document_date) == (today(), date(2026, 1, 9))
    assert last.document == f"invoices/{invoice.id}"
    assert held(session, "receivables") == 0
    nothing_is_open(session)


def broken(*_given):
    raise ValueError("a defect of the app")


class Turns:
    """A semaphore that a blocking save acquires, and that the posting after it, which does not wait, does not."""

    def acquire(self, *, blocking=True, timeout=None):
        return blocking

    def release(self):
        """Does nothing: the semaphore is not held."""


@pytest.mark.parametrize(
    "reason", ["no account", "many", "a program", "others post", "no turn", "a mistake"]
)
def test_whatever_is_in_the_way_of_posting_a_user_saves_and_the_night_comes_to_it(
    session, desk, reason, app, monkeypatch, owner_connection
):
    if reason != "no account":
        accounts_of_roles()
    session.commit()
    monkeypatch.setattr(at_once, "MOST", 0 if reason == "many" else at_once.MOST)
    monkeypatch.setattr(at_once, "PATIENCE", "50")
    if reason == "others post":
        owner_connection.autocommit = False
        owner_connection.execute("SELECT pg_advisory_xact_lock(hashtext('ledger reconcile'))")
    if reason == "no turn":
        monkeypatch.setattr(app, "turns", Turns())
    if reason == "a mistake":
        monkeypatch.setattr(at_once, "reconcile", broken)
    if reason == "a program":
        monkeypatch.setattr("backoffice.app.edge.actor", ContextVar("actor", default="token:1"))
    sent(desk, "/billing/invoices/new", new(desk, issued_on="2026-03-01", due_on="2026-03-20"))
    owner_connection.rollback()
    owner_connection.autocommit = True
    assert entries(session) == []
    assert [one.count for one in open_postings(session)] == [1]
    session.rollback()
    if reason != "no account":
        assert run_of("ledger.post").changed == 1
        nothing_is_open(session)
