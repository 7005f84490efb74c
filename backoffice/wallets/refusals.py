"""What is refused of wallets, each named after its law."""

from collections.abc import Mapping

from ..base import N_
from ..base.refusals import Refusal, Stale
from .rules import CHARGE, CLOSED, SUSPENDED, TYPES


class InsufficientBalance(Refusal):
    """A charge of more than there is."""

    sentence = N_(
        "Wallet %(number)s holds %(balance)s, which is less than %(amount)s. Nothing was charged: recharge it first."
    )
    status = 402
    field = "amount"
    type = "urn:backoffice:problem:insufficient-balance"
    members = ("balance",)


class MoreThanCharged(Refusal):
    """A refund of more than was charged and not given back yet."""

    sentence = N_(
        "%(amount)s is more than what was charged to wallet %(number)s, which is %(spent)s. Nothing was refunded: to "
        "put in more, adjust the wallet."
    )
    field = "amount"


class WalletSuspended(Refusal):
    """A charge to a wallet that is suspended."""

    sentence = N_("Wallet %(number)s is suspended. Nothing is charged to it until that is lifted.")


class WalletClosed(Stale):
    """A user has closed it."""

    sentence = N_("Wallet %(number)s is closed. Nothing moves in it any more.")


class WalletNotEmpty(Refusal):
    """What is in a wallet, or owed for it, is settled before it is closed."""

    sentence = N_("There is %(balance)s in wallet %(number)s. Adjust it to zero, then close it.")


class AlreadySuspended(Stale):
    """A user has suspended it."""

    sentence = N_("Wallet %(number)s is suspended already.")


class NotSuspended(Stale):
    """There is nothing to lift."""

    sentence = N_("Wallet %(number)s is not suspended.")


class TooMuchInIt(Refusal):
    """More than a wallet can hold, in it or altogether."""

    sentence = N_("That is more than a wallet can hold.")
    field = "amount"


class NoAmount(Refusal):
    """A transaction of nothing, of less, or of a fraction of the smallest unit."""

    sentence = N_(
        "Enter an amount above zero. Only an adjustment can be below it, and none is zero."
    )
    field = "amount"


class BelowZero(Refusal):
    """The suspension of a wallet that owes."""

    sentence = N_("Wallet %(number)s is below zero. A recharge lifts the suspension by itself.")


class BelowZeroAndSuspended(BelowZero):
    """The suspension of a wallet that owes, by a person: a recharge does not lift it."""

    sentence = N_("Wallet %(number)s is below zero. Recharge it first, then lift the suspension.")


REFUSED_BY: Mapping[tuple[str, str], type[Refusal]] = {
    (SUSPENDED, CHARGE): WalletSuspended, **{(CLOSED, kind): WalletClosed for kind in TYPES},
}  # fmt: skip
"""What is refused of a wallet of that status: a transaction of that type."""
