"""What a user enters of a wallet and of a transaction, in the order of the form."""

from ..base import N_
from ..base.identifiers import NUMBER_SAYS
from ..customers.naming import CUSTOMERS
from ..records import Amount, Choice, Law, Notes, Pick, Text
from .actions import number_for
from .models import Wallet, WalletTransaction
from .refusals import NoAmount
from .rules import NUMBER_LENGTH, REASON_LENGTH, STATUSES, TEXT_LENGTH, TYPES, is_number

NUMBER = Text(
    Wallet.number, N_("Number"), longest=NUMBER_LENGTH, laws=(Law(is_number, NUMBER_SAYS),),
    taken=N_("There is already a wallet %(number)s. Choose another number."),
    help=N_("Leave it empty for the next one."), given=number_for, attributes={"spellcheck": "false"},
)  # fmt: skip
LOW_LIMIT = Amount(
    Wallet.low_limit, N_("Low-balance limit"), empty_is_zero=True,
    help=N_("Today tells when there is less in it than this. Leave it empty, and nobody is told."),
)  # fmt: skip
CUSTOMER = Pick(Wallet.customer_id, N_("Customer"), of=CUSTOMERS, required=N_("Choose a customer."))

WHAT_FOR = Text(
    Wallet.description, N_("Description"), longest=TEXT_LENGTH,
    help=N_("What it is for, where a customer has several."),
)  # fmt: skip

FIELDS = (NUMBER, WHAT_FOR, LOW_LIMIT)
KEPT = (
    CUSTOMER,
    Choice(Wallet.status, N_("Status"), words=STATUSES),
    Notes(Wallet.suspension_reason, N_("Why it is suspended")),
    Notes(Wallet.closing_reason, N_("Why it is closed")),
)

AMOUNT = Amount(
    WalletTransaction.amount, N_("Amount"), required=N_("Enter an amount."),
    laws=(Law(lambda amount: amount > 0, NoAmount.sentence),),
)  # fmt: skip
ADJUSTED = Amount(
    WalletTransaction.amount, N_("Amount"), minimum=None, required=N_("Enter an amount."),
    laws=(Law(lambda amount: amount != 0, NoAmount.sentence),),
    help=N_("An amount above zero is put into the wallet; one below zero is taken out of it."),
)  # fmt: skip
SERVICE_TYPE = Text(WalletTransaction.service_type, N_("Service"), longest=TEXT_LENGTH)
DESCRIPTION = Text(WalletTransaction.description, N_("Description"), longest=TEXT_LENGTH)
REASON = Text(
    WalletTransaction.description, N_("Reason"), called="description", longest=TEXT_LENGTH,
    required=N_("Say why, in a few words."),
)  # fmt: skip
REFERENCE = Text(
    WalletTransaction.reference, N_("Reference"), longest=TEXT_LENGTH,
    help=N_("What the other side knows it by: a receipt, an order, a usage record."),
)  # fmt: skip

OF_TRANSACTION = (
    Choice(WalletTransaction.transaction_type, N_("Type"), words=TYPES),
    AMOUNT,
    Amount(WalletTransaction.balance_before, N_("Balance before"), minimum=None),
    Amount(WalletTransaction.balance_after, N_("Balance after"), minimum=None),
    SERVICE_TYPE,
    DESCRIPTION,
    REFERENCE,
    Text(WalletTransaction.idempotency_key, N_("Idempotency key")),
    Text(WalletTransaction.made_by, N_("Made by")),
)
"""The fields of a transaction; they are never edited."""

SUSPENDED_BECAUSE = Notes(
    Wallet.suspension_reason, N_("Reason"), called="reason", longest=REASON_LENGTH,
    required=N_("Say why it is suspended. The reason is kept with it."),
)  # fmt: skip
CLOSED_BECAUSE = Notes(
    Wallet.closing_reason, N_("Reason"), called="reason", longest=REASON_LENGTH,
    required=N_("Say why it is closed. The reason is kept with it."),
)  # fmt: skip
