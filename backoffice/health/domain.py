"""What Health and Today have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "health",
    screens=(
        "backoffice.health.views",
        "backoffice.health.today",
        "backoffice.health.overview",
        "backoffice.health.dot",
    ),
    pages=("backoffice.health.finding:PAGES",),
)
