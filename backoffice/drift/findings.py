"""Findings as rows: recorded when first seen, updated when seen again, closed when resolved.

A further check of the same row does not insert another finding.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    any_,
    case,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ..audit.facts import Forgery
from ..base import differences, money, table_of
from ..base.money_columns import is_money
from ..figures import Figure, Finding, registry
from ..figures.computing.registry import Bundle
from ..figures.keeping.drain import Drained
from ..figures.models import Correction, FigureNote, noted_bundle
from ..figures.verifying.findings import findings
from ..runs.models import RunItem
from .amounts import amounts_of, as_fields
from .facts.findings import record as record_facts
from .facts.findings import root_of
from .facts.holding import held
from .models import (
    FOLLOWS,
    MISSING,
    NOTED,
    OWNERLESS,
    ROUNDING,
    ROW,
    SURPLUS,
    UNNOTICED,
    FigureCheck,
)
from .recording import FINDINGS, upsert_findings

CORRECTIONS, ITEMS, NOTES = table_of(Correction), table_of(RunItem), table_of(FigureNote)
CHECKS = table_of(FigureCheck)


def as_item(finding: Finding) -> dict[str, Any]:
    """A finding as the fields of a run's item, except its outcome."""
    reported = finding.as_dict()
    before = None if finding.kind == MISSING else reported["stored"]
    after = None if finding.kind == SURPLUS else reported["expected"]
    return {
        "subject": finding.figure.name,
        "owner": finding.owner,
        "key": key_of(finding),
        "before": before,
        "after": after,
        "amounts": as_fields(amounts_of(finding.figure, before, after)),
        "details": {"kind": finding.kind, "roots": reported["roots"]},
    }


def as_reported(row: Mapping[str, Any]) -> dict[str, Any]:
    """A finding for JSON, the same from a verification, from a dry run and where nothing could be recorded.

    `row` has the columns of a `DriftFinding`. Amounts are texts; net and gross are null for a figure without money.
    """
    stored, expected = (row[side] or {} for side in ("stored", "expected"))
    amounts = {"net": row["amount"], "gross": row["gross"]}
    return {
        "figure": row["figure"],
        "owner": row["owner"],
        "key": {name: str(value) for name, value in row["key"].items()},
        "kind": row["kind"],
        "stored": stored,
        "expected": expected,
        "difference": differences.differences(stored, expected),
        **{name: None if amount is None else str(amount) for name, amount in amounts.items()},
        "root": row["roots"][0],
        "roots": row["roots"],
    }


def reported_now(finding: Finding) -> dict[str, Any]:
    """The same for a finding that is not recorded."""
    item = as_item(finding)
    return as_reported(
        {
            "amount": None,
            "gross": None,
            **item["amounts"],
            **{name: item[name] for name in ("owner", "key")},
            "figure": item["subject"],
            "stored": item["before"],
            "expected": item["after"],
            **item["details"],
        }
    )


def reported_of(item: RunItem) -> dict[str, Any]:
    """The same for an item that a dry run has found."""
    return as_reported(
        {
            **{name: getattr(item, name) for name in ("owner", "key", "amount", "gross")},
            "figure": item.subject,
            "stored": item.before,
            "expected": item.after,
            **{name: item.details[name] for name in ("kind", "roots")},
        }
    )


def key_of(finding: Finding) -> dict[str, Any]:
    """The row's key as corrections store it: numbers as numbers, all else as text."""
    return {name: v if isinstance(v, int) else str(v) for name, v in finding.row.key}


def likely_cause(finding: Finding, noted: set[int]) -> str:
    """The class of the likely cause; `noted` are the owners with undrained notes of outside programs."""
    if finding.is_orphan:
        return OWNERLESS
    if finding.roots[0] != finding.row:
        return FOLLOWS
    if finding.owner in noted:
        return NOTED
    if finding.kind in (MISSING, SURPLUS):
        return ROW
    return ROUNDING if _is_rounding(finding) else UNNOTICED


