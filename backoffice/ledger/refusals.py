"""What is refused in the ledger, each named after its law."""

from ..base import N_
from ..base.refusals import Refusal, Stale


class EntryPosted(Stale):
    """A posted entry stays as it is."""

    sentence = N_(
        "Entry %(number)s is posted: it is not changed any more and cannot be deleted. Reverse it instead."
    )


class NotBalanced(Refusal):
    """What is debited is credited."""

    sentence = N_(
        "The debits of entry %(number)s come to %(debits)s, its credits to %(credits)s. Both must be the same."
    )
    field = "lines"
    type = "urn:backoffice:problem:not-balanced"
    members = ("debits", "credits")


class NothingToPost(Refusal):
    """An entry without lines."""

    sentence = N_("Entry %(number)s has no lines. Enter what it debits and credits first.")
    field = "lines"


class AccountInactive(Refusal):
    """Nothing is posted to an account that is out of use."""

    sentence = N_("Account %(code)s is not active. Choose another one, or activate it first.")
    field = "lines"


class TooMuchInAccount(Refusal):
    """More than an account can hold."""

    sentence = N_("That is more than an account can hold.")


class NotPosted(Refusal):
    """Only what is posted is reversed."""

    sentence = N_("Entry %(number)s is a draft. Change or delete it; there is nothing to reverse.")


class AlreadyReversed(Stale):
    """An entry is reversed once."""

    sentence = N_("Entry %(number)s is reversed already, by entry %(reversal)s.")


class ClosesYear(Refusal):
    """What closes a year is taken back with the closing of its last month."""

    sentence = N_("Entry %(number)s closes a year. Reopen the month instead: that reverses it.")


class NoOneSide(Refusal):
    """A line is a debit or a credit, above zero."""

    sentence = N_("Enter either a debit or a credit, above zero.")
    field = "lines"


class TypeInUse(Refusal):
    """What an account is does not change under what was posted to it."""

    sentence = N_(
        "Entries name account %(code)s, so its type stays. Open another account, and reverse what belongs there."
    )
    field = "type"


class RoleTaken(Refusal):
    """Posting rules post to one account: another one with the same use would take over what was posted."""

    sentence = N_(
        "Account %(code)s is used for this already, and what was posted would move to this one. Take the use from "
        "there first, or let that account be inactive."
    )
    field = "role"


class AccountsNotNamed(Refusal):
    """Posting rules post to accounts that a user has chosen."""

    sentence = N_(
        "No active account is used for: %(roles)s. Choose one for each under Ledger, Accounts, then post again."
    )


UNNAMED = N_("No active account is used for what this posts to. Choose one under Ledger, Accounts.")
"""The same of one document, as a run says it."""


class BeneathItself(Refusal):
    """No account stands beneath itself."""

    sentence = N_("Account %(parent)s stands beneath %(code)s. Choose another one.")
    field = "parent"


class AlreadyClosed(Stale):
    """A closed month."""

    sentence = N_("%(month)s is closed already.")


class NotClosed(Stale):
    """Only a closed month is reopened."""

    sentence = N_("%(month)s is not closed.")


class NotOver(Refusal):
    """A month is closed when it is over."""

    sentence = N_("%(month)s is not over yet. Close it after its last day.")


class NotNext(Refusal):
    """Months are closed one after the other."""

    sentence = N_("Close %(next)s first: months are closed one after the other.")


class YearEndLocked(Refusal):
    """The entry that closes a year is of a day that is open."""

    sentence = N_(
        "The closing entry is of %(day)s, and the days up to %(until)s are locked. Open them first: backoffice balance "
        "lock --open --reason WHY"
    )


class NotLast(Refusal):
    """Months are reopened from the last closed one backwards."""

    sentence = N_("Reopen %(last)s first: months are reopened from the last closed one backwards.")


class NotInOrder(Refusal):
    """Something of the month is not in order."""

    sentence = N_("%(month)s cannot be closed yet: %(checks)s.")


class NoReason(Refusal):
    """Whoever reopens a month says why."""

    sentence = N_("Say why the month is reopened: it is kept in the audit trail.")
    field = "reason"
