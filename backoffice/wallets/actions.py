"""Actions on wallets. Nothing here commits.

A transaction is posted in two statements: one locks the wallet and reads its balance, one inserts the transaction with
the balance before and after. A trigger adds to the wallet's sums in the same statement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from ..base import money, periods
from ..base.refusals import KeyUsedOtherwise, Refusal
from ..customers.models import Customer
from ..database.numbering import next_number
from ..records import Values
from ..records.actions import RecordGone, bump_version, check_version, next_version
from ..records.actions import locked as lock
from .models import Wallet, WalletTransaction
from .refusals import (
    REFUSED_BY,
    AlreadySuspended,
    BelowZero,
    BelowZeroAndSuspended,
    InsufficientBalance,
    MoreThanCharged,
    NoAmount,
    NotSuspended,
    TooMuchInIt,
    WalletNotEmpty,
)
from .rules import (
    ACTIVE,
    ADJUSTMENT,
    CHARGE,
    CLOSED,
    RECHARGE,
    REFUND,
    SUSPENDED,
    moved_by,
)

# Opening


def number_for(session: Session, _entered: Values) -> str:
    """The next free wallet number of this year."""
    return next_number(session, Wallet.number, f"WAL-{periods.today().year}-")


def open_wallet(session: Session, entered: Values) -> Wallet:
    """Create an empty wallet of a customer."""
    values = {name: entered[name] for name in ("number", "description", "low_limit")}
    wallet = Wallet(**values, customer_id=entered["customer"])
    session.add(wallet)
    session.flush()
    return wallet


def wallet_of(session: Session, customer_id: int) -> Wallet:
    """The customer's oldest wallet that is not closed, created if there is none, only once under concurrency.

    Concurrent calls wait for the lock on the customer's row; a merged customer has the survivor's. Raises RecordGone.
    """
    found: Wallet | None = session.scalars(_of_customer(customer_id)).first()
    if found is None:
        customer = lock(session, Customer, [customer_id], key_share=True)[customer_id]
        if customer.merged_into_id is not None:
            return wallet_of(session, customer.merged_into_id)
        found = session.scalars(_of_customer(customer_id)).first()
    if found is None:
        found = Wallet(number=number_for(session, {}), customer_id=customer_id)
        session.add(found)
        session.flush()
    return found


def _of_customer(customer_id: int) -> Select[Wallet]:
    usable = select(Wallet).where(Wallet.customer_id == customer_id, Wallet.status != CLOSED)
    return usable.order_by(Wallet.id).limit(1)


# Transactions


def charge(
    session: Session, wallet_id: int, amount: Decimal, **reported: str | None
) -> WalletTransaction:
    """Take `amount`, above zero, out of a wallet; see `post`."""
    return post(session, wallet_id, CHARGE, amount, **reported).row


def recharge(
    session: Session, wallet_id: int, amount: Decimal, **reported: str | None
) -> WalletTransaction:
    """Put `amount`, above zero, into a wallet; see `post`."""
    return post(session, wallet_id, RECHARGE, amount, **reported).row


def refund(
    session: Session, wallet_id: int, amount: Decimal, **reported: str | None
) -> WalletTransaction:
    """Give back `amount`, above zero and not above what was charged; see `post`."""
    return post(session, wallet_id, REFUND, amount, **reported).row


def adjust(
    session: Session, wallet_id: int, amount: Decimal, **reported: str | None
) -> WalletTransaction:
    """Correct what is in a wallet by `amount`, above or below zero; see `post`."""
    return post(session, wallet_id, ADJUSTMENT, amount, **reported).row


@dataclass(frozen=True)
class PostedTransaction:
    """A transaction; `is_new` is false where an earlier request created it under the same key."""

    row: WalletTransaction
    is_new: bool


_HELD = (
    select(Wallet.id, Wallet.number, Wallet.status, Wallet.suspension_reason)
    .add_columns(Wallet.balance, Wallet.total_recharged, Wallet.total_spent)
    .where(Wallet.id == bindparam("id"))
    .with_for_update(key_share=True)
)
"""Locks the wallet and reads its current values, also after waiting for the lock."""

_RECORDED = (
    "wallet_id", "transaction_type", "amount", "service_type", "description", "reference", "idempotency_key",
    "balance_before", "balance_after",
)  # fmt: skip
_MADE = select(WalletTransaction).from_statement(
    insert(WalletTransaction)
    .values({name: bindparam(name) for name in _RECORDED})
    .on_conflict_do_nothing(index_elements=[WalletTransaction.idempotency_key])
    .returning(WalletTransaction)
)

_OUT_OF_RANGE = "22003"


def post(
    session: Session, wallet_id: int, transaction_type: str, amount: Decimal, **reported: Any
) -> PostedTransaction:
    """Post a transaction to a wallet; under an `idempotency_key` that was used before, the one created then.

    `reported` are its `service_type`, `description` and `reference`. An adjustment that takes a wallet below zero
    suspends it, and a transaction that brings it up to zero again lifts that suspension.

    Raises:
        InsufficientBalance, MoreThanCharged: a charge above the balance, a refund above what was charged.
        WalletSuspended, WalletClosed, RecordGone: the wallet accepts no charge, or no transaction, or does not exist.
        NoAmount, TooMuchInIt: the amount is invalid, or the balance would exceed what can be stored.
        KeyUsedOtherwise: another transaction was created under this key.
    """
    refuse_amount(transaction_type, amount)
    entered = {
        **_UNREPORTED,
        **reported,
        "wallet_id": wallet_id,
        "transaction_type": transaction_type,
        "amount": amount,
    }
    wallet = session.execute(_HELD, {"id": wallet_id}).one_or_none()
    if wallet is None:
        raise RecordGone()
    after = wallet.balance + moved_by(transaction_type, amount)
    if _may_not_fit(wallet, amount) and (first := _created_under_key(session, entered)) is not None:
        return PostedTransaction(first, is_new=False)
    try:
        refuse_post(wallet, transaction_type, amount, after)
        balances = {"balance_before": wallet.balance, "balance_after": after}
        made = _inserted(session, {**entered, **balances})
    except TooMuchInIt:
        raise
    except Refusal:
        if (first := _created_under_key(session, entered)) is not None:
            return PostedTransaction(first, is_new=False)
        raise
    _update_suspension(session, wallet, after)
    return PostedTransaction(made, is_new=True)


_UNREPORTED = {"service_type": "", "description": "", "reference": "", "idempotency_key": None}


def refuse_amount(transaction_type: str, amount: Decimal) -> None:
    """Raises NoAmount where a transaction of that type cannot have this amount."""
    if not amount.is_finite() or amount != money.round_amount(amount):
        raise NoAmount()
    if amount == 0 or (amount < 0 and transaction_type != ADJUSTMENT):
        raise NoAmount()


def refuse_post(wallet: Any, transaction_type: str, amount: Decimal, after: Decimal) -> None:
    """Raises the refusal of a transaction, by the wallet's values as read under its lock."""
    refuse_status(wallet, transaction_type)
    if transaction_type == CHARGE and after < 0:
        raise InsufficientBalance(number=wallet.number, balance=wallet.balance, amount=amount)
    if transaction_type == REFUND and amount > wallet.total_spent:
        raise MoreThanCharged(number=wallet.number, spent=wallet.total_spent, amount=amount)


