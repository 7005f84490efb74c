"""What orders have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "orders",
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
