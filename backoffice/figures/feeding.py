"""Which rows feed which: the owners of a lower figure beneath the owners of one that builds on it."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Connection, Select, any_, bindparam, select, union

from .declaration import Figure, Source
from .registry import Bundle, Registry
from .statements import Statement

_OWNERS: Any = any_(bindparam("owners", type_=ARRAY(BigInteger)))


def pair_of(source: Source, lower: Figure) -> tuple[Any, Any]:
    """The owner that a source's row belongs to, beside the owner of the lower figure in it."""
    if source.through is None:
        return source.table.c[source.owner.key], lower.owner
    middle = source.through.table
    return middle.c[source.owner.key], _led_to(source.through, lower)


def _led_to(through: Column[Any], lower: Figure) -> Any:
    """The owner of the lower figure in the row that an intermediate row leads to."""
    if lower.owner is lower.primary_key:
        return through
    leading = select(lower.owner).where(lower.primary_key == through.table.c[through.key])
    return leading.scalar_subquery()


def has_same_owners(upper: Bundle, lower: Bundle) -> bool:
    """Whether each owner of the one is beneath itself alone."""
    return upper.owner_table is lower.owner_table


def lower_bundles(registry: Registry, bundle: Bundle) -> Iterator[Bundle]:
    """The other bundles that one builds on directly."""
    for other in registry.bundles:
        feeds = any(g in other.figures for f in bundle.figures for g in registry.depends_on(f))
        if feeds and other is not bundle:
            yield other


def owners_beneath(
    connection: Connection, registry: Registry, upper: Bundle, lower: Bundle, owners: Iterable[int]
) -> set[int]:
    """The owners of the lower bundle whose figures are read for these owners of the upper one."""
    found = set(owners) if has_same_owners(upper, lower) else set()
    statement = _beneath(registry, upper, lower)
    if statement is not None:
        given = sorted(set(owners))
        found |= {key for (key,) in statement.rows(connection, owners=given) if key is not None}
    return found


def owners_above(
    connection: Connection, registry: Registry, upper: Bundle, lower: Bundle, owners: Iterable[int]
) -> set[int]:
    """The owners of the upper bundle for whom figures of these owners of the lower one are read."""
    found = set(owners) if has_same_owners(upper, lower) else set()
    statement = _above(registry, upper, lower)
    if statement is not None:
        given = sorted(set(owners))
        found |= {key for (key,) in statement.rows(connection, owners=given) if key is not None}
    return found


def is_covered(
    connection: Connection,
    registry: Registry,
    upper: Bundle,
    lower: Bundle,
    owners: set[int],
    known: Mapping[str, set[int]],
) -> bool:
    """Whether everything of the lower bundle that is read for these owners is among the `known`."""
    mine = known.get(lower.name)
    if not mine or not (has_same_owners(upper, lower) or _beneath(registry, upper, lower)):
        return False
    if has_same_owners(upper, lower) and not owners <= mine:
        return False
    return owners_beneath(connection, registry, upper, lower, owners) <= mine


def _pairs(registry: Registry, upper: Bundle, lower: Bundle) -> Iterator[tuple[Any, Any]]:
    """Columns of upper and lower owner, for every way other than standing on the same row."""
    for figure in upper.figures:
        for below in registry.depends_on(figure).intersection(lower.figures):
            for source in figure.sources:
                if source.table is below.table and source.owner is not below.owner:
                    yield pair_of(source, below)


@cache
def _beneath(registry: Registry, upper: Bundle, lower: Bundle) -> Statement | None:
    return _of([select(low).where(up == _OWNERS) for up, low in _pairs(registry, upper, lower)])


@cache
def _above(registry: Registry, upper: Bundle, lower: Bundle) -> Statement | None:
    pairs = ((up, low) for up, low in _pairs(registry, upper, lower))
    return _of([select(up).where(low == _OWNERS) for up, low in pairs])


def _of(selects: list[Select[Any]]) -> Statement | None:
    """One statement of them; None where there is none."""
    if not selects:
        return None
    return Statement(selects[0].distinct() if len(selects) == 1 else union(*selects))
