"""What the audit trail has."""

from ..app.domain import Domain

DOMAIN = Domain(
    "audit",
    screens=("backoffice.audit.views",),
    kinds=("backoffice.audit.runs:KINDS",),
)
