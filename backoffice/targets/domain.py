"""What targets have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "targets",
    screens=(
        "backoffice.targets.views",
        "backoffice.targets.editing",
    ),
    findable=("backoffice.targets.finding:FINDABLE",),
)
