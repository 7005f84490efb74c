"""What price changes have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "pricing",
    names=("backoffice.pricing.models",),
    screens=("backoffice.pricing.views",),
    verbs=("backoffice.pricing.approved_verbs:VERBS",),
)
