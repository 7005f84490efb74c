"""The declaration of the gas domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "gas",
    models=("backoffice.gas.models",),
    figures=("backoffice.gas.figures",),
    screens=(
        "backoffice.gas.pricing.views",
        "backoffice.gas.statements.views",
        "backoffice.gas.adjusting.views",
        "backoffice.gas.entry.views",
    ),
    navigation=(
        NavigationEntry(
            7, N_("Gas"), "gas_months.index", "gas", "gas.", ("gas_", "readings.", "deposits.")
        ),
    ),
    kinds=("backoffice.gas.pricing.runs:KINDS",),
    scopes=("backoffice.gas.pricing.runs:SCOPES",),
    words=("backoffice.gas.pricing.runs:WORDS",),
    reasons=("backoffice.gas.pricing.runs:REASONS",),
    verbs=("backoffice.gas.approved_verbs:VERBS",),
    parts=("backoffice.gas.of_customers:PARTS",),
    triggers=("backoffice.gas.triggers:TRIGGERS",),
    records=("backoffice.gas.records:RECORDS",),
    recorded=("backoffice.gas.records:RECORDED",),
    subjects=("backoffice.gas.watched:SUBJECTS",),
    owners=("backoffice.gas.watched:OWNERS",),
    closing_checks=("backoffice.gas.notices:CLOSING",),
    notices=("backoffice.gas.notices:NOTICES",),
    owned_records=("backoffice.gas.of_customers:OWNED",),
)
