"""What imports have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "imports",
    models=("backoffice.imports.models",),
    screens=("backoffice.imports.views",),
    recorded=("backoffice.imports.listing:RECORDED",),
    notices=("backoffice.imports.notices:NOTICES",),
)
