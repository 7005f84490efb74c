"""The domain of imports."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "imports",
    models=("backoffice.imports.models",),
    kinds=("backoffice.imports.by_line.runs:KINDS",),
    scopes=("backoffice.imports.by_line.runs:SCOPES",),
    screens=("backoffice.imports.views", "backoffice.imports.by_line.views"),
    navigation=(NavigationEntry(12, N_("Imports"), "imports.index", "imports", "imports."),),
    recorded=("backoffice.imports.listing:RECORDED",),
    resources=("backoffice.imports.api:RESOURCES", "backoffice.imports.by_line.api:RESOURCES"),
    notices=("backoffice.imports.notices:NOTICES",),
)
