"""Checks as findings, `check:<name>`; at most one is open per check.

A verification of the figures that ignored a differing check would be misleading, so checks are verified with
them and recorded in the same table. They are never healed; a finding is closed when both sides are seen to be equal.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import Connection, String, func, select, update
from sqlalchemy.orm import Session

from ...app.domain import declared
from ...base import N_
from ...figures import Check, Figure, registry
from ...figures.declaring.checks import Compared
from ...figures.models import noted_bundle
from ...runs.work import Chunk, Work
from ...web.record_links import Place, Subject, Word
from ..findings import NOTES, check
from ..models import FOLLOWS, NOTED, UNEQUAL
from ..recording import FINDINGS, upsert_findings

PREFIX = "check:"

SUM = "sum"
"""The key in a finding's `stored` (the left side) and `expected` (the right side)."""

MOST_ROOTS = 20

_IS_OPEN = (FINDINGS.c.figure.startswith(PREFIX), FINDINGS.c.healed_at.is_(None))
"""A check was found to differ, and has not been seen equal since."""

LAST_STAGE = 1_000_000
"""The stage after every figure was compared, and corrected where that was requested."""


@dataclass(frozen=True)
class SumsOf:
    """A check's two sums, with the interface that findings need of a figure."""

    name: str
    amounts: tuple[str, ...] = (SUM,)
    has_net: ClassVar[bool] = True


def name_of(one: Check) -> str:
    """The name under which the finding of a check is filed."""
    return f"{PREFIX}{one.name}"


def all_checks() -> Mapping[str, Check]:
    """Name of findings → their check."""
    return {name_of(one): one for one in declared().checks.values()}


def all_sums() -> list[SumsOf]:
    """The sums of every check."""
    return [SumsOf(name) for name in all_checks()]


def words() -> Iterator[Word]:
    """The titles of findings of checks."""
    for name, one in all_checks().items():
        yield Word(name, one.title, PREFIX, {SUM: N_("Sum")})


def subjects() -> Iterator[Subject]:
    """The titles and addresses of checks: the page with both sides as they are now."""
    from flask import url_for

    def page(place: Place, _column: str = "") -> str:
        return url_for("drift.check", name=place.name)

    yield Subject(PREFIX, lambda _owner, key: key["check"].astext.cast(String), page, page)


def reading(figures: Iterable[Figure]) -> list[Check]:
    """The checks that read a column of any of these figures, or only facts from which one of them is derived.

    Checks of facts from which nothing is derived are always included.
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
    """The figures with columns that a check reads."""
    return {kept for column in one.columns if (kept := registry.keeper(column)) is not None}


# As a part of verifications


def chunk_of(one: Check) -> Chunk:
    """A check as a last chunk of a verification."""
    return Chunk({"check": one.name}, 0, LAST_STAGE)


def verify(work: Work) -> None:
    """Compare both sides in a snapshot; record a difference in another transaction."""
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
    """Record a difference that is still there, or close the check's finding; returns the present comparison."""
    now = seen if seen.holds else one.compare(connection)
    if now.holds:
        _close(connection, [name_of(one)])
    else:
        _record(connection, now, run_id)
    return now


def is_any_open(connection: Connection | Session) -> bool:
    """Whether any check has an open finding."""
    return bool(connection.scalar(select(select(FINDINGS.c.id).where(*_IS_OPEN).exists())))


def settle_open(connection: Connection) -> None:
    """Compare again every check with an open finding; findings of checks no longer declared are closed."""
    known = all_checks()
    for name in connection.scalars(select(FINDINGS.c.figure).where(*_IS_OPEN)).all():
        if name in known:
            settle(connection, known[name], known[name].compare(connection))
        else:
            _close(connection, [name])


def differing(connection: Connection, covered: Iterable[Check]) -> int:
    """How many of these checks differ although every figure in them is right."""
    names = [name_of(one) for one in covered]
    mine = *_IS_OPEN, FINDINGS.c.figure.in_(names), FINDINGS.c.is_root
    return connection.scalar(select(func.count()).select_from(FINDINGS).where(*mine)) or 0


def found(connection: Connection, covered: Iterable[Check]) -> list[dict[str, Any]]:
    """The open findings of these checks, each as `as_reported` returns it."""
    names = {name_of(one): one.name for one in covered}
    opened = select(FINDINGS).where(*_IS_OPEN, FINDINGS.c.figure.in_(names))
    return [
        _reported(names[row.figure], row.stored[SUM], row.expected[SUM], row.gross)
        for row in connection.execute(opened.order_by(FINDINGS.c.figure))
    ]


def as_reported(seen: Compared) -> dict[str, Any]:
    """A comparison for JSON, in the same form as a finding."""
    return _reported(
        seen.check.name, str(seen.whole.left), str(seen.whole.right), _amount(seen.gross)
    )


def _reported(name: str, left: str, right: str, gross: Decimal | None) -> dict[str, Any]:
    """`gross`: the sum of the parts' absolute differences; NaN where an amount is not a number."""
    return {
        "check": name,
        "left": left,
        "right": right,
        "difference": str(Decimal(right) - Decimal(left)),
        "gross": "NaN" if gross is None else str(gross),
    }


def _record(connection: Connection, found: Compared, run_id: int | None) -> None:
    moved = ("stored", "expected", "amount", "gross", "roots", "is_root", "cause")
    upsert_findings(connection, [_row(connection, found, run_id)], moved)


def _row(connection: Connection, found: Compared, run_id: int | None) -> dict[str, Any]:
    """The check as a finding, with the open findings of the figures that it reads as its roots."""
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
    """Whether notes of outside programs on figures that the check reads are undrained."""
    names = [registry.bundle_of(figure).name for figure in beneath]
    waiting = select(NOTES.c.id).where(noted_bundle.in_(names))
    return bool(connection.scalar(select(waiting.exists())))


def _amount(value: Decimal) -> Decimal | None:
    """A difference; None where an amount is not a number."""
    return value if value.is_finite() else None


def _close(connection: Connection, names: list[str]) -> None:
    mine = *_IS_OPEN, FINDINGS.c.figure.in_(names)
    connection.execute(update(FINDINGS).where(*mine).values(healed_at=func.now(), healed_by="save"))
