"""The declaration of the drift domain."""

from ..app.domain import Domain

DOMAIN = Domain(
    "drift",
    models=("backoffice.drift.models", "backoffice.drift.facts.models"),
    screens=(
        "backoffice.drift.views",
        "backoffice.drift.facts.views",
    ),
    kinds=("backoffice.drift.runs:KINDS", "backoffice.drift.facts.runs:KINDS"),
    reasons=("backoffice.drift.runs:REASONS",),
    words=("backoffice.drift.facts.fact_links:words", "backoffice.drift.verification.checks:words"),
    subjects=(
        "backoffice.drift.facts.fact_links:subjects",
        "backoffice.drift.verification.checks:subjects",
    ),
    closing_checks=("backoffice.drift.closing:CLOSING",),
    notices=("backoffice.drift.notices:NOTICES",),
    findings=("backoffice.drift.marks:KEEPERS",),
)
