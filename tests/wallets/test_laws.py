"""The laws of every transaction, after any history: sums, refusals, suspension, one effect per key."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backoffice import figures
from backoffice.base.refusals import KeyUsedOtherwise, Refusal
from backoffice.wallets import actions
from backoffice.wallets.models import Wallet
from backoffice.wallets.refusals import (
    AlreadySuspended,
    BelowZero,
    BelowZeroAndSuspended,
    InsufficientBalance,
    MoreThanCharged,
    NoAmount,
    NotSuspended,
    TooMuchInIt,
    WalletClosed,
    WalletNotEmpty,
    WalletSuspended,
)
from tests.depth import examples
from tests.factories.wallets import WalletFactory
from tests.orders.pages import text_of

from .books import computed_by_python, is_in_step, sums, transactions

D = Decimal
DOES = {
    "recharge": actions.recharge, "charge": actions.charge, "refund": actions.refund, "adjustment": actions.adjust,
}  # fmt: skip

amounts = st.decimals("0.01", 500, places=2)
moves = st.lists(
    st.tuples(
        st.sampled_from(sorted(DOES)), st.one_of(amounts, amounts.map(lambda amount: -amount)),
        st.one_of(st.none(), st.sampled_from("abc")), st.booleans(),
    ),
    max_size=25,
)  # fmt: skip
"""Type, amount, key, and whether it is committed at once."""


class Expected:
    """A model of a wallet in Python, independent of figures, SQL and the actions."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, Decimal]] = []
        self.keys: dict[str, tuple[str, Decimal]] = {}
        self.is_suspended = False

    @property
    def balance(self) -> Decimal:
        return computed_by_python(self.moves)[0][0]

    def move(self, kind: str, amount: Decimal, key: str | None) -> type[Refusal] | None:
        """The expected refusal; None where the transaction is created, or was created under this key."""
        if amount < 0 and kind != "adjustment":
            return NoAmount
        if key in self.keys:
            return None if self.keys[key] == (kind, amount) else KeyUsedOtherwise  # type: ignore[index]
        if kind == "charge" and self.is_suspended:
            return WalletSuspended
        if kind == "charge" and amount > self.balance:
            return InsufficientBalance
        if kind == "refund" and amount > computed_by_python(self.moves)[0][2]:
            return MoreThanCharged
        self.moves.append((kind, amount))
        if key is not None:
            self.keys[key] = (kind, amount)
        self.is_suspended = self.balance < 0
        return None


@pytest.fixture
def begun(session: Any) -> Any:
    """Makes a new wallet."""

    def begun() -> int:
        made = WalletFactory()
        session.commit()
        return int(made.id)

    return begun


def tried(
    session: Any, kind: str, wallet: int, amount: Decimal, key: str | None
) -> type[Refusal] | None:
    """The refusal that the action raises."""
    try:
        DOES[kind](session, wallet, amount, idempotency_key=key)
    except Refusal as refusal:
        return type(refusal)
    return None


def test_every_history_is_as_python_makes_it(session: Any, begun: Any) -> None:
    @settings(max_examples=examples(40), deadline=None)
    @given(moves)
    def holds(history: Any) -> None:
        wallet, expected = begun(), Expected()
        for number, (kind, amount, key, is_committed) in enumerate(history):
            own_key = key and f"{wallet}-{key}"
            refused = expected.move(kind, amount, own_key)
            assert tried(session, kind, wallet, amount, own_key) is refused, number
            if is_committed:
                session.commit()
        session.commit()
        reported, beside = computed_by_python(expected.moves)
        stored = transactions(session, wallet)
        assert [tuple(row[:2]) for row in stored] == expected.moves
        assert [tuple(row[2:]) for row in stored] == beside
        assert sums(session, wallet) == reported
        assert (session.get(Wallet, wallet).status == "suspended") is expected.is_suspended

    holds()


