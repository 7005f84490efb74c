"""The screens of Health that the search leads to; the navigation names the first of them."""

from .. import places
from ..base import N_

places.register_screens(
    (N_("Drift"), "drift.index"),
    (N_("Runs"), "runs.index"),
    (N_("Schedules"), "schedules.index"),
    (N_("Reconciliation"), "reconciliation.index"),
)
