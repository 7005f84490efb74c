"""The screens of Health that the search finds; its first screen is in the navigation."""

from ..base import N_

PAGES = (
    (N_("Drift"), "drift.index"),
    (N_("Runs"), "runs.index"),
    (N_("Schedules"), "schedules.index"),
    (N_("Reconciliation"), "reconciliation.index"),
)