def test_what_comes_again_under_its_key_is_the_first_and_other_content_is_refused(
    session: Any, wallet: Wallet
) -> None:
    reported = {
        "service_type": "vps",
        "description": "An hour",
        "reference": "7",
        "idempotency_key": "k",
    }
    first = actions.post(session, wallet.id, "charge", D(90_000), **reported)
    session.commit()
    again = actions.post(session, wallet.id, "charge", D("90000.00"), **reported)
    assert (first.is_new, again.is_new, again.row.id) == (True, False, first.row.id)
    other = WalletFactory()
    for wallet_id, kind, amount, more in (
        (wallet.id, "charge", D(90_001), {}), (wallet.id, "refund", D(90_000), {}),
        (other.id, "charge", D(90_000), {}), (wallet.id, "charge", D(90_000), {"reference": "8"}),
    ):  # fmt: skip
        with pytest.raises(KeyUsedOtherwise):
            actions.post(session, wallet_id, kind, amount, **reported | more)
    actions.adjust(session, wallet.id, D(-10_000))
    actions.close(session, wallet.id, wallet.version, {"reason": "Done"})
    session.commit()
    assert not actions.post(session, wallet.id, "charge", D(90_000), **reported).is_new, "for ever"
    assert is_in_step(session, wallet.id)


def test_below_zero_it_is_suspended_and_a_recharge_lifts_that_but_not_what_a_person_said(
    session: Any, wallet: Wallet
) -> None:
    actions.adjust(session, wallet.id, D(-100_001), description="A mistake")
    session.commit()
    assert (wallet.balance, wallet.status, wallet.version) == (-1, "suspended", 2)
    with pytest.raises(WalletSuspended):
        actions.charge(session, wallet.id, D(1))
    with pytest.raises(BelowZero):
        actions.lift(session, wallet.id, 2, {})
    actions.recharge(session, wallet.id, D(1))
    session.commit()
    assert (wallet.balance, wallet.status, wallet.version) == (0, "active", 3)
    actions.suspend(session, wallet.id, 3, {"reason": "Under inquiry"})
    with pytest.raises(AlreadySuspended):
        actions.suspend(session, wallet.id, 4, {"reason": "Again"})
    actions.recharge(session, wallet.id, D(5))
    assert (wallet.status, wallet.suspension_reason) == ("suspended", "Under inquiry")
    actions.adjust(session, wallet.id, D(-6))
    with pytest.raises(BelowZeroAndSuspended, match="Recharge it first, then lift"):
        actions.lift(session, wallet.id, 4, {})
    actions.recharge(session, wallet.id, D(6))
    assert wallet.status == "suspended"
    actions.lift(session, wallet.id, 4, {})
    with pytest.raises(NotSuspended):
        actions.lift(session, wallet.id, 5, {})
    with pytest.raises(WalletNotEmpty):
        actions.close(session, wallet.id, 5, {"reason": "Moved away"})
    actions.charge(session, wallet.id, D(5))
    actions.close(session, wallet.id, 5, {"reason": "Moved away"})
    session.commit()
    for kind, does in DOES.items():
        with pytest.raises(WalletClosed):
            does(session, wallet.id, D(1))
        assert kind in DOES
    assert is_in_step(session, wallet.id)


