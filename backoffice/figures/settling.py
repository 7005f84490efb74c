"""What a correction writes needs no note, for it knows of those rows: it says so to the triggers while it writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Connection, Text, bindparam, func, select

from .declaration import Source
from .models import PROOF, SETTLING
from .proof import token
from .registry import Bundle, Registry
from .statements import Statement

_say = Statement(
    select(
        func.set_config(SETTLING, bindparam("names", type_=Text), True),
        func.set_config(PROOF, bindparam("token", type_=Text), True),
    )
)


@contextmanager
def settling(connection: Connection, names: Sequence[str]) -> Iterator[None]:
    """While inside, the notes of these names are not made (see `settled_name`), and corrections may be written.

    Both because the transaction proves to be one of ours. For one statement; if it fails, its savepoint takes
    the saying back with it.
    """
    if names:
        _say.run(connection, names=",".join(names), token=token(connection))
    yield
    if names:
        _say.run(connection, names="", token="")


def settled_name(bundle: Bundle, source: Source) -> str | None:
    """The name by which a correction says that the bundle's owners need no note of what it writes to a source.

    The rows of owners that it has locked, and computes by the facts in that very statement, need none.
    Nor do the owners who are reached from the rows through another table: the correction leads to them by
    the rows that it has written. None: whoever else is to be told is told by a note.
    """
    if source.through is not None:
        return None if bundle.incremental else reached_by(bundle, source)
    mine = {(figure.table, figure.owner) for figure in bundle.figures}
    return bundle.name if (source.table, source.owner) in mine else None


def reached_by(bundle: Bundle, source: Source) -> str:
    """The name for the bundle's owners who are reached from a source through another table, that way."""
    assert source.through is not None
    return f"{bundle.name}<{source.table.name}<{source.through.table.name}.{source.through.key}"


@cache
def led_through(
    registry: Registry, bundle: Bundle, besides: frozenset[str]
) -> Sequence[tuple[Bundle, Source]]:
    """The bundles, but for these, whose owners are reached through another table from what a bundle writes.

    That is, from columns that they read: nobody is recomputed for what is nothing to them.
    """
    written = {col for figure in bundle.figures for col in figure.columns}
    derived = {figure.table for figure in bundle.figures if figure.derived_rows}
    return [
        (upper, source)
        for upper in registry.bundles
        if not upper.incremental and upper.name not in besides
        for source in upper.sources
        if source.through is not None
        and (
            source.table in derived
            or any(source.table.c[name] in written for name in source.columns)
        )
    ]
