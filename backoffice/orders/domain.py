"""The declaration of the orders domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "orders",
    models=("backoffice.orders.models",),
    figures=("backoffice.orders.figures",),
    screens=("backoffice.orders.views", "backoffice.orders.bulk.views"),
    navigation=(NavigationEntry(2, N_("Orders"), "orders.index", "orders", "orders."),),
    records=("backoffice.orders.records:RECORDS",),
    triggers=("backoffice.orders.triggers:TRIGGERS",),
    verbs=("backoffice.orders.bulk.approved_verbs:VERBS",),
    findable=("backoffice.orders.finding:FINDABLE",),
    pages=("backoffice.orders.finding:PAGES",),
    recorded=("backoffice.orders.records:RECORDED",),
    owners=("backoffice.orders.watched:OWNERS",),
    notices=("backoffice.orders.notices:NOTICES",),
    parts=("backoffice.orders.views:PARTS",),
    columns=("backoffice.orders.of_customers:COLUMNS",),
    owned_records=("backoffice.orders.of_customers:OWNED",),
)
