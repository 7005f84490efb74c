"""Checks as findings: `check:<name>`, of one check at most one is open.

Whatever finds nothing wrong of the figures while a check differs would be wrong itself, so a check is verified with
them and stands in the same table. Nobody heals it; it is closed when a user looks and both sides are the same again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, Numeric, String, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ...app.domain import declared
from ...base import N_
from ...figures import Check, Figure, registry
from ...figures.declaring.checks import Compared
from ...figures.models import noted_bundle
from ...runs.work import Chunk, Work
from ...web.record_links import Place, Subject, Word
from ..amounts import MONEY_DECIMALS
from ..findings import FINDINGS, NOTES, check
from ..models import FOLLOWS, NOTED, UNEQUAL

PREFIX = "check:"

SUM = "sum"
"""What stands in a finding's `stored` (the left side) and `expected` (the right side)."""

MOST_ROOTS = 20

_IS_OPEN = (FINDINGS.c.figure.startswith(PREFIX), FINDINGS.c.healed_at.is_(None))
"""A check was found to differ, and nobody has seen that both sides are the same again."""

LAST_STAGE = 1_000_000
"""After every figure was compared, and corrected where that was asked for."""


@dataclass(frozen=True)
class SumsOf:
    """A check's two sums, as findings speak of them beside figures."""

    name: str
    columns: tuple[Column[Any], ...] = (Column(SUM, Numeric(15, MONEY_DECIMALS)),)


def name_of(one: Check) -> str:
    """What the finding of a check is filed under."""
    return f"{PREFIX}{one.name}"


def all_checks() -> Mapping[str, Check]:
    """Name of findings → the check of which they tell."""
    return {name_of(one): one for one in declared().checks.values()}


def all_sums() -> list[SumsOf]:
    """The sums of every check."""
    return [SumsOf(name) for name in all_checks()]


def words() -> Iterator[Word]:
    """What findings of checks are called."""
    for name, one in all_checks().items():
        yield Word(name, one.title, PREFIX, {SUM: N_("Sum")})


def subjects() -> Iterator[Subject]:
    """Where they are shown: with both sides, as they are now."""
    from flask import url_for

    def page(place: Place, _column: str = "") -> str:
        return url_for("drift.check", name=place.name)

    yield Subject(PREFIX, lambda _owner, key: key["check"].astext.cast(String), page, page)


def reading(figures: Iterable[Figure]) -> list[Check]:
    """The checks that read a column of any of these figures, or facts alone of which one of them is derived.

    Facts of which nothing is derived are compared with whatever is.
    """
    asked = list(figures)
    kept = {column for figure in asked for column in figure.columns}
    facts, derived = (
        {source.table for figure in some for source in figure.sources}
        for some in (asked, registry.figures)
    )
    return [
        one
        for one in declared().checks.values()
        if one.columns & kept
        or (not figures_in(one) and (one.tables & facts or not one.tables & derived))
    ]


def figures_in(one: Check) -> set[Figure]:
    """The figures whose columns a check reads."""
    return {kept for column in one.columns if (kept := registry.keeper(column)) is not None}


# As a part of verifications


def chunk_of(one: Check) -> Chunk:
    """A check, as the last part of a verification."""
    return Chunk({"check": one.name}, 0, LAST_STAGE)


def verify(work: Work) -> None:
    """Compare both sides in a snapshot; say so, and record what is not the same in another transaction."""
    one = declared().checks[work.payload["check"]]
    with work.snapshot() as connection:
        at, began = connection.execute(select(func.now(), func.clock_timestamp())).one()
        seen = one.compare(connection)
        took = connection.scalar(select(func.extract("epoch", func.clock_timestamp() - began)))
    with work.transaction(is_last=True) as step:
        settle(step.connection, one, seen, work.asked.id)
        reported = {"verified_at": at, "milliseconds": (took or 0) * 1000, "run_id": work.asked.id}
        check(step.connection, {name_of(one): seen.parts}, **reported)
        if differing(step.connection, [one]):
            step.tally.checked = step.tally.skipped = step.more = 1


def settle(
    connection: Connection, one: Check, seen: Compared, run_id: int | None = None
) -> Compared:
    """Record a difference that is there still, or close what was found of the check; answers how it is now."""
    now = seen if seen.holds else one.compare(connection)
    if now.holds:
        _close(connection, [name_of(one)])
    else:
        _record(connection, now, run_id)
    return now


def is_any_open(connection: Connection | Session) -> bool:
    """Whether any check was found to differ."""
    return bool(connection.scalar(select(select(FINDINGS.c.id).where(*_IS_OPEN).exists())))


