"""What the runs package declares to the app: its screens."""

from ..app.domain import Domain

DOMAIN = Domain(
    "runs",
    models=("backoffice.runs.models",),
    screens=("backoffice.runs.views",),
    triggers=("backoffice.runs.triggers:TRIGGERS",),
    notices=("backoffice.runs.notices:NOTICES",),
)
