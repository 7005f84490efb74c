"""Figures: stored totals that are declared once, kept right, verified, explained and healed.

A domain declares with `figure`, `total` and `check`; all other code calls the functions here, which act
on the deployment's registry. The core imports no domain.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, FromClause, Table
from sqlalchemy.orm import Session, scoped_session

from ..base.actor import acting_as, actor
from ..database import objects
from ..database.objects import DatabaseObject
from .computing.registry import Bundle, Registry, registry
from .declaring.checks import Check, amounts, check
from .declaring.declaration import Figure, Last
from .declaring.expressions import total
from .declaring.figure import figure
from .errors import FigureError, UnknownFigure
from .keeping import hooks, locking, triggers
from .keeping.triggers import GUARDS, guard_objects
from .showing import explanation, previews
from .showing.explanation import Explanation
from .showing.previews import Preview, Rows
from .verifying import healing, outside, proving, verification
from .verifying.findings import Finding
from .verifying.healing import Failure, HealResult
from .verifying.outside import NotedResult
from .verifying.proving import Disproof

AnySession = Session | scoped_session[Any]

__all__ = [
    "Check",
    "Explanation",
    "Failure",
    "Figure",
    "FigureError",
    "Finding",
    "HealResult",
    "Last",
    "NotedResult",
    "Preview",
    "Registry",
    "UnknownFigure",
    "acting_as",
    "actor",
    "amounts",
    "check",
    "disproofs",
    "explain",
    "figure",
    "has_written",
    "heal",
    "heal_noted",
    "hold",
    "noted",
    "out_of_date",
    "preview",
    "registry",
    "renew",
    "session_over",
    "settle",
    "sync",
    "tampered",
    "total",
    "verify",
    "written",
]


def _engine(bind: AnySession | Engine) -> Engine:
    if isinstance(bind, Engine):
        return bind
    found = bind.get_bind()
    return found.engine if isinstance(found, Connection) else found


def sync(connection: Connection, of_domains: Sequence[DatabaseObject]) -> list[str]:
    """Bring the note triggers, the guards and the triggers of domains in step with the code (end of `db upgrade`)."""
    return objects.sync_objects(connection, GUARDS, guard_objects(of_domains)) + triggers.sync(
        connection, registry
    )


def disproofs(connection: Connection) -> Iterator[Disproof]:
    """Test the declarations on a few owners of this company's data; see `proving.disproofs`."""
    return proving.disproofs(connection, registry)


def renew(engine: Engine, **options: Any) -> Iterator[tuple[Bundle, HealResult]]:
    """Compute the figures not yet computed by their present definitions; see `healing.renew`."""
    return healing.renew(engine, registry, **options)


def tampered(connection: Connection, of_domains: Sequence[DatabaseObject]) -> dict[str, str]:
    """Triggers and guards that were changed after installation, each with what is wrong."""
    return objects.tampered(connection, GUARDS, guard_objects(of_domains)) | triggers.tampered(
        connection, registry
    )


def out_of_date(connection: Connection, of_domains: Sequence[DatabaseObject]) -> dict[str, str]:
    """Triggers and guards that differ from their declaration, each with what is wrong, for `/readyz?deep=1`."""
    return objects.differences(
        connection, GUARDS, guard_objects(of_domains)
    ) | triggers.out_of_date(connection, registry)


def settle(session: AnySession) -> None:
    """Flush, then recompute what this transaction has touched so far.

    Needed only before handing a connection to something that reads figures without SQLAlchemy: a
    commit and a read through the session do it by themselves.
    """
    plain = session() if isinstance(session, scoped_session) else session
    hooks.settle(plain, registry)


def has_written(session: Session) -> bool:
    """Whether this transaction may have written a fact or a figure; flushes first."""
    return hooks.has_written(session)


@contextmanager
def written(session: AnySession) -> Iterator[list[tuple[Table, int]]]:
    """Collects the figure rows (table and primary key) that this transaction's recomputes write inside the block."""
    with hooks.written(session.connection()) as rows:
        yield rows


@contextmanager
def session_over(connection: Connection) -> Iterator[Session]:
    """A session within this connection's transaction that keeps figures right; it ends with a savepoint."""
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        hooks.install_session(session, registry)
        yield session
        session.commit()


def hold(session: AnySession, figure: Figure, owners: Iterable[int]) -> None:
    """Lock the figure's owners until the transaction ends; see `locking.hold`.

    Call it before entering a fact beside derived rows, or before reading what must not change until it is saved.
    """
    locking.hold(session.connection(), registry.bundle_of(figure), owners)


def preview(
    session: AnySession,
    figures: Sequence[Figure],
    rows: Rows,
    owners: Sequence[int] = (),
) -> Preview:
    """What `figures` would be with `rows` in place of what is stored; see `previews.preview`."""
    return previews.preview(session.connection(), registry, figures, rows, owners)


def verify(
    bind: AnySession | Engine,
    figures: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    *,
    chunk: int = verification.CHUNK,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Finding]:
    """Every drifted figure row in scope as committed; see `verification.verify`."""
    return verification.verify(
        _engine(bind), registry, figures, owners, chunk=chunk, progress=progress
    )


def heal(
    bind: AnySession | Engine,
    figures: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    **options: Any,
) -> HealResult:
    """Correct every drifted figure in scope, in transactions of its own; see `healing.heal`."""
    return healing.heal(_engine(bind), registry, figures, owners, **options)


def heal_noted(bind: AnySession | Engine, **options: Any) -> NotedResult:
    """Drain the notes that outside programs left; see `outside.heal_noted`."""
    return outside.heal_noted(_engine(bind), registry, **options)


def noted(bind: AnySession | Engine) -> dict[Figure, int]:
    """How many notes of outside programs are undrained, by figure."""
    counts = outside.noted(_engine(bind))
    return {f: counts.get(registry.bundle_of(f).name, 0) for f in registry.figures}


def explain(
    session: AnySession, figure: Figure, key: int, laid: Mapping[Table, FromClause] | None = None
) -> Explanation | None:
    """How the figure of the row with primary key `key` was calculated; see `explanation.explain`."""
    return explanation.explain(session.connection(), registry, figure, key, laid)
