"""What the audit trail has."""

from ..app.domain import Domain

DOMAIN = Domain(
    "audit",
    models=("backoffice.audit.models",),
    screens=("backoffice.audit.views",),
    kinds=("backoffice.audit.runs:KINDS",),
    recorded=("backoffice.audit.listing:RECORDED",),
    notices=("backoffice.audit.notices:NOTICES",),
)
