"""What billing has: meters, invoices, payments, adjustments, ageing, statements, recalculation, migration."""

from ..app.domain import Domain

DOMAIN = Domain(
    "billing",
    names=(
        "backoffice.billing.meters.history",
        "backoffice.billing.invoices.history",
        "backoffice.billing.payments.history",
        "backoffice.billing.of_customers",
        "backoffice.billing.watched",
        "backoffice.billing.migration.record_links",
        "backoffice.billing.migration.lines",
    ),
    screens=(
        "backoffice.billing.views",
        "backoffice.billing.meters.views",
        "backoffice.billing.meters.editing",
        "backoffice.billing.meters.assignments",
        "backoffice.billing.adjustments.views",
        "backoffice.billing.meters.calculations",
        "backoffice.billing.invoices.views",
        "backoffice.billing.invoices.editing",
        "backoffice.billing.statements.views",
        "backoffice.billing.ageing.documents",
        "backoffice.billing.ageing.views",
        "backoffice.billing.payments.views",
        "backoffice.billing.payments.entry",
        "backoffice.billing.payments.replacing",
        "backoffice.billing.payments.unmatched",
        "backoffice.billing.recalculation.views",
        "backoffice.billing.migration.views",
    ),
    triggers=("backoffice.billing.triggers:TRIGGERS",),
    kinds=(
        "backoffice.billing.recalculation.runs:KINDS",
        "backoffice.billing.migration.runs:KINDS",
    ),
    verbs=("backoffice.billing.approved_verbs:VERBS",),
    findable=("backoffice.billing.finding:FINDABLE",),
    pages=("backoffice.billing.finding:PAGES",),
)
