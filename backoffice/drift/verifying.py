"""One chunk of a verification: compared in one snapshot, recorded in another transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, any_, func, literal, select

from ..figures import Finding, registry
from ..figures.findings import findings
from ..figures.registry import Bundle
from ..figures.relations import BETWEEN, OWNERS
from ..figures.statements import suspects
from ..runs.models import FOUND
from ..runs.working import Work
from .findings import FINDINGS, as_item, close_unseen, noted_owners, record
from .scope import bundle_named


@dataclass(frozen=True)
class Seen:
    """What a snapshot of a chunk showed."""

    found: Sequence[Finding]
    noted: set[int]
    at: datetime


def suspected(connection: Connection, bundle: Bundle, payload: Mapping[str, Any]) -> list[int]:
    """The owners of the chunk of whom any figure of the bundle is wrong."""
    if "owners" in payload:
        statement = suspects(registry, bundle, OWNERS)
        return sorted(statement.run(connection, owners=payload["owners"]).scalars())
    statement = suspects(registry, bundle, BETWEEN)
    return sorted(statement.run(connection, low=payload["low"], high=payload["high"]).scalars())


def look(work: Work, bundle: Bundle) -> Seen:
    """What is wrong in the chunk."""
    with work.snapshot() as connection:
        at = connection.scalar(select(func.now()))
        assert at is not None
        owners = suspected(connection, bundle, work.payload)
        found = findings(connection, registry, bundle, owners) if owners else []
        noted = noted_owners(connection, bundle, owners) if owners else set()
    return Seen(found, noted, at)


def dry_run(work: Work) -> None:
    """Say what a heal would write, in the run's items and nowhere else."""
    bundle = bundle_named(registry, work.payload["bundle"])
    seen = look(work, bundle)
    with work.transaction(is_last=True) as step:
        for finding in seen.found:
            fields = as_item(finding)
            step.item(fields.pop("subject"), FOUND, **fields)
        step.tally.changed = len(seen.found)
        step.tally.checked = len({finding.owner for finding in seen.found})


def verify(work: Work) -> None:
    """Record what is wrong in the chunk as findings, and close those that are right again.

    It counts no item as changed, for it changes none; how many rows were wrong is the run's result.
    """
    bundle = bundle_named(registry, work.payload["bundle"])
    seen = look(work, bundle)
    with work.transaction(is_last=True) as step:
        still = _still_wrong(step.connection, bundle, seen.found)
        found = [finding for finding in seen.found if finding.owner in still]
        record(step.connection, found, seen.noted, work.asked.id)
        close_unseen(step.connection, bundle, _owned(work.payload), seen.at)
        step.tally.checked = len({finding.owner for finding in found})


def _still_wrong(connection: Connection, bundle: Bundle, found: Sequence[Finding]) -> set[int]:
    """The owners of whom something is wrong still: a heal may have come between."""
    owners = sorted({finding.owner for finding in found})
    return set(suspected(connection, bundle, {"owners": owners})) if owners else set()


def _owned(payload: Mapping[str, Any]) -> ColumnElement[bool]:
    if "owners" in payload:
        given = literal(payload["owners"], ARRAY(BigInteger))
        return FINDINGS.c.owner == any_(given)
    return FINDINGS.c.owner.between(payload["low"], payload["high"])
