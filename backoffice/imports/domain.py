"""What imports have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "imports",
    names=("backoffice.imports.listing",),
    screens=("backoffice.imports.views",),
)
