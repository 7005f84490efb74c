"""What customers have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "customers",
    names=("backoffice.customers.records",),
    screens=(
        "backoffice.customers.views",
        "backoffice.customers.deleting",
        "backoffice.customers.merge_views",
    ),
    triggers=("backoffice.customers.triggers:TRIGGERS",),
    verbs=("backoffice.customers.approved_verbs:VERBS",),
    records=("backoffice.customers.records:RECORDS",),
    findable=("backoffice.customers.finding:FINDABLE",),
    pages=("backoffice.customers.finding:PAGES",),
)
