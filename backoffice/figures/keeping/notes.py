"""The notes of touched owners that a drain takes: those of its own transaction."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Text,
    any_,
    bindparam,
    delete,
    func,
    literal,
    select,
)

from ...base import table_of
from ...database import proof
from ...database.proof import proven
from ..computing.increments import Delta
from ..computing.statements import Statement
from ..models import FigureNote

NOTES = table_of(FigureNote)

_OTHERS = NOTES.alias("others")
_IS_BESIDE_OTHERS = select(_OTHERS.c.id).where(_OTHERS.c.xid != func.pg_current_xact_id()).exists()

TAKE_MINE = Statement(
    delete(NOTES)
    .where(
        proven(),
        NOTES.c.xid == func.pg_current_xact_id(),  # a newer process's notes are left
        NOTES.c.bundle == any_(bindparam("known", type_=ARRAY(Text))),
        NOTES.c.definition == any_(bindparam("definitions", type_=ARRAY(Text))),
    )
    .returning(
        NOTES.c.id, NOTES.c.bundle, NOTES.c.owner, NOTES.c.source,
        NOTES.c.source_id, NOTES.c.key, NOTES.c.delta, NOTES.c.since,
        _IS_BESIDE_OTHERS, func.current_setting("transaction_isolation"),
    )
)  # fmt: skip


@dataclass
class Touched:
    """The notes on one bundle: the owners to recompute, or the changes to add."""

    everything: bool = False
    owners: set[int] = field(default_factory=set)
    deltas: list[Delta] = field(default_factory=list)
    since: set[tuple[int, str]] = field(default_factory=set)
    """Owners, each with the place from which on its rows have to be recomputed."""
    rows: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    written: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """As `rows`, but written by a correction of this transaction, which propagates them itself."""

    def add(
        self,
        owner: int | None,
        source: str | None,
        source_id: int | None,
        key: list[str] | None = None,
        delta: list[Decimal] | None = None,
        since: str | None = None,
    ) -> None:
        """Add one note; an absolute recompute supersedes any change noted beside it."""
        if source is not None and source_id is not None:
            self.rows[source].add(source_id)
        if owner is None:
            self.everything = self.everything or source is None
        elif since is not None:
            self.since.add((owner, since))
        elif delta is None:
            self.owners.add(owner)
        else:
            self.deltas.append(Delta(owner, tuple(key or ()), delta))


def drop_mine(connection: Connection, fresh: Mapping[str, set[int]] | None = None) -> None:
    """Delete the notes that the core's own write has made on owners just recomputed (None: on any owner)."""
    mine = delete(NOTES).where(proven(), NOTES.c.xid == func.pg_current_xact_id())
    token = {"token": proof.token(connection)}
    if fresh is None:
        connection.execute(mine, token)
        return
    for name, owners in fresh.items():
        settled = any_(literal(sorted(owners), ARRAY(BigInteger)))
        connection.execute(mine.where(NOTES.c.bundle == name, NOTES.c.owner == settled), token)
