"""What can be done to wallets. Nothing here commits.

A transaction is posted in two statements: one locks the wallet and reads what is in it, one inserts the transaction
with the balances that are known by that. The sums follow by themselves, in the same statement.
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
from ..base.numbering import next_number
from ..base.refusals import KeyUsedOtherwise, Refusal
from ..customers.models import Customer
from ..records import Values
from ..records.actions import RecordGone, check_version, count, next_version
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
    """The next number of this year."""
    return next_number(session, Wallet.number, f"WAL-{periods.today().year}-")


def open_wallet(session: Session, entered: Values) -> Wallet:
    """A new wallet of a customer, with nothing in it."""
    reported = {name: entered[name] for name in ("number", "description", "low_limit")}
    wallet = Wallet(**reported, customer_id=entered["customer"])
    session.add(wallet)
    session.flush()
    return wallet


def wallet_of(session: Session, customer_id: int) -> Wallet:
    """The customer's oldest wallet that is not closed; opened if there is none, once however many ask.

    They wait for each other at the customer, who is there; of a merged one it is the survivor's. Raises RecordGone.
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
    mine = select(Wallet).where(Wallet.customer_id == customer_id, Wallet.status != CLOSED)
    return mine.order_by(Wallet.id).limit(1)


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
class Posted:
    """A transaction, and whether it was made now; else it was before, under the same key."""

    row: WalletTransaction
    is_new: bool


_HELD = (
    select(Wallet.id, Wallet.number, Wallet.status, Wallet.suspension_reason)
    .add_columns(Wallet.balance, Wallet.total_recharged, Wallet.total_spent)
    .where(Wallet.id == bindparam("id"))
    .with_for_update(key_share=True)
)
"""Locks the wallet; when that was waited for, it reads what is there now."""

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
) -> Posted:
    """A transaction of a wallet; under an `idempotency_key` that was used, the one that was made then.

    `reported` are its `service_type`, `description` and `reference`. An adjustment that takes a wallet below zero
    suspends it, and whatever brings it up to zero again lifts that.

    Raises:
        InsufficientBalance, MoreThanCharged: a charge of more than there is, a refund of more than was charged.
        WalletSuspended, WalletClosed, RecordGone: nothing can be charged to it, or moved in it.
        NoAmount, TooMuchInIt: it is no amount of money, or more than can be stored.
        KeyUsedOtherwise: another transaction was made under this key.
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
    if _may_not_fit(wallet, amount) and (first := _earlier(session, entered)) is not None:
        return Posted(first, is_new=False)
    try:
        refuse_post(wallet, transaction_type, amount, after)
        balances = {"balance_before": wallet.balance, "balance_after": after}
        made = _inserted(session, {**entered, **balances})
    except TooMuchInIt:
        raise
    except Refusal:
        if (first := _earlier(session, entered)) is not None:
            return Posted(first, is_new=False)
        raise
    _follow(session, wallet, after)
    return Posted(made, is_new=True)


_UNREPORTED = {"service_type": "", "description": "", "reference": "", "idempotency_key": None}


def refuse_amount(transaction_type: str, amount: Decimal) -> None:
    """Raises NoAmount where a transaction of that type cannot be of so much."""
    if not amount.is_finite() or amount != money.round_amount(amount):
        raise NoAmount()
    if amount == 0 or (amount < 0 and transaction_type != ADJUSTMENT):
        raise NoAmount()


def refuse_post(wallet: Any, transaction_type: str, amount: Decimal, after: Decimal) -> None:
    """Raises what forbids it, of a wallet as it was read under its lock."""
    refuse_status(wallet, transaction_type)
    if transaction_type == CHARGE and after < 0:
        raise InsufficientBalance(number=wallet.number, balance=wallet.balance, amount=amount)
    if transaction_type == REFUND and amount > wallet.total_spent:
        raise MoreThanCharged(number=wallet.number, spent=wallet.total_spent, amount=amount)


def _may_not_fit(wallet: Any, amount: Decimal) -> bool:
    """Whether PostgreSQL may refuse what a wallet comes to, and nothing can be asked in the transaction after that."""
    held = max(map(abs, (wallet.balance, wallet.total_recharged, wallet.total_spent)))
    return bool(held + abs(amount) > money.MAX_AMOUNT)


def refuse_status(wallet: Any, transaction_type: str) -> None:
    """Raises what a wallet's status forbids (`REFUSED_BY`)."""
    if refusal := REFUSED_BY.get((wallet.status, transaction_type)):
        raise refusal(number=wallet.number)


