"""What the watch over figures and facts has."""

from ..app.domain import Domain

DOMAIN = Domain(
    "drift",
    screens=(
        "backoffice.drift.views",
        "backoffice.drift.facts.views",
    ),
    kinds=("backoffice.drift.runs:KINDS", "backoffice.drift.facts.runs:KINDS"),
)
