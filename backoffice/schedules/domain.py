"""What the schedules package declares to the app: its screen, the daily summary, the database routine."""

from ..app.domain import Domain

DOMAIN = Domain(
    "schedules",
    models=("backoffice.schedules.models",),
    screens=("backoffice.schedules.views",),
    kinds=("backoffice.schedules.runs:KINDS",),
    reasons=("backoffice.schedules.runs:REASONS",),
    notices=("backoffice.schedules.notices:NOTICES",),
)
