"""What reports have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "reports",
    screens=("backoffice.reports.views",),
)