def _is_rounding(finding: Finding) -> bool:
    """Whether no amount differs by more than a minor unit, and no other value differs."""
    amounts = {c.key for c in finding.figure.columns if is_money(c)}
    unit = Decimal(1).scaleb(-money.minor_unit())
    return finding.stored.keys() <= amounts and all(
        abs(finding.expected[c] - value) <= unit for c, value in finding.stored.items()
    )


def noted_owners(connection: Connection, bundle: Bundle, owners: Sequence[int]) -> set[int]:
    """The owners, of these, with notes of an outside program; all of them after TRUNCATE."""
    waiting = select(NOTES.c.owner).where(
        noted_bundle == bundle.name,
        NOTES.c.owner.is_(None) | (NOTES.c.owner == any_(literal(list(owners), ARRAY(BigInteger)))),
    )
    found = set(connection.scalars(waiting.distinct()))
    return set(owners) if None in found else found


def record(
    connection: Connection, found: Sequence[Finding], noted: set[int], run_id: int | None
) -> None:
    """Insert new findings and update known ones; a forged fact beneath is recorded too, as their root."""
    if not found:
        return
    forged = _forged_beneath(connection, found)
    record_facts(connection, [one for facts in forged.values() for one in facts], run_id)
    rows = [_row(finding, noted, forged, run_id) for finding in found]
    moved = ("owner", "kind", "stored", "expected", "amount", "gross", "roots", "is_root", "cause")
    upsert_findings(connection, rows, moved)


def record_held(
    connection: Connection, drained: Drained, run_id: int | None
) -> list[tuple[Bundle, list[Finding]]]:
    """Record the drift of owners that a correction has skipped; returned by bundle."""
    left: list[tuple[Bundle, list[Finding]]] = []
    for bundle in registry.bundles:
        if owners := drained.held.get(bundle.name):
            found = findings(connection, registry, bundle, sorted(owners))
            record(connection, found, set(), run_id)
            left.append((bundle, found))
    return left


def _forged_beneath(
    connection: Connection, found: Sequence[Finding]
) -> dict[tuple[Bundle, int], Sequence[Forgery]]:
    """Bundle and owner → the facts beneath that differ from the audit trail."""
    owners: dict[Bundle, set[int]] = defaultdict(set)
    for finding in found:
        owners[registry.bundle_of(finding.figure)].add(finding.owner)
    return {
        (bundle, owner): forged
        for bundle, mine in owners.items()
        for owner, forged in held(connection, bundle, mine).items()
    }


def _row(
    finding: Finding,
    noted: set[int],
    forged: Mapping[tuple[Bundle, int], Sequence[Forgery]],
    run_id: int | None,
) -> dict[str, Any]:
    item = as_item(finding)
    owner = (registry.bundle_of(finding.figure), finding.owner)
    facts = () if finding.is_orphan else forged.get(owner, ())
    return {
        **{name: item[name] for name in ("owner", "key")},
        **{name: item["amounts"].get(name) for name in ("amount", "gross")},
        "figure": item["subject"],
        "kind": finding.kind,
        "stored": item["before"],
        "expected": item["after"],
        "roots": [root_of(fact) for fact in facts] or item["details"]["roots"],
        "is_root": not facts and finding.roots[0] == finding.row,
        "cause": FOLLOWS if facts else likely_cause(finding, noted),
        "run_id": run_id,
    }


def close_unseen(
    connection: Connection, bundles: Iterable[Bundle], owned: ColumnElement[bool], since: datetime
) -> None:
    """Close the open findings of these owners that this transaction's check has not confirmed.

    `since` is when the check's snapshot was taken: findings made after it stay open.
    """
    names = [figure.name for bundle in bundles for figure in bundle.figures]
    _close(
        connection,
        FINDINGS.c.figure.in_(names),
        owned,
        FINDINGS.c.last_seen_at < since,
    )


def close_undeclared(connection: Connection, known: Iterable[str]) -> None:
    """Close the open findings of what only an earlier version declared, because nothing else would close them."""
    is_of_none = FINDINGS.c.figure.not_in(list(known)), FINDINGS.c.healed_at.is_(None)
    connection.execute(update(FINDINGS).where(*is_of_none).values(healed_at=func.now()))


