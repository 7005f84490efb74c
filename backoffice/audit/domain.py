"""What the audit trail has."""

from ..app.domain import Domain

DOMAIN = Domain(
    "audit",
    names=("backoffice.audit.listing",),
    screens=("backoffice.audit.views",),
    kinds=("backoffice.audit.runs:KINDS",),
)
