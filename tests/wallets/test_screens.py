"""The screens of wallets: the list and its views, a wallet with daily balances and its statement, and its verbs."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.base import periods
from backoffice.wallets import actions, history
from backoffice.wallets.models import Wallet, WalletTransaction
from backoffice.wallets.of_customers import WALLETS
from backoffice.wallets.records import WALLET
from tests.factories.wallets import WalletFactory
from tests.orders.pages import _read, text_of

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def wallet(session: Session) -> Wallet:
    """Holds 100.00."""
    made = WalletFactory(number="W-1", low_limit=Decimal(50))
    actions.recharge(session, made.id, Decimal(100), reference="TRF-1")
    session.commit()
    return made


def test_the_list_has_a_view_of_what_is_suspended_and_of_what_is_low(
    sign_in: SignIn, session: Session, wallet: Wallet
) -> None:
    low = WalletFactory(number="W-2", low_limit=Decimal(10))
    suspended = WalletFactory(number="W-3")
    actions.adjust(session, suspended.id, Decimal(-1))
    session.commit()
    browser = sign_in("finance")
    page = browser.get("/wallets").text
    for address, number in (("?status=suspended", suspended.number), ("?state=low", low.number)):
        assert f'href="/wallets{address}"' in page
        shown = browser.get(f"/wallets{address}").text
        assert f'href="/wallets{address}" aria-current="page"' in shown
        others = {"W-1", "W-2", "W-3"} - {number}
        assert number in text_of(shown)
        assert not any(other in text_of(shown) for other in others)
    assert "There is less in it than its limit of Rp 10.00" in text_of(
        browser.get("/wallets/W-2").text
    )
    assert "There is less in it" not in text_of(browser.get("/wallets/W-1").text)


def test_a_wallet_in_which_nothing_moved_says_what_to_do(sign_in: SignIn, session: Session) -> None:
    WalletFactory(number="W-1")
    session.commit()
    page = sign_in("finance").get("/wallets/W-1").text
    assert "No transactions yet" in text_of(page)
    assert page.count('href="/wallets/W-1/recharge"') == 2
    assert '<svg class="chart-plot"' not in page
    seen = sign_in("viewer").get("/wallets/W-1").text
    assert "No transactions yet" in text_of(seen)
    assert "/wallets/W-1/recharge" not in seen


def test_its_verbs_have_keys_of_their_own(sign_in: SignIn, wallet: Wallet) -> None:
    page = sign_in("finance").get("/wallets/W-1").text
    for verb, key in (("recharge", "r"), ("refund", "f"), ("adjust", "a")):
        assert f'href="/wallets/W-1/{verb}" data-key="{key}" aria-keyshortcuts="{key}"' in " ".join(
            page.split()
        )
    keys = [verb.shortcut for verb in WALLET.verbs if verb.shortcut]
    assert len(set(keys)) == len(keys)
    assert not {*keys} & {"n", "e", "j", "k", "/", "?"}


def test_what_a_person_posts_moves_once_and_stands_in_the_statement(
    sign_in: SignIn, session: Session, wallet: Wallet
) -> None:
    browser = sign_in("finance", name="Ayu")
    form = _read(browser.get("/wallets/W-1/adjust").text, "adjust-form").fields
    form["amount"], form["description"] = "-120", "Miscounted"
    for _ in range(2):
        assert browser.post("/wallets/W-1/adjust", data=form).location == "/wallets/W-1"
    page = text_of(browser.get("/wallets/W-1").text)
    assert "2 transactions" in page
    assert "-Rp 20.00" in page
    assert "Suspended" in page
    assert "Miscounted" in page
    assert "Ayu" in page
    posted = session.scalars(
        select(WalletTransaction).order_by(WalletTransaction.id.desc())
    ).first()
    own = browser.get(f"/wallet-transactions/{posted.id}").text
    assert 'href="/wallets/W-1"' in own
    assert "-Rp 20.00" in text_of(own)
    form = _read(browser.get("/wallets/W-1/recharge").text, "recharge-form").fields
    form["amount"] = "20"
    browser.post("/wallets/W-1/recharge", data=form)
    assert "Active" in text_of(browser.get("/wallets/W-1").text), "a recharge lifts it"
    form = _read(browser.get("/wallets/W-1/refund").text, "refund-form").fields
    form["amount"] = "500"
    refused = browser.post("/wallets/W-1/refund", data=form)
    assert refused.status_code == 422
    assert "Rp 500.00 is more than what was charged to wallet W-1" in text_of(refused.text)


def moved_on(surgery: Any, session: Session, wallet: Wallet, days_ago: int, amount: int) -> None:
    """Post a transaction at noon, so many days ago."""
    made = actions.adjust(session, wallet.id, Decimal(amount))
    session.commit()
    noon = periods.start_of(periods.today() - timedelta(days=days_ago)) + timedelta(hours=12)
    surgery.execute("UPDATE wallet_transactions SET created_at = %s WHERE id = %s", (noon, made.id))


def test_each_day_ends_with_the_balance_after_its_last_transaction(
    session: Session, surgery: Any
) -> None:
    wallet = WalletFactory(number="W-1")
    for days_ago, amount in ((40, 500), (3, 10), (3, 20), (1, -530)):
        moved_on(surgery, session, wallet, days_ago, amount)
    days = history.balances_by_day(session, wallet)
    today = periods.today()
    assert [day.day for day in days] == [today - timedelta(days=n) for n in range(29, -1, -1)]
    assert {day.balance for day in days[:-4]} == {500}
    assert [day.balance for day in days[-4:]] == [530, 530, 0, 0]


def test_days_of_which_not_everything_was_looked_at_are_left_out(
    session: Session, surgery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = WalletFactory(number="W-1")
    for days_ago, amount in ((9, 1), (5, 10), (5, 20), (2, 30)):
        moved_on(surgery, session, wallet, days_ago, amount)
    monkeypatch.setattr(history, "LOOKED_AT", 2)
    days = history.balances_by_day(session, wallet)
    assert [day.balance for day in days] == [31, 31, 61, 61, 61]
    assert days[0].day == periods.today() - timedelta(days=4)


def test_of_very_many_transactions_today_today_is_still_shown(
    session: Session, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = WalletFactory(number="W-1")
    for _ in range(3):
        actions.recharge(session, wallet.id, Decimal(2))
    session.commit()
    monkeypatch.setattr(history, "LOOKED_AT", 2)
    days = history.balances_by_day(session, wallet)
    assert [(day.day, day.balance) for day in days] == [(periods.today(), 6)]
    assert "Balance at the end of today" in text_of(sign_in("finance").get("/wallets/W-1").text)


def test_a_day_is_one_of_the_business(session: Session, surgery: Any) -> None:
    wallet = WalletFactory(number="W-1")
    made = actions.recharge(session, wallet.id, Decimal(7))
    session.commit()
    just_after = periods.start_of(periods.today())  # of which UTC still has the day before
    surgery.execute(
        "UPDATE wallet_transactions SET created_at = %s WHERE id = %s", (just_after, made.id)
    )
    days = history.balances_by_day(session, wallet)
    assert [day.balance for day in days[-2:]] == [0, 7]


def test_the_day_of_a_wallet_among_what_a_customer_has_is_one_of_the_business(
    session: Session, surgery: Any, means: Callable[..., None]
) -> None:
    wallet = WalletFactory(number="W-1")
    session.commit()
    for zone in ("Asia/Jakarta", "America/New_York"):
        means(timezone=zone)
        begins = periods.start_of(periods.today())
        surgery.execute("UPDATE wallets SET created_at = %s", (begins,))
        [newest] = WALLETS.newest(session(), wallet.customer_id, 1)
        assert newest.day == periods.today()
        surgery.execute("UPDATE wallets SET created_at = %s", (begins - timedelta(seconds=1),))
        [newest] = WALLETS.newest(session(), wallet.customer_id, 1)
        assert newest.day == periods.today() - timedelta(days=1)
        session.rollback()


def test_how_a_balance_was_calculated_names_what_is_put_in_and_what_is_taken_out(
    sign_in: SignIn, wallet: Wallet
) -> None:
    shown = text_of(sign_in("finance").get(f"/wallets/{wallet.number}/calculation").text)
    assert "Recharges, refunds and adjustments 100.00" in shown
    assert "Charges 0.00" in shown