def _inserted(session: Session, row: Values) -> WalletTransaction:
    """Raises KeyUsedOtherwise, TooMuchInIt."""
    try:
        made: WalletTransaction | None = session.scalars(_MADE, row).one_or_none()
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) == _OUT_OF_RANGE:
            raise TooMuchInIt() from error
        raise
    if made is None:
        raise KeyUsedOtherwise()
    return made


def _earlier(session: Session, entered: Values) -> WalletTransaction | None:
    """The transaction that was made under the key; None without one. Raises KeyUsedOtherwise."""
    key = entered["idempotency_key"]
    if key is None:
        return None
    mine = select(WalletTransaction).where(WalletTransaction.idempotency_key == key)
    first = session.scalars(mine).one_or_none()
    if first is not None and any(getattr(first, name) != entered[name] for name in entered):
        raise KeyUsedOtherwise()
    return first


def _follow(session: Session, wallet: Any, after: Decimal) -> None:
    """A wallet below zero is suspended; one that was so only for that is not, when it is zero again."""
    is_below = wallet.status == ACTIVE and after < 0
    is_lifted = wallet.status == SUSPENDED and not wallet.suspension_reason and after >= 0
    if is_below or is_lifted:
        found = session.get_one(Wallet, wallet.id, populate_existing=True)
        found.status = SUSPENDED if is_below else ACTIVE
        next_version(found)
        session.flush()


# What a person decides


def suspend(session: Session, wallet_id: int, version: int, reported: Values) -> Wallet:
    """Let nothing be charged to a wallet until that is lifted. Raises RecordChanged, what `refuse_suspend` does."""
    values = {"status": SUSPENDED, "suspension_reason": reported["reason"]}
    return _changed(session, wallet_id, version, refuse_suspend, values)


def lift(session: Session, wallet_id: int, version: int, _reported: Values) -> Wallet:
    """Let a suspended wallet be charged again. Raises RecordChanged, what `refuse_lift` does."""
    values = {"status": ACTIVE, "suspension_reason": ""}
    return _changed(session, wallet_id, version, refuse_lift, values)


def close(session: Session, wallet_id: int, version: int, reported: Values) -> Wallet:
    """Let nothing move in a wallet any more. Raises RecordChanged, what `refuse_close` does."""
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
    count(session, wallet)
    session.flush()
    return wallet


def refuse_moves(_session: Session, wallet: Wallet) -> None:
    """Nothing moves in a closed wallet. Raises WalletClosed."""
    refuse_status(wallet, RECHARGE)


def refuse_charge(_session: Session, wallet: Wallet) -> None:
    """Nothing is charged to one that is suspended, either. Raises WalletClosed, WalletSuspended."""
    refuse_status(wallet, CHARGE)


def refuse_suspend(session: Session, wallet: Wallet) -> None:
    """Raises WalletClosed, AlreadySuspended."""
    refuse_moves(session, wallet)
    if wallet.status == SUSPENDED and wallet.suspension_reason:
        raise AlreadySuspended(number=wallet.number)


def refuse_lift(session: Session, wallet: Wallet) -> None:
    """One below zero is recharged first. Raises WalletClosed, NotSuspended, BelowZero, BelowZeroAndSuspended."""
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