def _may_not_fit(wallet: Any, amount: Decimal) -> bool:
    """Whether the new totals may overflow in PostgreSQL, after which this transaction can execute no statement."""
    held = max(map(abs, (wallet.balance, wallet.total_recharged, wallet.total_spent)))
    return bool(held + abs(amount) > money.MAX_AMOUNT)


def refuse_status(wallet: Any, transaction_type: str) -> None:
    """Raises the refusal of that type of transaction by the wallet's status (`REFUSED_BY`)."""
    if refusal := REFUSED_BY.get((wallet.status, transaction_type)):
        raise refusal(number=wallet.number)


def _inserted(session: Session, row: Values) -> WalletTransaction:
    """Insert the transaction. Raises KeyUsedOtherwise, TooMuchInIt."""
    try:
        made: WalletTransaction | None = session.scalars(_MADE, row).one_or_none()
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) == _OUT_OF_RANGE:
            raise TooMuchInIt() from error
        raise
    if made is None:
        raise KeyUsedOtherwise()
    return made


def _created_under_key(session: Session, entered: Values) -> WalletTransaction | None:
    """The transaction that was created under this key; None without one. Raises KeyUsedOtherwise."""
    key = entered["idempotency_key"]
    if key is None:
        return None
    under_key = select(WalletTransaction).where(WalletTransaction.idempotency_key == key)
    first = session.scalars(under_key).one_or_none()
    if first is not None and any(getattr(first, name) != entered[name] for name in entered):
        raise KeyUsedOtherwise()
    return first


