"""What the metrics package declares to the app: its screen."""

from ..app.domain import Domain

DOMAIN = Domain(
    "metrics",
    screens=("backoffice.metrics.views",),
    measures=(
        "backoffice.metrics.books:SOURCES",
        "backoffice.metrics.database:SOURCES",
        "backoffice.metrics.trail:SOURCES",
        "backoffice.metrics.work:SOURCES",
    ),
)
