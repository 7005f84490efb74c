"""The declaration of the health domain: Health and Today."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "health",
    screens=(
        "backoffice.health.views",
        "backoffice.health.today",
        "backoffice.health.overview",
        "backoffice.health.dot",
    ),
    navigation=(
        NavigationEntry(1, N_("Today"), "health.today", "today", "health.today"),
        NavigationEntry(
            10,
            N_("Health"),
            "health.index",
            "health",
            "health.",
            ("drift.", "runs.", "schedules.", "reconciliation.", "balance_health."),
        ),
    ),
    pages=("backoffice.health.finding:PAGES",),
    measures=("backoffice.health.measures:SOURCES",),
)
