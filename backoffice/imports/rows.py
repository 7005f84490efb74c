"""The stored rows that the lines of files name, and whether one of them has changed since the dry run.

A dry run keeps, for each name in the files, the rows that it stands for and a digest of the facts in each of them. No
row means that the line creates one. Applying reads them again under the locks of the import.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql.expression import Subquery

from ..audit.scope import audited_tables
from ..audit.tables import title_of
from ..base import Base, table_of
from ..base.refusals import Refusal
from ..figures.computing.registry import registry
from .files.stage import Stage
from .kinds import ImportKind, Reads
from .kinds.billing import lock
from .refusals import RowChanged, RowCreated, RowRemoved

Found = list[list[tuple[int, str]]]
"""For each of the kind's `reads`: the first line of each name (its `n`), and the rows that the name stands for."""


def rows_of(stage: Stage, kind: ImportKind) -> Found:
    """The rows that the staged lines name now, before they are imported."""
    return [_named(stage, reads) if _is_in(stage, reads) else [] for reads in kind.reads]


def locked_rows_of(stage: Stage, kind: ImportKind) -> Found:
    """As `rows_of`; rows that the import changes are locked first, where the kind's check has not done so."""
    for reads in kind.reads:
        if reads.is_locked_here and _is_in(stage, reads):
            lines, model = _names(stage, reads), reads.model
            lock(stage, select(model.id).join(lines, reads.matches(lines.c)), model)
    return rows_of(stage, kind)


def first_change(
    stage: Stage, kind: ImportKind, before: Sequence[Sequence[Sequence[Any]]], now: Found
) -> Refusal | None:
    """What differs from the rows `before`, at the first line that names it; None if nothing does."""
    differences = [
        (n, place, rows, after)
        for place, (old, new) in enumerate(zip(before, map(dict, now), strict=True))
        for n, rows in old
        if (after := new.get(n, rows)) != rows
    ]
    if not differences:
        return None
    n, place, rows, after = min(differences)
    reads, c = kind.reads[place], stage.c
    file, line, name = stage.session.execute(
        select(c.file, c.line, c[reads.by[0]]).where(c.n == n)
    ).one()
    refusal = RowCreated if not rows else RowRemoved if not after else RowChanged
    record = title_of(reads.model.__tablename__)
    return refusal(record=record, name=name, file=stage.names[file], line=line)


def _is_in(stage: Stage, reads: Reads) -> bool:
    """Whether the files have the columns by which the rows are named."""
    return all(name in reads.lines(stage).c for name in reads.by)


def _names(stage: Stage, reads: Reads) -> Subquery:
    """Each name in the files once, with its first line."""
    lines = reads.lines(stage)
    by = [lines.c[name] for name in reads.by]
    return select(func.min(lines.c.n).label("n"), *by).group_by(*by).subquery("names")


def _named(stage: Stage, reads: Reads) -> list[tuple[int, str]]:
    names, table = _names(stage, reads), table_of(reads.model)
    row = func.concat(table.c.id, ":", _digest(table))
    rows = func.string_agg(row, aggregate_order_by(literal(" "), table.c.id))
    found = (
        select(names.c.n, func.coalesce(rows.filter(table.c.id.is_not(None)), ""))
        .outerjoin_from(names, table, reads.matches(names.c))
        .group_by(names.c.n)
        .order_by(names.c.n)
    )
    return [(n, text) for n, text in stage.session.execute(found)]


def _digest(table: Table) -> ColumnElement[Any]:
    """A number that is another one if a fact of the row is: what a user or a program entered, but no stored total."""
    [audited] = (one for one in audited_tables(Base.metadata, registry) if one.table is table)
    entered = (case((holds, column)) for column, holds in audited.entered.items())
    facts = func.row(*audited.facts, *entered)
    return func.hashtextextended(cast(facts, Text), 0)
