"""What imports have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "imports",
    models=("backoffice.imports.models",),
    screens=("backoffice.imports.views",),
    recorded=("backoffice.imports.listing:RECORDED",),
    resources=("backoffice.imports.api:RESOURCES",),
    notices=("backoffice.imports.notices:NOTICES",),
)
