"""The refusals of wallets, each named after the rule that was broken."""

from collections.abc import Mapping

from ..base import N_
from ..base.refusals import Refusal, Stale
from .rules import CHARGE, CLOSED, SUSPENDED, TYPES


class InsufficientBalance(Refusal):
    """A charge above the balance."""

    sentence = N_(
        "Wallet %(number)s holds %(balance)s, which is less than %(amount)s. Nothing was charged: recharge it first."
    )
    status = 402
    field = "amount"
    type = "urn:backoffice:problem:insufficient-balance"
    members = ("balance",)


class MoreThanCharged(Refusal):
    """A refund above what was charged and not refunded yet."""

    sentence = N_(
        "%(amount)s is more than what was charged to wallet %(number)s, which is %(spent)s. Nothing was refunded: to "
        "put in more, adjust the wallet."
    )
    field = "amount"


class WalletSuspended(Refusal):
    """A charge to a suspended wallet."""

    sentence = N_("Wallet %(number)s is suspended. Nothing is charged to it until that is lifted.")


class WalletClosed(Stale):
    """A transaction in a closed wallet."""

    sentence = N_("Wallet %(number)s is closed. Nothing moves in it any more.")


class WalletNotEmpty(Refusal):
    """Closing a wallet with a balance other than zero."""

    sentence = N_("There is %(balance)s in wallet %(number)s. Adjust it to zero, then close it.")


class AlreadySuspended(Stale):
    """Suspending a wallet that a user has suspended already."""

    sentence = N_("Wallet %(number)s is suspended already.")


class NotSuspended(Stale):
    """Lifting the suspension of a wallet that is not suspended."""

    sentence = N_("Wallet %(number)s is not suspended.")


class TooMuchInIt(Refusal):
    """A transaction by which a total would exceed what can be stored."""

    sentence = N_("That is more than a wallet can hold.")
    field = "amount"


class NoAmount(Refusal):
    """An amount that is zero, negative where that is not allowed, or has a fraction of the smallest unit."""

    sentence = N_(
        "Enter an amount above zero. Only an adjustment can be below it, and none is zero."
    )
    field = "amount"


class BelowZero(Refusal):
    """Lifting the suspension of a wallet below zero."""

    sentence = N_("Wallet %(number)s is below zero. A recharge lifts the suspension by itself.")


class BelowZeroAndSuspended(BelowZero):
    """Lifting a person's suspension of a wallet below zero, which a recharge does not lift."""

    sentence = N_("Wallet %(number)s is below zero. Recharge it first, then lift the suspension.")


REFUSED_BY: Mapping[tuple[str, str], type[Refusal]] = {
    (SUSPENDED, CHARGE): WalletSuspended, **{(CLOSED, kind): WalletClosed for kind in TYPES},
}  # fmt: skip
"""Status of a wallet and type of transaction → the refusal."""
