"""One chunk of a verification: compared in one snapshot, recorded in another transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    any_,
    func,
    literal,
    select,
    true,
)

from ...base import N_
from ...figures import Finding, registry
from ...figures.computing.definitions import require
from ...figures.computing.dependencies import lower_bundles
from ...figures.computing.registry import Bundle
from ...figures.computing.relations import OWNERS
from ...figures.computing.statements import suspects
from ...figures.errors import AnotherDefinition
from ...figures.verifying.findings import findings, orphans
from ...figures.verifying.verification import MANY, suspected_between
from ...runs.models import CHUNK_FAILED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import CHUNKS, Asked, Step, Work
from ..facts import comparing
from ..findings import as_item, close_unseen, noted_owners, record
from ..healing import above
from ..recording import FINDINGS
from .scope import EMPTY, BundlePart, bundle_named, chunks, fixing, parts, without_rows

ORPHANED = N_(
    "The record that it belongs to is missing, so nothing is corrected here. Restore that record from a backup, or "
    "delete what is left of it."
)
"""Why a row without its owner is skipped."""


ANOTHER = N_(
    "The database keeps it by another definition than this version of Backoffice does, so it was not looked at. Use "
    "the version that upgraded the database, or bring it to this one with: backoffice db upgrade"
)
"""Why a figure was not verified."""


@dataclass(frozen=True)
class Seen:
    """The result of comparing a chunk in one snapshot."""

    found: Sequence[Finding]
    noted: set[int]
    at: datetime
    orphans: Sequence[Finding] = ()


Compared = Mapping[Bundle, set[int]]
"""Bundles compared over all their owners, with those that are wrong (of very many only a part)."""


def suspected(
    connection: Connection,
    bundle: Bundle,
    payload: Mapping[str, Any],
    compared: Compared | None = None,
) -> list[int]:
    """The owners of the chunk with any wrong figure of the bundle.

    Over bundles `compared` beneath it: the owners that may have one.
    """
    if "owners" in payload:
        statement = suspects(registry, bundle, OWNERS)
        return sorted(statement.run(connection, owners=payload["owners"]).scalars())
    low, high = payload["low"], payload["high"]
    return sorted(suspected_between(connection, registry, bundle, low, high, compared or {}))


def look(work: Work, bundle: Bundle) -> Seen:
    """Compare the chunk in a snapshot."""
    with work.snapshot() as connection:
        compared = {} if work.asked.dry_run else _compared_beneath(connection, work.asked, bundle)
        return seen_in(connection, bundle, work.payload, compared)


def seen_in(
    connection: Connection, bundle: Bundle, payload: Mapping[str, Any], compared: Compared
) -> Seen:
    """Compare the owners in `payload` in this snapshot. Raises AnotherDefinition."""
    require(connection, registry, [bundle])
    at = connection.scalar(select(func.now()))
    assert at is not None
    owners = suspected(connection, bundle, payload, compared)
    found = findings(connection, registry, bundle, owners) if owners else []
    gone = orphaned(connection, bundle, payload)
    noted = noted_owners(connection, bundle, owners) if owners else set()
    return Seen(found, noted, at, gone)


def orphaned(
    connection: Connection, bundle: Bundle, payload: Mapping[str, Any]
) -> Sequence[Finding]:
    """The rows of the chunk with a missing owner; chunks are bounded so that together they cover all ids."""
    if "owners" in payload:
        return orphans(connection, registry, bundle, payload["owners"])
    return orphans(connection, registry, bundle, low=payload["low"], high=payload["high"])


def _compared_beneath(connection: Connection, asked: Asked, bundle: Bundle) -> Compared:
    """The lower bundles that this verification has already compared as a whole."""
    if "retry" in asked.scope:
        return {}
    lower = set(lower_bundles(registry, bundle))
    covered = [
        part.bundle for part in parts(registry, asked.scope, beneath=False) if part.owners is None
    ]
    failed = select(CHUNKS.c.payload).where(
        CHUNKS.c.run_id == asked.id, CHUNKS.c.status == CHUNK_FAILED
    )
    broken = set[str]()
    for payload in connection.scalars(failed):
        broken.update(payload.get(EMPTY, ()), [payload.get("bundle", "")])
    compared: dict[Bundle, set[int]] = {}
    for known in covered:
        if known in lower and known.name not in broken:
            names = [figure.name for figure in known.figures]
            wrong = select(FINDINGS.c.owner).where(
                FINDINGS.c.figure.in_(names), FINDINGS.c.healed_at.is_(None)
            )
            compared[known] = set(connection.scalars(wrong.distinct().limit(MANY + 1)))
    return compared


def dry_run(work: Work) -> None:
    """Record in the run's items, and nowhere else, what a heal would write."""
    if "above" in work.payload:
        above.lead(work)
        return
    bundle = bundle_named(registry, work.payload["bundle"])
    seen = look(work, bundle)
    with work.transaction(is_last=True) as step:
        why = comparing.doubts(work).untouched(
            step.connection, bundle, {finding.owner for finding in seen.found}
        )
        found = [finding for finding in seen.found if finding.owner not in why]
        for finding in found:
            fields = as_item(finding)
            step.item(fields.pop("subject"), FOUND, **fields)
        step.tally.changed = step.tally.checked = len(found)
        step.more = len(found) - len({finding.owner for finding in seen.found})
        for sentence in sorted(set(why.values())):
            leave_alone(step, [f for f in seen.found if why.get(f.owner) == sentence], sentence)
        leave_alone(step, seen.orphans, ORPHANED)


