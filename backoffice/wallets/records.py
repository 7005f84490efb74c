"""Wallets, as they are opened, listed, suspended and closed; and what moves in them."""

from ..audit.tables import Recorded
from ..base import N_
from ..records import Record, Verb
from . import actions
from .fields import CLOSED_BECAUSE, CUSTOMER, FIELDS, KEPT, OF_TRANSACTION, SUSPENDED_BECAUSE
from .figures import running, wallet_totals
from .listing import WALLETS
from .models import Wallet, WalletTransaction

SUSPEND = Verb(
    "suspend", N_("Suspend"), actions.suspend,
    question=N_("Suspend wallet %(number)s?"),
    explains=N_("Nothing is charged to it until somebody lifts the suspension. It can be recharged."),
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
    verbs=(SUSPEND, LIFT, CLOSE),
    create=actions.open_wallet,
    figures=(running, wallet_totals),
)

RECORDS = (WALLET,)
RECORDED = (
    Recorded(
        N_("Wallet transaction"), WalletTransaction, part_of=WalletTransaction.wallet_id,
        labels={field.key: field.label for field in OF_TRANSACTION},
    ),
)  # fmt: skip
