"""The declaration of the customers domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "customers",
    models=("backoffice.customers.models",),
    screens=("backoffice.customers.views", "backoffice.customers.merge_views"),
    navigation=(NavigationEntry(4, N_("Customers"), "customers.index", "customers", "customers."),),
    triggers=("backoffice.customers.triggers:TRIGGERS",),
    verbs=("backoffice.customers.approved_verbs:VERBS",),
    findable=("backoffice.customers.finding:FINDABLE",),
    pages=("backoffice.customers.finding:PAGES",),
    records=("backoffice.customers.records:RECORDS",),
    recorded=("backoffice.customers.records:RECORDED",),
)
