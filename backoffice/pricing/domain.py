"""What price changes have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "pricing",
    models=("backoffice.pricing.models",),
    screens=("backoffice.pricing.views",),
    verbs=("backoffice.pricing.approved_verbs:VERBS",),
    parts=("backoffice.pricing.views:PARTS",),
    notes=("backoffice.pricing.views:NOTES",),
)
