"""What price changes have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "pricing",
    screens=("backoffice.pricing.views",),
    verbs=("backoffice.pricing.approved_verbs:VERBS",),
)
