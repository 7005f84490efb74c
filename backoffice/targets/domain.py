"""The declaration of the targets domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "targets",
    models=("backoffice.targets.models",),
    figures=("backoffice.targets.figures",),
    screens=(
        "backoffice.targets.views",
        "backoffice.targets.editing",
    ),
    navigation=(NavigationEntry(9, N_("Targets"), "targets.index", "targets", "targets."),),
    findable=("backoffice.targets.finding:FINDABLE",),
    subjects=("backoffice.targets.watched:SUBJECTS",),
    records=("backoffice.targets.records:RECORDS",),
    owners=("backoffice.targets.watched:OWNERS",),
    notices=("backoffice.targets.notices:NOTICES",),
)
