"""What the commands package declares to the app: housekeeping."""

from ..app.domain import Domain

DOMAIN = Domain(
    "commands",
    kinds=("backoffice.commands.housekeeping:KINDS",),
)
