"""The screens of Health that the search leads to; the navigation names the first of them."""

from ..base import N_

PAGES = (
    (N_("Drift"), "drift.index"),
    (N_("Runs"), "runs.index"),
    (N_("Schedules"), "schedules.index"),
    (N_("Reconciliation"), "reconciliation.index"),
)
