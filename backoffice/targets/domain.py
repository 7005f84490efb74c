"""What targets have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "targets",
    names=(
        "backoffice.targets.wording",
        "backoffice.targets.watched",
    ),
    screens=(
        "backoffice.targets.views",
        "backoffice.targets.editing",
    ),
    findable=("backoffice.targets.finding:FINDABLE",),
)
