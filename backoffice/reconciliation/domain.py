"""The declaration of the reconciliation domain."""

from ..app.domain import Domain

DOMAIN = Domain(
    "reconciliation",
    models=("backoffice.reconciliation.models",),
    screens=("backoffice.reconciliation.views",),
    kinds=("backoffice.reconciliation.runs:KINDS",),
)
