"""What imports have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "imports",
    screens=("backoffice.imports.views",),
)
