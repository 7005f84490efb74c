"""Why a month is not closed or reopened."""

from ...base import N_
from ...base.refusals import Refusal, Stale


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