@pytest.mark.parametrize("amount", ["0", "-1", "0.005", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_refused_and_changes_nothing(
    session: Any, wallet: Wallet, amount: str
) -> None:
    for kind, does in DOES.items():
        if (kind, amount) == ("adjustment", "-1"):
            continue
        with pytest.raises(NoAmount):
            does(session, wallet.id, D(amount))
    session.commit()
    assert sums(session, wallet.id) == (100_000, 100_000, 0)


def test_more_than_can_be_stored_is_refused_with_a_sentence(session: Any, wallet: Wallet) -> None:
    for does in (actions.recharge, actions.adjust):
        with pytest.raises(TooMuchInIt):
            does(session, wallet.id, D("9999999999999.99"), idempotency_key="k")
        session.rollback()
    assert sums(session, wallet.id) == (100_000, 100_000, 0)


def test_a_key_holds_also_where_the_same_again_could_not_be_stored(
    session: Any, wallet: Wallet
) -> None:
    most = D("9999999899999.99")
    first = actions.post(session, wallet.id, "recharge", most, idempotency_key="k")
    session.commit()
    again = actions.post(session, wallet.id, "recharge", most, idempotency_key="k")
    assert (again.row.id, again.is_new) == (first.row.id, False)
    with pytest.raises(KeyUsedOtherwise):
        actions.recharge(session, wallet.id, most, idempotency_key="k", reference="another")
    actions.adjust(session, wallet.id, -most)
    session.commit()
    with pytest.raises(TooMuchInIt):
        actions.recharge(session, wallet.id, D(1), idempotency_key="l")
    session.rollback()
    assert is_in_step(session, wallet.id)


def test_no_more_is_refunded_than_was_charged(session: Any, wallet: Wallet) -> None:
    actions.charge(session, wallet.id, D(300), idempotency_key="c")
    actions.refund(session, wallet.id, D(100), idempotency_key="r")
    for amount in (D("200.01"), D(500)):
        with pytest.raises(MoreThanCharged) as refused:
            actions.refund(session, wallet.id, amount)
        assert refused.value.values["spent"] == 200
    actions.refund(session, wallet.id, D(200))
    assert actions.refund(session, wallet.id, D(100), idempotency_key="r").amount == 100, "again"
    session.commit()
    assert sums(session, wallet.id) == (100_000, 100_000, 0)
    assert is_in_step(session, wallet.id)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_transactions SET amount = 1", "UPDATE wallet_transactions SET wallet_id = wallet_id",
        "UPDATE wallet_transactions SET idempotency_key = 'k'", "DELETE FROM wallet_transactions",
        "TRUNCATE wallet_transactions",
    ],
)  # fmt: skip
def test_the_apps_role_changes_no_transaction(
    app_connection: psycopg.Connection[Any], wallet: Wallet, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(statement.encode())


@pytest.mark.parametrize(
    "values", ["'charge', -1", "'recharge', 0", "'adjustment', 0", "'charge', 'NaN'", "'gift', 1"]
)
def test_what_no_transaction_can_be_the_database_refuses(
    owner_connection: psycopg.Connection[Any], wallet: Wallet, values: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute(
            f"INSERT INTO wallet_transactions (wallet_id, transaction_type, amount) VALUES (1, {values})".encode()
        )


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    ("tampered", "roots"),
    [
        ("UPDATE wallets SET balance = 1", {("wallets.balance", 1)}),
        ("UPDATE wallets SET total_spent = 1, total_recharged = 2", {("wallets.balance", 1)}),
        ("UPDATE wallet_transactions SET balance_after = 1 WHERE id = 1", {("wallet_transactions.balance", 1)}),
        ("UPDATE wallet_transactions SET balance_before = 1 WHERE id = 2", {("wallet_transactions.balance", 2)}),
    ],
)  # fmt: skip
def test_what_was_written_over_is_found_and_is_its_own_root(
    session: Any, surgery: Any, wallet: Wallet, tampered: str, roots: set[tuple[str, int]]
) -> None:
    actions.charge(session, wallet.id, D(1))
    session.commit()
    assert list(figures.verify(session)) == []
    surgery.execute(tampered)
    found = list(figures.verify(session))
    assert {(root.figure, dict(root.key)["id"]) for f in found for root in f.roots} == roots
    assert {(f.figure.name, f.owner) for f in found} == {(name, 1) for name, _ in roots}


def test_today_tells_of_what_is_low_or_below_zero_and_the_customers_page_shows_it(
    session: Any, wallet: Wallet, sign_in: Any
) -> None:
    browser = sign_in("finance")
    assert "wallet" not in text_of(browser.get("/today").text).casefold().replace("wallets", "")
    wallet.low_limit = D(60_000)
    other = WalletFactory(number="WAL-2", customer=wallet.customer)
    actions.charge(session, wallet.id, D(50_000))
    actions.adjust(session, other.id, D(-7))
    session.commit()
    reported = text_of(browser.get("/today").text)
    assert "1 wallet holds less than its limit." in reported
    assert "1 wallet is below zero: Rp -7.00." in reported or "1 wallet is below zero" in reported
    page = text_of(browser.get("/wallets?state=low").text)
    assert "WAL-1" in page
    assert "WAL-2" not in page
    of_customer = text_of(browser.get(f"/customers/{wallet.customer.code}").text)
    assert "WAL-1" in of_customer
    assert "WAL-2" in of_customer
    assert "WAL-1" not in text_of(
        sign_in("account_manager").get(f"/customers/{wallet.customer.code}").text
    )
    actions.adjust(session, other.id, D(7))
    actions.suspend(session, wallet.id, wallet.version, {"reason": "Asked for"})
    session.commit()
    assert "limit" not in text_of(browser.get("/today").text)
