"""What targets have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "targets",
    models=("backoffice.targets.models",),
    figures=("backoffice.targets.figures",),
    screens=(
        "backoffice.targets.views",
        "backoffice.targets.editing",
    ),
    findable=("backoffice.targets.finding:FINDABLE",),
    recorded=("backoffice.targets.wording:RECORDED",),
    subjects=("backoffice.targets.watched:SUBJECTS",),
    owners=("backoffice.targets.watched:OWNERS",),
    notices=("backoffice.targets.notices:NOTICES",),
)
