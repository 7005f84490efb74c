"""Texts for a fact that differs from the audit trail."""

from sqlalchemy.orm import Session

from ...audit.histories import Change
from ...audit.rendering import differences
from ..models import DriftFinding
from .findings import facts_named


def differences_of(session: Session, finding: DriftFinding) -> tuple[Change, ...] | None:
    """The differences as text: `before` in the row, `after` by the trail; None for a figure's finding."""
    facts = facts_named(finding.figure)
    if facts is None:
        return None
    row, trail = finding.stored or {}, finding.expected or {}
    return differences(session, facts.name, finding.key["id"], row, trail)