def leave_alone(step: Step, left: Sequence[Finding], why: str) -> None:
    """Record wrong rows as skipped, with the reason; they are not counted in the size of the chunk."""
    for finding in left:
        fields = as_item(finding)
        del fields["amounts"]  # skipped rows change no amounts
        step.item(fields.pop("subject"), SKIPPED, error=why, **fields)
    step.more += len(left)
    step.tally.checked += len(left)
    step.tally.skipped += len(left)


def verify(work: Work) -> None:
    """Record the differences in the chunk as findings, and close those that are right again.

    Wrong owners are left as they are, or passed to the heal that follows; the run's result is how many rows were
    wrong.
    """
    bundle = bundle_named(registry, work.payload["bundle"])
    try:
        seen = look(work, bundle)
    except AnotherDefinition:
        _not_ours(work, bundle)
        return
    with work.transaction(is_last=True) as step:
        found = settle(step.connection, bundle, work.payload, seen, work.asked.id)
        wrong = len({finding.owner for finding in found})
        step.more = len({f.owner for f in found if f.is_orphan})  # not the chunk's owners
        if work.asked.scope.get("fix"):
            step.more -= wrong
        else:
            step.tally.checked = step.tally.skipped = wrong


def settle(
    connection: Connection,
    bundle: Bundle,
    payload: Mapping[str, Any],
    seen: Seen,
    run_id: int | None,
) -> list[Finding]:
    """Record the differences that are still there, which are returned, and close the findings that are resolved."""
    everything = [*seen.found, *seen.orphans]
    still = still_wrong(connection, bundle, everything)
    found = [finding for finding in everything if finding.owner in still]
    record(connection, found, seen.noted, run_id)
    close_unseen(connection, [bundle], _owned(payload), seen.at)
    return found


def close_right(connection: Connection, bundle: Bundle, payload: Mapping[str, Any]) -> None:
    """Close the open findings of the chunk's owners that are right again, however that came about."""
    names = [figure.name for figure in bundle.figures]
    opened = select(func.now(), FINDINGS.c.owner).where(
        FINDINGS.c.figure.in_(names), FINDINGS.c.healed_at.is_(None), _owned(payload)
    )
    rows = connection.execute(opened.distinct()).all()
    if not rows:
        return
    owners = {"owners": sorted({owner for _at, owner in rows})}
    wrong = {finding.owner for finding in orphaned(connection, bundle, owners)}
    wrong.update(suspected(connection, bundle, owners))
    right = sorted(set(owners["owners"]) - wrong)
    close_unseen(connection, [bundle], _owned({"owners": right}), rows[0][0])


def look_at_empty(work: Work) -> None:
    """Check whether these bundles still have no rows: then nothing of them is wrong.

    One that has rows by now, or is kept by another definition, gets chunks of its own at its stage.
    """
    stages: Mapping[str, int] = work.payload[EMPTY]
    named = {name: bundle_named(registry, name) for name in stages}
    covered = [BundlePart(bundle, None) for bundle in named.values()]
    with work.snapshot() as connection:
        at = connection.scalar(select(func.now()))
        assert at is not None
        empty = without_rows(connection, registry, covered)
    with work.transaction(is_last=True) as step:
        for name, stage in stages.items():
            if named[name] not in empty:
                step.add(chunks(step.connection, BundlePart(named[name], None), stage))
                if work.asked.scope.get("fix"):
                    step.add([fixing(name, stage)])
        if not work.asked.dry_run and work.asked.kind == "figures.verify":
            close_unseen(step.connection, empty, true(), at)


def _not_ours(work: Work, bundle: Bundle) -> None:
    """Record that the bundle was not verified: this process has another definition of it than the database."""
    with work.transaction(is_last=True) as step:
        step.item(bundle.name, ITEM_FAILED, error=ANOTHER)
        step.tally.failed = step.tally.checked = 1
        step.more = 1 - work.claim.size  # none of its owners was verified


def still_wrong(connection: Connection, bundle: Bundle, found: Sequence[Finding]) -> set[int]:
    """The owners that are still wrong: a heal may have run in between."""
    owners = sorted({finding.owner for finding in found})
    wrong = set(suspected(connection, bundle, {"owners": owners})) if owners else set()
    if any(finding.is_orphan for finding in found):
        wrong |= {finding.owner for finding in orphaned(connection, bundle, {"owners": owners})}
    return wrong


def _owned(payload: Mapping[str, Any]) -> ColumnElement[bool]:
    if "owners" in payload:
        given = literal(payload["owners"], ARRAY(BigInteger))
        return FINDINGS.c.owner == any_(given)
    return FINDINGS.c.owner.between(payload["low"], payload["high"])
