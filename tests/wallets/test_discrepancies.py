"""The screen of wallet discrepancies: what, since when, why; verification, preview and heal from it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.drift.healing.performing import performed
from backoffice.drift.models import DriftFinding
from backoffice.runs.models import Run
from backoffice.wallets import actions
from backoffice.wallets.models import Wallet
from tests.factories.wallets import WalletFactory
from tests.orders.pages import text_of

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def wrong(session: Any, surgery: psycopg.Connection[Any]) -> list[Wallet]:
    """Two wallets with 100.00 each, of which 1,000.00 and 10.00 more are stored."""
    made = [WalletFactory(number=f"W-{number}") for number in (1, 2, 3)]
    for wallet in made:
        actions.recharge(session, wallet.id, Decimal(100))
    session.commit()
    for wallet, more in zip(made, (1000, 10), strict=False):
        surgery.execute(
            "UPDATE wallets SET balance = balance + %s WHERE id = %s", (more, wallet.id)
        )
    return made


def run_at(session: Any, answer: Any) -> Run:
    """The run to which a form has led, carried out."""
    assert answer.status_code == 303, answer.text
    number = int(answer.location.rsplit("/", 1)[1])
    done = performed(db.engine, number).run
    session.rollback()
    return done


def test_what_is_wrong_is_found_previewed_and_healed(
    sign_in: SignIn, session: Any, wrong: list[Wallet]
) -> None:
    browser = sign_in("finance")
    assert "Nothing is wrong" in browser.get("/wallets/discrepancies").text
    verified = browser.post("/wallets/discrepancies/verify", data={"idempotency_key": "v"})
    assert run_at(session, verified).kind == "figures.verify"
    markup = browser.get("/wallets/discrepancies").text
    assert markup.count('class="wrong-mark"') == 2, "what is stored is wrong, what is actual is not"
    page = text_of(markup)
    assert page.index("W-1") < page.index("W-2"), "the largest difference first"
    assert "W-3" not in page
    for said in ("1,100.00", "100.00", "1,000.00", "110.00", "10.00", "Changed unnoticed"):
        assert said in page
    assert "/wallets/discrepancies?q=W-1" in browser.get("/wallets/W-1").text
    form = {"id": str(wrong[0].id), "idempotency_key": "p"}
    shown = run_at(session, browser.post("/wallets/discrepancies/preview", data=form))
    assert (shown.dry_run, shown.changed) == (True, 1)
    reason = {"reason": "Restored from elsewhere", "idempotency_key": "a"}
    run_at(session, browser.post(f"/runs/{shown.id}/apply", data=reason))
    assert session.get_one(Wallet, wrong[0].id).balance == 100
    page = text_of(browser.get("/wallets/discrepancies").text)
    assert "W-1" not in page
    assert "W-2" in page
    every = {"matching": "1", "idempotency_key": "q"}
    again = run_at(session, browser.post("/wallets/discrepancies/preview", data=every))
    run_at(
        session, browser.post(f"/runs/{again.id}/apply", data={**reason, "idempotency_key": "b"})
    )
    assert "Nothing is wrong" in browser.get("/wallets/discrepancies").text


@pytest.mark.leaves_drift
def test_one_wallet_is_previewed_from_its_page(
    sign_in: SignIn, session: Any, wrong: list[Wallet]
) -> None:
    browser = sign_in("finance")
    assert f"/health/drift/recalculate/wallet/{wrong[0].id}" in browser.get("/wallets/W-1").text
    form = {"idempotency_key": "r"}
    for kind, key, count in (("wallet", wrong[0].id, 1), ("customer", wrong[1].customer_id, 1)):
        answer = browser.post(f"/health/drift/recalculate/{kind}/{key}", data=form)
        assert run_at(session, answer).changed == count
    assert browser.post("/health/drift/recalculate/wallet/0", data=form).status_code == 404
    restored = browser.post("/wallets/discrepancies/preview", data={"idempotency_key": "n"})
    assert restored.location.endswith("/wallets/discrepancies"), "none is ticked"


@pytest.mark.leaves_drift
def test_a_wallet_whose_facts_are_in_doubt_says_so(
    sign_in: SignIn, session: Any, wrong: list[Wallet], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute(
        "UPDATE wallet_transactions SET amount = 99 WHERE wallet_id = %s", (wrong[2].id,)
    )
    browser = sign_in("finance")
    run_at(session, browser.post("/wallets/discrepancies/verify", data={"idempotency_key": "v"}))
    page = text_of(browser.get("/wallets/discrepancies").text)
    found = set(session.scalars(select(DriftFinding.owner)))
    assert wrong[2].id in found
    assert "W-3" in page


@pytest.mark.leaves_drift
def test_who_may_only_read_sees_no_buttons(sign_in: SignIn, wrong: list[Wallet]) -> None:
    browser = sign_in("viewer")
    page = browser.get("/wallets/discrepancies")
    assert page.status_code == 200
    assert "Verify now" not in page.text
    assert browser.post("/wallets/discrepancies/verify").status_code == 403
