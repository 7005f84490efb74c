"""The declaration of the pricing domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "pricing",
    models=("backoffice.pricing.models",),
    screens=("backoffice.pricing.views",),
    navigation=(
        NavigationEntry(3, N_("Pricing"), "pricing.index", "pricing", "pricing.", ("products.",)),
    ),
    verbs=("backoffice.pricing.approved_verbs:VERBS",),
    parts=("backoffice.pricing.views:PARTS",),
    notes=("backoffice.pricing.views:NOTES",),
)
