"""What customers have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "customers",
    models=("backoffice.customers.models",),
    screens=("backoffice.customers.views", "backoffice.customers.merge_views"),
    triggers=("backoffice.customers.triggers:TRIGGERS",),
    verbs=("backoffice.customers.approved_verbs:VERBS",),
    findable=("backoffice.customers.finding:FINDABLE",),
    pages=("backoffice.customers.finding:PAGES",),
    records=("backoffice.customers.records:RECORDS",),
    recorded=("backoffice.customers.records:RECORDED",),
)
