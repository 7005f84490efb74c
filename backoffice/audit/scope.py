"""What the audit trail records: every business table, every column that a user enters.

Every table is audited unless it is listed here with the reason; a test enforces this for every table. Figure columns
are left out, since their corrections are their record, except in rows where they hold an amount that a user entered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, False_, MetaData, Table, false

from ..figures.computing.registry import Registry

NOT_AUDITED: Mapping[str, str] = {
    "alembic_version": "which migrations have run; nobody enters it",
    "api_requests": "what a repeated request of a program is answered with; what it did is audited",
    "audit_checks": "when the trail was verified and anchored, append-only itself",
    "audit_events": "the trail itself, append-only",
    "audit_seals": "the chain that seals the trail, append-only itself",
    "corrections": "the record of what heals wrote, append-only itself; their digests are events",
    "drift_findings": "what verification found; nobody enters it",
    "fact_marks": "up to where facts were compared with the trail; nobody enters it",
    "figure_checks": "when figures were verified; nobody enters it",
    "figure_notes": "notes between triggers and the drain, removed within seconds",
    "idempotency_keys": "what a repeated form is answered with; what the form did is audited",
    "import_contents": "the bytes of uploaded files; what is imported from them is audited row by row",
    "import_layouts": "how a user's files are written, remembered for their convenience",
    "import_lines": "what became of each line of a file; what it has done is audited row by row",
    "import_outcomes": "what a dry run would change; what an import changed is audited row by row",
    "import_problems": "what a dry run found wrong in a file; the next dry run replaces it",
    "number_series": "the last number given of each series; the records with the numbers are audited",
    "price_change_orders": "the record of a price change, append-only; the orders' saves are audited",
    "price_changes": "the record of price changes, append-only; the prices themselves are audited",
    "reconciliations": "reports that a run has made; nobody enters them",
    "run_chunks": "the parts of a run that is under way",
    "run_items": "what a run did, kept for 90 days; what it changed has corrections or events",
    "runs": "the record of background work, with its own history; requests for approval and approvals are events",
    "saved_views": "how a person looks at a list; it changes nothing that anybody else sees",
    "schedulers": "who looks what is due at the moment",
    "schedules": "what schedulers have seen; the schedules themselves stand in the code",
    "schema_fingerprints": "which generated database objects are installed",
    "web_sessions": "who is signed in at the moment; sign-ins change with every page",
}
"""Table → why its changes are not in the trail."""

UNWATCHED: frozenset[str] = frozenset(NOT_AUDITED) - {
    "audit_checks", "audit_events", "audit_seals", "corrections", "figure_notes", "price_changes",
}  # fmt: skip
"""Tables without a column or a trigger that takes the actor's name by itself, and without one that notes changes."""

BOOKKEEPING: Mapping[str, str] = {
    "balance_changed_at": "says when a figure was last written; nobody enters it",
    "balance_last_updated_at": "says when a stored month was last written; nobody enters it",
    "last_used_at": "says when a token last opened something; nobody enters it",
    "updated_at": "says when the row was last written; so does the event",
    "version": "counts saves, so that two editors notice each other",
}
"""Column, in any table → why it is left out. Changes of these columns alone create no event."""

SECRETS: frozenset[str] = frozenset({"password_hash", "token_hash"})
"""Columns, in any table, of which only "changed" is recorded."""


@dataclass(frozen=True)
class AuditedTable:
    """One table as the trail sees it.

    `facts` are recorded always; `entered` where their condition holds for the row; of `secrets` only that they
    changed. Where the rows themselves are derived, `kept` is the condition for rows with an entered fact; the others
    are not recorded.
    """

    table: Table
    facts: tuple[Column[Any], ...]
    secrets: tuple[Column[Any], ...]
    entered: Mapping[Column[Any], ColumnElement[Any]]
    kept: ColumnElement[Any] | None = None

    @property
    def is_entered(self) -> bool:
        """Whether any row can hold an entered value; if not, only truncation is recorded."""
        return not isinstance(self.kept, False_)


def audited_tables(metadata: MetaData, registry: Registry) -> list[AuditedTable]:
    """Every business table in `metadata`, by name."""
    return [
        _audited(table, registry)
        for name, table in sorted(metadata.tables.items())
        if name not in NOT_AUDITED
    ]


def _audited(table: Table, registry: Registry) -> AuditedTable:
    # A generated column is not a fact of its own.
    recorded = [c for c in table.columns if c.key not in BOOKKEEPING and c.computed is None]
    keepers = {c: registry.keeper(c) for c in recorded}
    derived = registry.deriving(table)
    return AuditedTable(
        table,
        tuple(c for c in recorded if keepers[c] is None and c.key not in SECRETS),
        tuple(c for c in recorded if c.key in SECRETS),
        {
            column: figure.entered[column]
            for column, figure in keepers.items()
            if figure is not None and column in figure.entered
        },
        None
        if derived is None
        else false()
        if derived.entered_rows is None
        else derived.entered_rows,
    )
