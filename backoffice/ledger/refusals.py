"""The refusals of the ledger, each named after the rule that was broken."""

from ..base import N_
from ..base.refusals import Refusal, Stale


class EntryPosted(Stale):
    """A change of a posted entry, which is immutable."""

    sentence = N_(
        "Entry %(number)s is posted: it is not changed any more and cannot be deleted. Reverse it instead."
    )


class NotBalanced(Refusal):
    """An entry with debits that differ from its credits."""

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
    """A posting to an inactive account."""

    sentence = N_("Account %(code)s is not active. Choose another one, or activate it first.")
    field = "lines"


class TooMuchInAccount(Refusal):
    """More than an account can hold."""

    sentence = N_("That is more than an account can hold.")


class NotPosted(Refusal):
    """The reversal of a draft."""

    sentence = N_("Entry %(number)s is a draft. Change or delete it; there is nothing to reverse.")


class AlreadyReversed(Stale):
    """A second reversal of the same entry."""

    sentence = N_("Entry %(number)s is reversed already, by entry %(reversal)s.")


class ClosesYear(Refusal):
    """The reversal of a year's closing entry, which only reopening its month reverses."""

    sentence = N_("Entry %(number)s closes a year. Reopen the month instead: that reverses it.")


class NoOneSide(Refusal):
    """A line that is not exactly one of debit and credit, above zero."""

    sentence = N_("Enter either a debit or a credit, above zero.")
    field = "lines"


class TypeInUse(Refusal):
    """A change of type of an account to which entries are posted."""

    sentence = N_(
        "Entries name account %(code)s, so its type stays. Open another account, and reverse what belongs there."
    )
    field = "type"


class RoleTaken(Refusal):
    """A second active account of the same role: posting rules post to one account per role."""

    sentence = N_(
        "Account %(code)s is used for this already, and what was posted would move to this one. Take the use from "
        "there first, or let that account be inactive."
    )
    field = "role"


class AccountsNotNamed(Refusal):
    """Posting by rules while no active account has the role."""

    sentence = N_(
        "No active account is used for: %(roles)s. Choose one for each under Ledger, Accounts, then post again."
    )


UNNAMED = N_("No active account is used for what this posts to. Choose one under Ledger, Accounts.")
"""The reason of a single document that a run could not post."""


class BeneathItself(Refusal):
    """An account that would become its own ancestor."""

    sentence = N_("Account %(parent)s stands beneath %(code)s. Choose another one.")
    field = "parent"


class AlreadyClosed(Stale):
    """Closing a month that is closed already."""

    sentence = N_("%(month)s is closed already.")


class NotClosed(Stale):
    """Reopening a month that is not closed."""

    sentence = N_("%(month)s is not closed.")


class NotOver(Refusal):
    """Closing a month before it is over."""

    sentence = N_("%(month)s is not over yet. Close it after its last day.")


class NotNext(Refusal):
    """Closing a month while an earlier one is open."""

    sentence = N_("Close %(next)s first: months are closed one after the other.")


class YearEndLocked(Refusal):
    """A closing entry on a locked day."""

    sentence = N_(
        "The closing entry is of %(day)s, and the days up to %(until)s are locked. Open them first: backoffice balance "
        "lock --open --reason WHY"
    )


class NotLast(Refusal):
    """Reopening a month while a later one is closed."""

    sentence = N_("Reopen %(last)s first: months are reopened from the last closed one backwards.")


class NotInOrder(Refusal):
    """Closing a month of which a check of the checklist fails."""

    sentence = N_("%(month)s cannot be closed yet: %(checks)s.")


class NoReason(Refusal):
    """Reopening a month without a reason."""

    sentence = N_("Say why the month is reopened: it is kept in the audit trail.")
    field = "reason"
