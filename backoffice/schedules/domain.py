"""What schedules have: their screen, the daily summary, the routine of the database."""

from ..app.domain import Domain

DOMAIN = Domain(
    "schedules",
    models=("backoffice.schedules.models",),
    screens=("backoffice.schedules.views",),
    kinds=("backoffice.schedules.runs:KINDS",),
    reasons=("backoffice.schedules.runs:REASONS",),
    notices=("backoffice.schedules.notices:NOTICES",),
)
