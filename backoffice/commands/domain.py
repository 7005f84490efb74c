"""What the commands bring along: housekeeping."""

from ..app.domain import Domain

DOMAIN = Domain(
    "commands",
    kinds=("backoffice.commands.housekeeping:KINDS",),
)