def _update_suspension(session: Session, wallet: Any, after: Decimal) -> None:
    """Suspend a wallet below zero; lift the suspension of one that was only below zero, once it is not."""
    is_below = wallet.status == ACTIVE and after < 0
    is_lifted = wallet.status == SUSPENDED and not wallet.suspension_reason and after >= 0
    if is_below or is_lifted:
        found = session.get_one(Wallet, wallet.id, populate_existing=True)
        found.status = SUSPENDED if is_below else ACTIVE
        next_version(found)
        session.flush()


# Status changes by a person


def suspend(session: Session, wallet_id: int, version: int, reported: Values) -> Wallet:
    """Suspend a wallet: no charges until that is lifted. Raises RecordChanged, and what `refuse_suspend` does."""
    values = {"status": SUSPENDED, "suspension_reason": reported["reason"]}
    return _changed(session, wallet_id, version, refuse_suspend, values)


def lift(session: Session, wallet_id: int, version: int, _reported: Values) -> Wallet:
    """Lift a suspension. Raises RecordChanged, and what `refuse_lift` does."""
    values = {"status": ACTIVE, "suspension_reason": ""}
    return _changed(session, wallet_id, version, refuse_lift, values)


def close(session: Session, wallet_id: int, version: int, reported: Values) -> Wallet:
    """Close a wallet: no transactions any more. Raises RecordChanged, and what `refuse_close` does."""
    values = {"status": CLOSED, "closing_reason": reported["reason"]}
    return _changed(session, wallet_id, version, refuse_close, values)


def _changed(
    session: Session,
    wallet_id: int,
    version: int,
    refuses: Callable[[Session, Wallet], None],
    values: Values,
) -> Wallet:
    wallet: Wallet = lock(session, Wallet, [wallet_id], key_share=True)[wallet_id]
    refuses(session, wallet)
    check_version(wallet, version, wallet.number)
    for name, value in values.items():
        setattr(wallet, name, value)
    bump_version(session, wallet)
    session.flush()
    return wallet


def refuse_moves(_session: Session, wallet: Wallet) -> None:
    """Raises WalletClosed: a closed wallet has no transactions."""
    refuse_status(wallet, RECHARGE)


def refuse_charge(_session: Session, wallet: Wallet) -> None:
    """Raises WalletClosed, WalletSuspended."""
    refuse_status(wallet, CHARGE)


def refuse_suspend(session: Session, wallet: Wallet) -> None:
    """Raises WalletClosed, AlreadySuspended."""
    refuse_moves(session, wallet)
    if wallet.status == SUSPENDED and wallet.suspension_reason:
        raise AlreadySuspended(number=wallet.number)


def refuse_lift(session: Session, wallet: Wallet) -> None:
    """Raises WalletClosed, NotSuspended, BelowZero, BelowZeroAndSuspended."""
    refuse_moves(session, wallet)
    if wallet.status != SUSPENDED:
        raise NotSuspended(number=wallet.number)
    if wallet.balance < 0:
        refusal = BelowZeroAndSuspended if wallet.suspension_reason else BelowZero
        raise refusal(number=wallet.number)


def refuse_close(session: Session, wallet: Wallet) -> None:
    """Raises WalletClosed, WalletNotEmpty."""
    refuse_moves(session, wallet)
    if wallet.balance != 0:
        raise WalletNotEmpty(number=wallet.number, balance=wallet.balance)
