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
    subjects=("backoffice.targets.watched:SUBJECTS",),
    records=("backoffice.targets.records:RECORDS",),
    owners=("backoffice.targets.watched:OWNERS",),
    notices=("backoffice.targets.notices:NOTICES",),
)
