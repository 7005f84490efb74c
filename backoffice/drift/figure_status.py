"""Whether the stored figures are known to be right: the one status for every page, file and command.

The books are right only where nothing indicates otherwise: no finding is open, every figure was verified lately and
without failure, no change by another program waits, and the triggers that note changes are as declared.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Literal

import structlog
from flask import current_app, g, has_request_context
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    case,
    cast,
    distinct,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..base import table_of
from ..book.models import Book
from ..figures import Check, Figure, registry
from ..figures.models import FigureNote, noted_bundle
from ..runs.models import DONE_WITH_FAILURES, FAILED, Run
from .models import UNEQUAL, DriftFinding, FigureCheck
from .verification.checks import all_checks, figures_in
from .verification.guards import broken

LATEST = timedelta(hours=26)
"""A figure that was last verified longer ago is itself an alert: the nightly check has not run."""

MOST_COUNTED = 1_000
"""The most open findings, or waiting notes, counted for the status dot; above this it shows no exact number."""

SECONDS = 3.0
"""How long a page may use a cached status, unless it needs the present one."""

GUARDED_SECONDS = 30.0
"""How long the status of the triggers is cached: comparing them takes longer than everything else together."""

log = structlog.get_logger("backoffice.figure_status")

_KNOWN = "backoffice.drift.figure_status"
_GUARDED = "backoffice.drift.figure_status.guarded"

State = Literal["right", "waiting", "stale", "failed", "unverified", "unguarded", "wrong"]
"""From good to bad; the worst one that applies is shown."""

IS_OPEN: ColumnElement[bool] = DriftFinding.healed_at.is_(None)

IS_COUNTED: ColumnElement[bool] = or_(DriftFinding.kind != UNEQUAL, DriftFinding.is_root)
"""A wrong row, or a check that differs although every row is right; not one that follows from a row."""


@dataclass(frozen=True)
class FigureStatus:
    """The status of the books as far as verification knows.

    `wrong` counts the open findings: rows, of figures or of facts, and checks that differ although all rows are right;
    `amount` is the sum of their gross amounts, in the deployment's currency, `oldest` when the first was seen.
    `verified_at` is when the figure that has waited longest was verified. `verified` figures and checks have been
    verified at some time, `unverified` figures and `uncompared` checks have rows and never were, the last verification
    of `failed` ones failed since. `waiting` changes by other programs have not been followed yet; `unguarded` triggers
    are not as declared, so that changes may go unnoticed.
    """

    wrong: int
    amount: Decimal
    oldest: datetime | None
    verified_at: datetime | None
    verified: int
    unverified: int
    failed: int = 0
    waiting: int = 0
    unguarded: int = 0
    uncompared: int = 0

    @property
    def state(self) -> State:
        """The worst state that applies."""
        known: tuple[tuple[Any, State], ...] = (
            (self.wrong, "wrong"),
            (self.unguarded, "unguarded"),
            (self.unverified or self.uncompared, "unverified"),
            (self.failed, "failed"),
            (self.is_stale, "stale"),
            (self.waiting, "waiting"),
        )
        return next((state for is_so, state in known if is_so), "right")

    @property
    def is_stale(self) -> bool:
        """Whether some figure was last verified too long ago for a check that runs every night."""
        return self.verified_at is not None and self.verified_at < datetime.now(UTC) - LATEST


def read(connection: Connection | Session, *, most: int | None = None) -> FigureStatus:
    """The present status of the books. With `most`, at most so many findings and notes are counted."""
    row = connection.execute(_status(most, tuple(all_checks().items()))).one()
    return FigureStatus(**row._mapping, unguarded=_unguarded(connection))


@cache
def _status(most: int | None, known_checks: tuple[tuple[str, Check], ...]) -> Select[Any]:
    """The fields of a status but for the triggers, in one statement; it is built once, which takes milliseconds."""
    names = [*(figure.name for figure in registry.figures), *(name for name, _ in known_checks)]
    opened = (
        select(
            DriftFinding.gross.label("amount"),
            DriftFinding.first_seen_at,
            IS_COUNTED.label("is_counted"),
        )
        .where(IS_OPEN)
        .limit(most)
        .subquery()
    )
    checks = select(
        func.min(FigureCheck.verified_at).label("verified_at"), func.count().label("verified")
    ).where(FigureCheck.figure.in_(names)).subquery()  # fmt: skip
    found = select(
        _counted(func.count(), opened.c.is_counted).label("wrong"),
        func.coalesce(_counted(func.sum(opened.c.amount), opened.c.is_counted), 0).label("amount"),
        func.min(opened.c.first_seen_at).label("oldest"),
    ).subquery()
    noted = select(FigureNote.id).where(is_of_another()).limit(most or MOST_COUNTED).subquery()
    return select(
        found,
        checks,
        _unverified({f.name: [f.table] for f in registry.figures}).label("unverified"),
        _unverified({name: one.tables - _ALWAYS for name, one in known_checks}).label("uncompared"),
        failed_figures().with_only_columns(func.count(distinct(FigureCheck.figure)))
        .scalar_subquery().label("failed"),
        select(func.count()).select_from(noted).scalar_subquery().label("waiting"),
    ).select_from(found.join(checks, true()))  # fmt: skip


_ALWAYS = {table_of(Book)}
"""Tables with one row from the start: such a row alone is nothing to verify."""


def _counted(aggregate: Any, is_counted: Any) -> ColumnElement[Any]:
    """An aggregate without the checks that differ because rows are wrong, as long as other findings exist."""
    is_any = func.count().filter(is_counted) > 0
    return case((is_any, aggregate.filter(is_counted)), else_=aggregate)


def _unguarded(connection: Connection | Session) -> int:
    """How many triggers are not as declared; the result of comparing PostgreSQL's catalogue is cached for a while."""
    until, count = current_app.extensions.get(_GUARDED, (0.0, 0))
    if time.monotonic() >= until:
        own = connection.connection() if isinstance(connection, Session) else connection
        count = len(broken(own))
        current_app.extensions[_GUARDED] = time.monotonic() + GUARDED_SECONDS, count
    found: int = count
    return found


