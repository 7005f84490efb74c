"""What is refused of a verb that two people look at."""

from ..base import N_
from ..base.refusals import Refusal, Stale


class OutlookChanged(Stale):
    """It would change something else than what was shown."""

    sentence = N_(
        "Something has changed since this was shown. Nothing was saved: look at what it would do now."
    )


class NoLongerAllowed(Refusal):
    """Whoever asked may not do it any more."""

    sentence = N_("Whoever asked for it may not do it any more.")
    status = 403