def close_corrected(connection: Connection, corrections: Sequence[int]) -> None:
    """Close the findings that these corrections, made in this transaction, have healed."""
    is_open = select(FINDINGS.c.id).where(FINDINGS.c.healed_at.is_(None)).limit(1)
    if not corrections or connection.scalar(is_open) is None:
        return
    is_one = and_(
        CORRECTIONS.c.id == any_(literal(list(corrections), ARRAY(BigInteger))),
        CORRECTIONS.c.figure == FINDINGS.c.figure,
        CORRECTIONS.c.key == FINDINGS.c.key,
    )
    _close(connection, select(CORRECTIONS.c.id).where(is_one).exists(), correction=is_one)


def _close(
    connection: Connection,
    *which: ColumnElement[bool],
    correction: ColumnElement[bool] | None = None,
) -> None:
    """Close open findings; `correction`, else the last correction since, determines how each was resolved."""
    since = and_(
        CORRECTIONS.c.figure == FINDINGS.c.figure,
        CORRECTIONS.c.owner == FINDINGS.c.owner,
        CORRECTIONS.c.key == FINDINGS.c.key,
        CORRECTIONS.c.at >= FINDINGS.c.first_seen_at,
    )
    last = select(func.max(CORRECTIONS.c.id)).where(since if correction is None else correction)
    healing = last.correlate(FINDINGS).scalar_subquery()
    chosen = (
        select(FINDINGS.c.id, healing.label("correction_id"))
        .where(FINDINGS.c.healed_at.is_(None), *which)
        .cte("chosen")
    )
    cause = select(CORRECTIONS.c.cause).where(CORRECTIONS.c.id == chosen.c.correction_id)
    connection.execute(
        update(FINDINGS)
        .where(FINDINGS.c.id == chosen.c.id, FINDINGS.c.healed_at.is_(None))
        .values(
            healed_at=func.now(),
            correction_id=chosen.c.correction_id,
            healed_by=case(
                (chosen.c.correction_id.is_(None), "save"),
                (cause.scalar_subquery() == "bypass", "bypass"),
                else_="run",
            ),
        )
    )


def check(connection: Connection, verified: Mapping[str, int], **values: Any) -> None:
    """Record that these were verified over all their owners, with their number, and the drift they have now.

    For a figure `rows` counts the stored and the missing rows; for anything else it equals the number verified.
    """
    if not verified:
        return
    stored = _stored(connection, [f for f in registry.figures if f.name in verified])
    is_open = FINDINGS.c.figure.in_(list(verified)), FINDINGS.c.healed_at.is_(None)
    wrong = select(
        FINDINGS.c.figure,
        func.count().label("drifted"),
        func.coalesce(func.sum(FINDINGS.c.gross), 0).label("amount"),
        func.count().filter(FINDINGS.c.kind == MISSING).label("missing"),
    )
    found = {
        row.figure: row for row in connection.execute(wrong.where(*is_open).group_by("figure"))
    }
    rows: list[dict[str, Any]] = []
    for name, owners in verified.items():
        row = found.get(name)
        drifted, amount, missing = (0, 0, 0) if row is None else row[1:]
        standing = stored[name] + missing if name in stored else owners
        rows.append(
            {
                "figure": name,
                "owners": owners,
                "rows": standing,
                "drifted": drifted,
                "amount": amount,
            }
        )
    add = upsert(CHECKS).values(values)
    given = {name: add.excluded[name] for name in (*values, "owners", "rows", "drifted", "amount")}
    connection.execute(add.on_conflict_do_update(index_elements=["figure"], set_=given), rows)


def _stored(connection: Connection, figures: Sequence[Figure]) -> dict[str, int]:
    """How many rows of each figure are stored."""
    if not figures:
        return {}
    tables = list(dict.fromkeys(figure.table for figure in figures))
    counts = (select(func.count()).select_from(table).scalar_subquery() for table in tables)
    counted = dict(zip(tables, connection.execute(select(*counts)).one(), strict=True))
    return {figure.name: counted[figure.table] for figure in figures}
