"""The errors of runs; each message states what to do next."""

from ..base import N_
from ..base.refusals import Refusal
from .models import Run


class UnknownKind(Refusal):
    """No such kind of run is declared."""

    sentence = N_("There is no kind of run called %(kind)s.")


class UnknownRun(Refusal):
    """There is no run of that number."""

    sentence = N_("There is no run %(run)s.")
    status = 404


class AlreadyRunning(Refusal):
    """A run of the same kind and scope has not finished."""

    sentence = N_("Run %(run)s does the same at the moment. Wait for it, or cancel it first.")
    status = 409

    @property
    def run_id(self) -> int:
        """The number of that run."""
        return int(str(self.values["run"]))


class NotWaiting(Refusal):
    """Only what waits for approval can be approved."""

    sentence = N_("Run %(run)s does not wait for approval.")
    status = 409


class PreviewFirst(Refusal):
    """A signed-in user changes stored totals only as a dry run has shown them."""

    sentence = N_("Let a dry run show first what would change, then apply that.")


class MayNotApprove(Refusal):
    """Only a signed-in user with the permission approves; a command or a program has no user."""

    sentence = N_("Run %(run)s can be approved on its screen only, by a user whose role allows it.")
    status = 403


class OwnApproval(Refusal):
    """The user who requested a run may not approve it."""

    sentence = N_("A user other than whoever asked for run %(run)s has to approve it.")
    status = 403


class NoLongerAsRequested(Refusal):
    """The listed changes differ from those that were requested."""

    sentence = N_(
        "The changes that run %(run)s would make are no longer those that were requested. Cancel it and make a new "
        "dry run."
    )
    status = 409


class HasFinished(Refusal):
    """A finished run cannot be cancelled."""

    sentence = N_("Run %(run)s has finished; there is nothing left to cancel.")
    status = 409


class NothingToApply(Refusal):
    """Only a dry run that has ended and found something can be applied, and only once."""

    sentence = N_(
        "Run %(run)s has nothing to apply: only what a finished dry run has found can be."
    )
    status = 409


class ReasonMissing(Refusal):
    """A change of stored figures needs a reason; it is kept with every correction."""

    sentence = N_("Say why. The reason is kept with every correction.")


class NothingToResume(Refusal):
    """Only a live run can be continued."""

    sentence = N_("Run %(run)s has finished; start a new one, or retry it.")
    status = 409


class StillWaiting(Refusal):
    """A run that has not been approved cannot be performed."""

    sentence = N_("Run %(run)s waits for a user's approval.")
    status = 409


class NothingToRetry(Refusal):
    """A live run, or one in which nothing failed or was left undone, cannot be retried."""

    sentence = N_("In run %(run)s nothing is left to retry.")
    status = 409


class EndedBadly(Refusal):
    """A run that a command performs failed, or was cancelled meanwhile."""

    sentence = N_("Run %(run)s did not end well: %(error)s")
    status = 409

    def __init__(self, run: Run) -> None:
        super().__init__(run=run.id, error=run.error or run.status)


class Fenced(Exception):
    """Another worker has taken over the chunk; whatever was done since it was claimed is rolled back."""
