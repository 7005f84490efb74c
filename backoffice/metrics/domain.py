"""What the metrics have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "metrics",
    screens=("backoffice.metrics.views",),
)
