"""Refusals of verbs that need approval."""

from ..base import N_
from ..base.refusals import Refusal, Stale


class OutlookChanged(Stale):
    """The changes would differ from what was shown."""

    sentence = N_(
        "Something has changed since this was shown. Nothing was saved: look at what it would do now."
    )


class NoLongerAllowed(Refusal):
    """The user who asked no longer has the permission."""

    sentence = N_("Whoever asked for it may not do it any more.")
    status = 403
