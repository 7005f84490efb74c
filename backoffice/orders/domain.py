"""What orders have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "orders",
    names=(
        "backoffice.orders.history",
        "backoffice.orders.of_customers",
        "backoffice.orders.watched",
    ),
    screens=(
        "backoffice.orders.views",
        "backoffice.orders.editing",
        "backoffice.orders.bulk.views",
    ),
    triggers=("backoffice.orders.triggers:TRIGGERS",),
    verbs=("backoffice.orders.bulk.approved_verbs:VERBS",),
    findable=("backoffice.orders.finding:FINDABLE",),
    pages=("backoffice.orders.finding:PAGES",),
)
