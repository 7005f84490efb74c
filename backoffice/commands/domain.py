"""What the commands package declares to the app: housekeeping, and the guard of number series."""

from ..app.domain import Domain

DOMAIN = Domain(
    "commands",
    kinds=("backoffice.commands.housekeeping:KINDS",),
    triggers=("backoffice.database.numbering:TRIGGERS",),
)
