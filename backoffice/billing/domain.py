"""The billing domain: meters, invoices, payments, adjustments, ageing, statements, recalculation, migration."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "billing",
    models=("backoffice.billing.models",),
    figures=("backoffice.billing.figures",),
    screens=(
        "backoffice.billing.views",
        "backoffice.billing.meters.views",
        "backoffice.billing.meters.assignments",
        "backoffice.billing.calculations",
        "backoffice.billing.invoices.views",
        "backoffice.billing.statements.views",
        "backoffice.billing.ageing.documents",
        "backoffice.billing.ageing.views",
        "backoffice.billing.payments.views",
        "backoffice.billing.payments.placing",
        "backoffice.billing.payments.unmatched",
        "backoffice.billing.recalculation.views",
        "backoffice.billing.migration.views",
    ),
    navigation=(
        NavigationEntry(
            5,
            N_("Billing"),
            "meters.index",
            "billing",
            "billing.",
            ("invoices.", "meters.", "payments.", "adjustments."),
        ),
    ),
    triggers=("backoffice.billing.triggers:TRIGGERS",),
    kinds=(
        "backoffice.billing.recalculation.runs:KINDS",
        "backoffice.billing.migration.runs:KINDS",
    ),
    verbs=("backoffice.billing.approved_verbs:VERBS",),
    findable=("backoffice.billing.finding:FINDABLE",),
    pages=("backoffice.billing.finding:PAGES",),
    scopes=(
        "backoffice.billing.recalculation.runs:SCOPES",
        "backoffice.billing.migration.chain:SCOPES",
    ),
    reasons=("backoffice.billing.migration.lines:REASONS",),
    words=("backoffice.billing.migration.lines:WORDS",),
    records=(
        "backoffice.billing.meters.records:RECORDS",
        "backoffice.billing.invoices.records:RECORDS",
        "backoffice.billing.adjustments.records:RECORDS",
        "backoffice.billing.payments.records:RECORDS",
    ),
    recorded=("backoffice.billing.meters.records:RECORDED",),
    subjects=(
        "backoffice.billing.watched:SUBJECTS",
        "backoffice.billing.watched:OTHER_SUBJECTS",
    ),
    owners=("backoffice.billing.watched:OWNERS",),
    closing_checks=("backoffice.billing.closing:CLOSING",),
    notices=("backoffice.billing.notices:NOTICES",),
    parts=("backoffice.billing.of_customers:PARTS",),
    columns=("backoffice.billing.of_customers:COLUMNS",),
    owned_records=("backoffice.billing.of_customers:OWNED",),
)
