"""The declaration of the reports domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "reports",
    screens=("backoffice.reports.views",),
    navigation=(NavigationEntry(11, N_("Reports"), "reports.index", "reports", "reports."),),
)
