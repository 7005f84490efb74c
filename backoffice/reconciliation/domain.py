"""What reconciliations have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "reconciliation",
    screens=("backoffice.reconciliation.views",),
    kinds=("backoffice.reconciliation.runs:KINDS",),
)
