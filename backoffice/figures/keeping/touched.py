"""The owners and rows that a statement touches, as SQL over a trigger's transition tables."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    any_,
    cast,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy import column as plain_column

from ..computing.definitions import numbered
from ..computing.registry import Bundle, Registry
from ..computing.relations import Condition, Relations, Scope
from ..computing.statements import DIALECT, changes, changes_since, plain
from ..declaring.continuing import along, as_text, first_places, place_of
from ..declaring.declaration import Figure, Source

quote = DIALECT.identifier_preparer.quote

TOUCHED_OWNERS, TOUCHED_PLACES = "touched_owners", "touched_places"
"""The variables of a trigger function that hold the owners a statement touches, and from which place on."""

_GIVEN = (
    literal_column(TOUCHED_OWNERS, ARRAY(BigInteger)),
    literal_column(TOUCHED_PLACES, ARRAY(Text)),
)


class Touched(Scope):
    """The owners of the trigger's variable."""

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner = ANY(touched_owners)`."""
        return owner == any_(literal_column(TOUCHED_OWNERS, ARRAY(BigInteger)))


def touched_rows(source: Source, event: str) -> str:
    """The rows in which an event changed a column that the source is read for, from its transition tables."""
    if event == "insert":
        return "new_rows"
    if event == "delete":
        return "old_rows"
    names = {source.owner.key} if source.through is None else set()
    names |= source.columns
    names |= {c.key for c in source.table.primary_key}
    columns = ", ".join(quote(n) for n in sorted(names))
    new, old = f"SELECT {columns} FROM new_rows", f"SELECT {columns} FROM old_rows"
    return f"(({new} EXCEPT ALL {old}) UNION ALL ({old} EXCEPT ALL {new}))"


def named(definition: str, name: str) -> str:
    """SQL for a note's definition and bundle."""
    return f"{quoted(definition)}, {quoted(name)}"


def quoted(text: str) -> str:
    """A text as an SQL constant."""
    return "'" + text.replace("'", "''") + "'"


def is_continued(bundle: Bundle, source: Source) -> bool:
    """Whether a change of a source gives the place from which its owners' rows have to be recomputed."""
    return source.through is None and source.table in bundle.figures[0].places


def places_touched(figure: Figure, source: Source, event: str) -> str:
    """SELECT owner, place: the place, as text, from which the touched owners' rows have to be recomputed."""
    rows = table("touched", *(plain_column(c.key, c.type) for c in source.table.c))
    owner = rows.c[source.owner.key]
    first = select(owner.label("owner"), place_of(figure, source.table, rows).label("place"))
    text = plain(first.where(owner.is_not(None)).group_by(owner))
    rows_of_it = f"\nFROM {touched_rows(source, event)} AS touched"
    # At the beginning of a line, because a place may contain EXTRACT(… FROM touched.day).
    return text.replace("\nFROM touched", rows_of_it, 1)


def wrong_since(registry: Registry, bundle: Bundle) -> str:
    """SELECT owner: those with a row, from the touched places on, that does not follow from the rows before it."""
    relations = Relations(registry, frozenset(bundle.figures))
    rows = _wrong_since(relations, bundle, Touched()).subquery("found")
    return numbered(plain(select(rows.c.owner)))


def _wrong_since(relations: Relations, bundle: Bundle, scope: Scope) -> Select[Any]:
    figure = bundle.figures[0]
    return changes_since(relations, figure, scope, first_places(figure, *_GIVEN))


def written_upon_wrong(registry: Registry, bundle: Bundle) -> str:
    """SELECT owner: those with a wrong last row before a touched place and right rows from there on.

    Right by all rows before it: the writer did not rely on that last row, so the rows are not continued from it.
    """
    figure = bundle.figures[0]
    relations = Relations(registry, frozenset(bundle.figures))
    touched = f"SELECT * FROM unnest({TOUCHED_OWNERS}, {TOUCHED_PLACES}) AS touched(owner, place)"
    last = f"({_last_places(figure, touched)}) AS last"
    given = [
        literal_column(
            f"(SELECT array_agg(last.{name} ORDER BY last.owner, last.place) FROM {last})", kind
        )
        for name, kind in (("owner", ARRAY(BigInteger)), ("place", ARRAY(Text)))
    ]
    since_last = changes_since(relations, figure, Touched(), first_places(figure, *given))
    absolute = changes(relations, figure.table, (figure,), Touched())
    places = first_places(figure, *_GIVEN)
    before = _wrong_at(figure, since_last, places, is_before=True)
    since = _wrong_at(figure, absolute, places, is_before=False)
    return numbered(plain(before.except_(since)))


def _wrong_at(
    figure: Figure, wrong: Select[Any], places: Subquery, *, is_before: bool
) -> Select[Any]:
    """The owners with wrong rows before these places, or from there on."""
    rows, stored = wrong.subquery(f"wrong_{is_before:d}".lower()), figure.table.alias("standing")
    at, key = stored.c[along(figure).key], stored.c[figure.primary_key.key]
    found = select(rows.c.owner).join(stored, key == rows.c.pk)
    found = found.join(places, places.c.owner == rows.c.owner)
    return found.where(at < places.c.place if is_before else at >= places.c.place)


def _last_places(figure: Figure, places: str) -> str:
    """SELECT owner, place: the last row before each of these places, or the place itself where there is none."""
    given = table("given", plain_column("owner", BigInteger), plain_column("place", Text))
    place = cast(given.c.place, along(figure).type)
    stored = figure.table.alias("stored")
    at = stored.c[along(figure).key]
    last = select(func.max(at)).where(stored.c[figure.owner.key] == given.c.owner, at < place)
    since = func.coalesce(last.scalar_subquery(), place)
    text = plain(select(given.c.owner, as_text(since).label("place")))
    return text.replace("\nFROM given", f"\nFROM ({places}) AS given", 1)


def holds_figures_beneath(registry: Registry, bundle: Bundle, source: Source) -> bool:
    """Whether another bundle keeps a column that this bundle reads in a source."""
    keepers = {registry.keeper(source.table.c[name]) for name in source.columns}
    return bool(keepers - {None, *bundle.figures})