def is_of_another() -> ColumnElement[bool]:
    """Whether a note is of another transaction; this one's own notes are drained before it commits."""
    mine: ColumnElement[bool] = FigureNote.xid == func.pg_current_xact_id_if_assigned()
    return func.coalesce(~mine, true())


def _unverified(kept: Mapping[str, Iterable[Table]]) -> ColumnElement[int]:
    """How many of these have rows in any of their tables and were never verified."""
    counted: ColumnElement[int] = literal(0, Integer)
    for name, tables in kept.items():
        has_rows = or_(
            *(select(next(iter(t.primary_key))).exists() for t in sorted(tables, key=str))
        )
        is_checked = select(FigureCheck.figure).where(FigureCheck.figure == name).exists()
        counted = counted + case((has_rows & ~is_checked, 1), else_=0)
    return counted


def failed_figures() -> Select[Any]:
    """The figures with a verification over all owners that failed since they were last verified.

    Only runs younger than `LATEST` are read: anything older is stale in any case.
    """
    covered = Run.scope["figures"]
    began_at = func.coalesce(Run.started_at, Run.created_at)
    whole = covered[FigureCheck.figure] == cast(literal("null"), JSONB)
    return (
        select(FigureCheck.figure)
        .join(
            Run,
            (Run.kind == "figures.verify")
            & Run.status.in_((FAILED, DONE_WITH_FAILURES))
            & (Run.created_at > func.now() - LATEST)
            & (began_at > FigureCheck.verified_at)
            & ~Run.scope.has_key("retry")
            & or_(~Run.scope.has_key("figures"), whole),
        )
        .where(FigureCheck.figure.in_([figure.name for figure in registry.figures]))
    )


def is_doubted(session: Session, kept: Collection[Figure]) -> bool:
    """Whether anything indicates an error in these figures: see `doubted`."""
    return not doubted(session).isdisjoint(figure.name for figure in kept)


def doubted(session: Session | Connection) -> set[str]:
    """The figures with an open finding in their rows, in the facts that they read, or in a figure beneath.

    Also those read by a check that differs, and those with undrained changes by other programs; with very many
    changes: all figures.
    """
    known, found_wrong = all_checks(), _found_wrong(session)
    wrong = {name.rpartition(":")[2] for name in found_wrong if name not in known}
    wrong |= {f.name for name in found_wrong if name in known for f in figures_in(known[name])}
    waiting = _waiting_bundles(session)
    found: set[str] = set()
    for figure in registry.figures:  # lower figures first
        read = {figure.table.name, *(source.table.name for source in figure.sources)}
        is_noted = waiting is None or registry.bundle_of(figure).name in waiting
        is_below = any(lower.name in found for lower in registry.depends_on(figure))
        if is_noted or is_below or wrong & {figure.name, *read}:
            found.add(figure.name)
    return found


def _found_wrong(session: Session | Connection) -> list[str]:
    """The names under which open findings are filed: figures, and the facts and dates of tables."""
    return list(session.scalars(select(DriftFinding.figure).where(IS_OPEN).distinct()))


def _waiting_bundles(session: Session | Connection) -> set[str] | None:
    """The bundles with undrained notes; None where there are too many to count."""
    some = select(noted_bundle.label("bundle")).where(is_of_another()).limit(MOST_COUNTED)
    names = list(session.scalars(some))
    return None if len(names) == MOST_COUNTED else set(names)


def now() -> FigureStatus:
    """The present status of the books, which the rest of this page then uses as well."""
    found = read(db.session())
    current_app.extensions[_KNOWN] = time.monotonic() + SECONDS, found
    return found


def shown_wrong(wrong: int) -> None:
    """Keep this page's dot from saying "right" beside so many rows that it marks; no other page is affected."""
    g.shown_wrong = wrong


def known() -> FigureStatus | None:
    """The status of the books, at most some seconds old; None where the database does not answer.

    On a connection of its own: an error page is rendered while the request's own
    transaction is broken.
    """
    found = _remembered()
    wrong = g.get("shown_wrong", 0) if has_request_context() else 0
    return replace(found, wrong=wrong) if found and wrong and not found.wrong else found


def _remembered() -> FigureStatus | None:
    found: FigureStatus | None
    until, found = current_app.extensions.get(_KNOWN, (0.0, None))
    if time.monotonic() < until:
        return found
    try:
        with db.engine.connect() as connection:
            found = read(connection, most=MOST_COUNTED)
    except SQLAlchemyError as error:
        log.warning("how the books stand cannot be read", error=type(error).__name__)
        found = None
    current_app.extensions[_KNOWN] = time.monotonic() + SECONDS, found
    return found


def forget() -> None:
    """Discard the cached status: a finding, request or correction has just been made."""
    current_app.extensions.pop(_KNOWN, None)


def forget_everything() -> None:
    """Discard the cached status, that of the triggers too."""
    forget()
    current_app.extensions.pop(_GUARDED, None)


def reported_wrong() -> None:
    """Discard a cached status of no errors, because a page marks something as wrong."""
    _until, found = current_app.extensions.get(_KNOWN, (0.0, None))
    if found is not None and not found.wrong:
        forget()