def settle_open(connection: Connection) -> None:
    """Look again at every check that was found to differ; what is declared no more is closed."""
    known = all_checks()
    for name in connection.scalars(select(FINDINGS.c.figure).where(*_IS_OPEN)).all():
        if name in known:
            settle(connection, known[name], known[name].compare(connection))
        else:
            _close(connection, [name])


def differing(connection: Connection, covered: Iterable[Check]) -> int:
    """How many of these are found to differ though every figure in them is right."""
    names = [name_of(one) for one in covered]
    mine = *_IS_OPEN, FINDINGS.c.figure.in_(names), FINDINGS.c.is_root
    return connection.scalar(select(func.count()).select_from(FINDINGS).where(*mine)) or 0


def found(connection: Connection, covered: Iterable[Check]) -> list[dict[str, Any]]:
    """Those of these checks that are found to differ, each as `as_reported` has it."""
    names = {name_of(one): one.name for one in covered}
    opened = select(FINDINGS).where(*_IS_OPEN, FINDINGS.c.figure.in_(names))
    return [
        _reported(names[row.figure], row.stored[SUM], row.expected[SUM], row.gross)
        for row in connection.execute(opened.order_by(FINDINGS.c.figure))
    ]


def as_reported(seen: Compared) -> dict[str, Any]:
    """A comparison for JSON, the same as of what was found."""
    return _reported(
        seen.check.name, str(seen.whole.left), str(seen.whole.right), _amount(seen.gross)
    )


def _reported(name: str, left: str, right: str, gross: Decimal | None) -> dict[str, Any]:
    """`gross`: the differences of the parts without their signs; NaN where an amount is no number."""
    return {
        "check": name,
        "left": left,
        "right": right,
        "difference": str(Decimal(right) - Decimal(left)),
        "gross": "NaN" if gross is None else str(gross),
    }


def _record(connection: Connection, found: Compared, run_id: int | None) -> None:
    row = _row(connection, found, run_id)
    add = upsert(FINDINGS).values(row)
    moved = ("stored", "expected", "amount", "gross", "roots", "is_root", "cause")
    add = add.on_conflict_do_update(
        index_elements=["figure", "key"],
        index_where=FINDINGS.c.healed_at.is_(None),
        set_={
            "last_seen_at": func.now(),
            "run_id": func.coalesce(add.excluded.run_id, FINDINGS.c.run_id),
            **{name: getattr(add.excluded, name) for name in moved},
        },
    )
    connection.execute(add)


def _row(connection: Connection, found: Compared, run_id: int | None) -> dict[str, Any]:
    """The check as a finding: what is known to be wrong of the figures that it reads is its root."""
    one, key = found.check, {"check": found.check.name}
    beneath = figures_in(one)
    wrong = select(FINDINGS.c.roots).where(
        FINDINGS.c.figure.in_([figure.name for figure in beneath]), FINDINGS.c.healed_at.is_(None)
    )
    roots: list[Any] = []
    for each in connection.scalars(wrong.order_by(FINDINGS.c.id).limit(MOST_ROOTS)):
        roots += [root for root in each if root not in roots]
    cause = FOLLOWS if roots else NOTED if _is_noted(connection, beneath) else UNEQUAL
    return {
        "figure": name_of(one),
        "owner": 0,
        "key": key,
        "kind": UNEQUAL,
        "stored": {SUM: str(found.whole.left)},
        "expected": {SUM: str(found.whole.right)},
        "amount": _amount(found.whole.difference),
        "gross": _amount(found.gross),
        "roots": roots[:MOST_ROOTS] or [{"figure": name_of(one), "key": key}],
        "is_root": not roots,
        "cause": cause,
        "run_id": run_id,
    }


def _is_noted(connection: Connection, beneath: Iterable[Figure]) -> bool:
    """Whether an outside program's writes to what the check reads wait to be followed."""
    names = [registry.bundle_of(figure).name for figure in beneath]
    waiting = select(NOTES.c.id).where(noted_bundle.in_(names))
    return bool(connection.scalar(select(waiting.exists())))


def _amount(value: Decimal) -> Decimal | None:
    """A difference; none where an amount is no number."""
    return value if value.is_finite() else None


def _close(connection: Connection, names: list[str]) -> None:
    mine = *_IS_OPEN, FINDINGS.c.figure.in_(names)
    connection.execute(update(FINDINGS).where(*mine).values(healed_at=func.now(), healed_by="save"))
