"""What runs have: their screens."""

from ..app.domain import Domain

DOMAIN = Domain(
    "runs",
    screens=("backoffice.runs.views",),
)
