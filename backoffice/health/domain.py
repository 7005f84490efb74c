"""What Health and Today have."""

from ..app.domain import Domain
from ..base import N_

DOMAIN = Domain(
    "health",
    screens=(
        "backoffice.health.views",
        "backoffice.health.today",
        "backoffice.health.overview",
        "backoffice.health.dot",
    ),
    pages=(  # the navigation names the first of Health's screens
        (N_("Drift"), "drift.index"),
        (N_("Runs"), "runs.index"),
        (N_("Schedules"), "schedules.index"),
        (N_("Reconciliation"), "reconciliation.index"),
    ),
)
