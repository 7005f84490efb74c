"""What differs at present, compared for a page that shows it and recorded nowhere: verification records findings."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..database.snapshots import snapshot
from ..figures import Figure, Finding, registry
from ..figures.computing.definitions import differing
from ..figures.computing.relations import OWNERS
from ..figures.computing.statements import suspects
from ..figures.verifying.findings import findings
from .facts.findings import as_finding, facts_named
from .findings import as_item
from .models import DriftFinding
from .verification import checks
from .verification.chunks import seen_in

Owners = Mapping[Figure, Sequence[int]]
"""The owners of the figures that a page shows."""


def differences(owners: Owners) -> tuple[list[Finding], set[str]]:
    """The present drift of these owners, and the names of their figures that this process cannot compare."""
    asked = [figure for figure, ids in owners.items() if ids]
    found: list[Finding] = []
    unknown: set[str] = set()
    if not asked:
        return found, unknown
    with snapshot(db.engine) as connection:
        apart = differing(connection, registry)
        for bundle in registry.bundles_of(asked):
            if bundle.name in apart:
                unknown |= {figure.name for figure in bundle.figures}
                continue
            ids = sorted({owner for figure in bundle.figures for owner in owners.get(figure, ())})
            suspected = suspects(registry, bundle, OWNERS).run(connection, owners=ids).scalars()
            if wrong := sorted(suspected):
                found += findings(connection, registry, bundle, wrong)
    return [finding for finding in found if finding.figure in owners], unknown


def compare(session: Session, finding: DriftFinding) -> bool:
    """Whether the row of an open finding still differs; the finding shows its present values and is detached."""
    session.expunge(finding)  # what the page shows is not saved
    with snapshot(db.engine) as connection:
        now = _fields(connection, finding)
    if now is None:
        return False
    for name, value in now.items():
        setattr(finding, name, value)
    return True


def _fields(connection: Connection, finding: DriftFinding) -> Mapping[str, object] | None:
    """The present fields of a finding; empty where it cannot be compared, None where nothing differs."""
    if (facts := facts_named(finding.figure)) is not None:
        forged = map(as_finding, facts.forged(connection, [int(finding.key["id"])]))
        names = ("kind", "stored", "expected", "amount", "gross")
        return next(({name: now[name] for name in names} for now in forged), None)
    if (check := checks.all_checks().get(finding.figure)) is not None:
        return None if check.compare(connection).holds else {}
    figure = next((f for f in registry.figures if f.name == finding.figure), None)
    if figure is None or registry.bundle_of(figure).name in differing(connection, registry):
        return {}
    seen = seen_in(connection, registry.bundle_of(figure), {"owners": [finding.owner]}, {})
    for found in (*seen.found, *seen.orphans):
        item = as_item(found)
        if found.figure is figure and item["key"] == finding.key:
            sides = {"kind": found.kind, "stored": item["before"], "expected": item["after"]}
            return {**sides, "amount": None, "gross": None, **item["amounts"]}
    return None
