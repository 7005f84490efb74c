"""The declaration of the ledger domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "ledger",
    models=("backoffice.ledger.models",),
    figures=("backoffice.ledger.figures", "backoffice.ledger.posting.tie_out"),
    screens=(
        "backoffice.ledger.account_views",
        "backoffice.ledger.views",
        "backoffice.ledger.reports.views",
        "backoffice.ledger.periods.views",
        "backoffice.ledger.posting.views",
        "backoffice.ledger.health.views",
    ),
    navigation=(
        NavigationEntry(
            8, N_("Ledger"), "entries.index", "ledger", "entries.", ("accounts.", "ledger.")
        ),
    ),
    kinds=("backoffice.ledger.posting.runs:KINDS", "backoffice.ledger.health.runs:KINDS"),
    verbs=("backoffice.ledger.periods.approved_verbs:VERBS",),
    words=("backoffice.ledger.posting.runs:WORDS", "backoffice.ledger.health.runs:WORDS"),
    reasons=(
        "backoffice.ledger.posting.runs:REASONS",
        "backoffice.ledger.health.runs:REASONS",
    ),
    holds=("backoffice.ledger.health.runs:HOLDS",),
    measures=("backoffice.ledger.health.measures:SOURCES",),
    afterwards=("backoffice.ledger.posting.at_once:AFTERWARDS",),
    triggers=("backoffice.ledger.triggers:TRIGGERS",),
    records=("backoffice.ledger.records:RECORDS",),
    recorded=("backoffice.ledger.records:RECORDED",),
    notices=("backoffice.ledger.notices:NOTICES",),
    closing_checks=("backoffice.ledger.periods.closing:CLOSING",),
    pages=(
        "backoffice.ledger.reports.views:PAGES",
        "backoffice.ledger.periods.views:PAGES",
        "backoffice.ledger.posting.views:PAGES",
        "backoffice.ledger.health.views:PAGES",
    ),
)
