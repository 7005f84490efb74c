"""Declarations of wallets and their transactions."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from ..audit.tables import Recorded
from ..base import N_
from ..records import Contents, Field, Record, Repeated, Values, Verb
from . import actions
from .fields import (
    ADJUSTED,
    AMOUNT,
    CLOSED_BECAUSE,
    CUSTOMER,
    DESCRIPTION,
    FIELDS,
    KEPT,
    OF_TRANSACTION,
    REASON,
    REFERENCE,
    SERVICE_TYPE,
    SUSPENDED_BECAUSE,
)
from .figures import running, wallet_totals
from .listing import TRANSACTIONS, WALLETS
from .models import Wallet, WalletTransaction
from .refusals import InsufficientBalance
from .rules import ADJUSTMENT, CHARGE, RECHARGE, REFUND


class Transactions(Record):
    """The record of wallet transactions; the audit trail shows them with their wallet."""

    def recorded(self) -> Recorded:
        """How the audit trail shows a transaction: as part of its wallet."""
        labels = {field.key: field.label for field in self.fields}
        return Recorded(self.title, self.model, part_of=WalletTransaction.wallet_id, labels=labels)


TRANSACTION = Transactions(
    WalletTransaction,
    name=WalletTransaction.id,
    domain="wallet_transactions",
    title=N_("Wallet transaction"),
    many=TRANSACTIONS.title,
    called=N_("Transaction %(id)s"),
    listing=lambda _user: TRANSACTIONS,
    reads="wallets.read",
    append_only=True,
    fields=OF_TRANSACTION,
    url="/wallet-transactions",
    list_page="wallets/transactions.html",
    frame="wallets/transaction.html",
)


def _posts(transaction_type: str) -> Callable[[Session, int, int, Values], Any]:
    """The function by which a verb posts a transaction of that type."""

    def run(session: Session, wallet_id: int, _version: int, values: Values) -> Any:
        posted = actions.post(session, wallet_id, transaction_type, **values)
        return posted.row if posted.is_new else Repeated(posted.row)

    return run


def _posting(name: str, title: str, fields: Sequence[Field], **more: Any) -> Verb:
    """A verb that posts a transaction."""
    given: dict[str, Any] = {
        "refuses": actions.refuse_moves, "creates": TRANSACTION, "key": "idempotency_key", "fields": fields,
    }  # fmt: skip
    return Verb(name, title, _posts(more.pop("makes", name)), **given | more)


POSTINGS = (
    _posting(
        RECHARGE, N_("Recharge"), (AMOUNT, REFERENCE, DESCRIPTION), at="recharges", shortcut="r",
        question=N_("Recharge wallet %(number)s"), done=N_("Wallet %(number)s is recharged."),
    ),
    _posting(
        REFUND, N_("Refund"), (AMOUNT, SERVICE_TYPE, REFERENCE, DESCRIPTION), at="refunds", shortcut="f",
        question=N_("Refund to wallet %(number)s"), done=N_("The refund is in wallet %(number)s."),
    ),
    _posting(
        "adjust", N_("Adjust"), (ADJUSTED, REASON, REFERENCE), at="adjustments", makes=ADJUSTMENT, shortcut="a",
        question=N_("Adjust wallet %(number)s"), done=N_("Wallet %(number)s is adjusted."),
    ),
    _posting(
        CHARGE, N_("Charge"), (AMOUNT, SERVICE_TYPE, DESCRIPTION, REFERENCE), at="charges", for_people=False,
        question=N_("Charge wallet %(number)s"), done=N_("Wallet %(number)s is charged."),
        refuses=actions.refuse_charge, raises=(InsufficientBalance,),
    ),
)  # fmt: skip

SUSPEND = Verb(
    "suspend", N_("Suspend"), actions.suspend,
    question=N_("Suspend wallet %(number)s?"),
    explains=N_("Nothing is charged to it until a user lifts the suspension. It can be recharged."),
    done=N_("Wallet %(number)s is suspended."),
    fields=(SUSPENDED_BECAUSE,), refuses=actions.refuse_suspend,
)  # fmt: skip
LIFT = Verb(
    "lift", N_("Lift the suspension"), actions.lift,
    question=N_("Lift the suspension of wallet %(number)s?"),
    explains=N_("It can be charged again."),
    done=N_("Wallet %(number)s can be charged again."),
    refuses=actions.refuse_lift,
)  # fmt: skip
CLOSE = Verb(
    "close", N_("Close"), actions.close,
    question=N_("Close wallet %(number)s?"),
    explains=N_("Nothing moves in it any more. It stays with its transactions."),
    done=N_("Wallet %(number)s is closed."),
    fields=(CLOSED_BECAUSE,), refuses=actions.refuse_close, is_final=True,
)  # fmt: skip


WALLET = Record(
    Wallet,
    name=Wallet.number,
    domain="wallets",
    title=N_("Wallet"),
    many=WALLETS.title,
    new=N_("New wallet"),
    called=N_("Wallet %(number)s"),
    saved=N_("Wallet %(number)s is saved."),
    listing=lambda _user: WALLETS,
    reads="wallets.read",
    writes="wallets.write",
    has_path=True,
    fields=FIELDS,
    new_fields=(CUSTOMER,),
    kept=KEPT,
    contents=(Contents("transactions", TRANSACTION, WalletTransaction.wallet_id),),
    verbs=(*POSTINGS, SUSPEND, LIFT, CLOSE),
    create=actions.open_wallet,
    figures=(running, wallet_totals),
    main="balance",
    recalculated="wallet",
)

RECORDS = (WALLET, TRANSACTION)
