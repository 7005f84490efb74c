"""The domain of the audit trail."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "audit",
    models=("backoffice.audit.models",),
    unwatched=("backoffice.audit.scope:UNWATCHED",),
    screens=("backoffice.audit.views",),
    navigation=(NavigationEntry(13, N_("Audit"), "audit.index", "audit", "audit."),),
    kinds=("backoffice.audit.runs:KINDS",),
    recorded=("backoffice.audit.listing:RECORDED",),
    notices=("backoffice.audit.notices:NOTICES",),
)
