"""Whether an owner's figures were right before a write: the triggers check this for each owner first touched.

A save recomputes from stored values beneath, or adds what changed. Where a program bypassed the triggers, that would
propagate the error to figures that were right. So the first write to an owner in a transaction checks whether its
figures equal their definitions over the stored rows (`wrong_before`): if not, the note records it, and the drain
computes everything in this transaction down to the facts. For running rows the check starts at the last row before the
touched place: errors further back are not propagated by this save.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    Text,
    any_,
    cast,
    func,
    literal_column,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy import column as plain_column

from ..computing.definitions import digest, numbered
from ..computing.dependencies import lower_bundles
from ..computing.registry import Bundle, Registry
from ..computing.relations import Condition, Relations, Scope
from ..computing.statements import DIALECT, changes, changes_since, plain, wrong_owners
from ..declaring.continuing import along, as_text, first_places, place_of
from ..declaring.declaration import Figure, Source

quote = DIALECT.identifier_preparer.quote


def touched_rows(source: Source, event: str, asked: frozenset[str] | None = None) -> str:
    """The rows in which an event changed one of the columns `asked` (by default: all that the source is read for).

    As a subquery over its transition tables.
    """
    if event == "insert":
        return "new_rows"
    if event == "delete":
        return "old_rows"
    names = {source.owner.key} if source.through is None else set()
    names |= source.columns if asked is None else asked
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


def is_asked(registry: Registry, bundle: Bundle) -> bool:
    """Whether the bundle builds on others, or others on it, so that a save may propagate an error."""
    if bundle.incremental:
        return False
    return bool(lower_bundles(registry, bundle) or _upper(registry, bundle))


def asked_columns(registry: Registry, bundle: Bundle, source: Source) -> frozenset[str]:
    """The columns of a source with changes that require the check: all but those that the bundle alone writes."""
    own = {c.key for f in bundle.figures_of(source.table) for c in f.columns if c not in f.entered}
    names = set(source.columns)
    if source.table in bundle.targets:
        names |= {
            name
            for upper in _upper(registry, bundle)
            for other in upper.sources
            if other.table is source.table
            for name in (*other.columns, *_named_by(other))
        }
    if source.through is None and source.owner is not next(iter(source.table.primary_key)):
        names.add(source.owner.key)
    return frozenset(names - own)


def wrong_before(registry: Registry, bundle: Bundle, source: Source, event: str) -> str:
    """SELECT owner, was_wrong: the touched owners with figures that were wrong before this event on this source.

    `was_wrong` is NULL for owners of a row that leads to others, because one of those may be wrong.
    """
    if event != "delete" and _leads_to_figures(registry, bundle, source):
        return f"SELECT unnest({TOUCHED_OWNERS}) AS owner, NULL::boolean AS was_wrong"
    overlay = {source.table: _before(source.table, event)}
    relations = Relations(registry, frozenset(bundle.figures), overlay, overlay_is_scoped=False)
    wrong = _wrong_since if is_continued(bundle, source) else wrong_owners
    found = wrong(relations, bundle, Touched()).subquery("found")
    return numbered(plain(select(found.c.owner, true().label("was_wrong")).distinct()))


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


def is_continued(bundle: Bundle, source: Source) -> bool:
    """Whether a change of a source gives the place from which its owners' rows have to be recomputed."""
    return source.through is None and source.table in bundle.figures[0].places


def places_touched(
    figure: Figure, source: Source, event: str, asked: frozenset[str] | None = None
) -> str:
    """SELECT owner, place: the place, as text, from which the touched owners' rows have to be recomputed."""
    rows = table("touched", *(plain_column(c.key, c.type) for c in source.table.c))
    owner = rows.c[source.owner.key]
    first = select(owner.label("owner"), place_of(figure, source.table, rows).label("place"))
    text = plain(first.where(owner.is_not(None)).group_by(owner))
    rows_of_it = f"\nFROM {touched_rows(source, event, asked)} AS touched"
    # At the beginning of a line, because a place may contain EXTRACT(… FROM touched.day).
    return text.replace("\nFROM touched", rows_of_it, 1)


def _last_places(figure: Figure, places: str) -> str:
    """The same, from the last row before each of these places, so that the row to continue from is checked too."""
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


def _named_by(source: Source) -> Iterator[str]:
    if source.through is None:
        yield source.owner.key


def _upper(registry: Registry, bundle: Bundle) -> list[Bundle]:
    return [other for other in registry.bundles if bundle in lower_bundles(registry, other)]


def _leads_to_figures(registry: Registry, bundle: Bundle, source: Source) -> bool:
    return any(
        far.through is not None
        and far.through.table is source.table
        and holds_figures_beneath(registry, bundle, far)
        for far in bundle.sources
    )


def _before(written: Table, event: str) -> FromClause:
    """The table as it was before the event, from the trigger's transition tables."""
    key = next(iter(written.primary_key))
    now = select(*written.c)
    if event in ("insert", "update"):
        new = table("new_rows", plain_column(key.key))
        now = now.where(key.not_in(select(new.c[key.key])))
    if event == "insert":
        return now.subquery(f"before_{written.name}")
    old = select(table("old_rows", *(plain_column(c.key, c.type) for c in written.c)))
    return union_all(now, old).subquery(f"before_{written.name}")


def asked(registry: Registry, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """Note the owners that were wrong before the event, ahead of the note that they are touched."""
    is_owner = source.through is None and source.owner is next(iter(source.table.primary_key))
    is_unowned = event == "truncate" or source.for_everybody
    if is_unowned or not is_asked(registry, bundle) or (is_owner and event != "update"):
        return  # a new owner has no figures yet, and a deleted one has none left
    figure = bundle.figures[0]
    if (
        figure.along is not None
        and source.table is figure.table
        and source.table not in figure.models
    ):
        return  # such a row is recomputed, with all that follow
    columns = asked_columns(registry, bundle, source)
    wrong = wrong_before(registry, bundle, source, event)
    note = named(digest(registry, bundle), bundle.name)
    if is_continued(bundle, source):
        places = places_touched(figure, source, event, columns)
        yield (
            f"SELECT coalesce(array_agg(last.owner), '{{}}'), array_agg(last.place) "
            f"INTO {TOUCHED_OWNERS}, {TOUCHED_PLACES} FROM ({_last_places(figure, places)}) AS last"
        )
    else:
        rows, owner = _with_owner(source, touched_rows(source, event, columns))
        yield f"{TOUCHED_OWNERS} := ARRAY(SELECT DISTINCT {owner} FROM {rows} WHERE {owner} IS NOT NULL)"
    yield (
        f"IF {TOUCHED_OWNERS} <> '{{}}' THEN\n"
        f"  INSERT INTO figure_notes (definition, bundle, owner, was_wrong) "
        f"SELECT {note}, wrong.owner, wrong.was_wrong FROM ({wrong}) AS wrong;\n"
        f"  END IF"
    )


def _with_owner(source: Source, touched: str) -> tuple[str, str]:
    """The touched rows of a source joined to their owner: the FROM clause, and the owner's column."""
    rows, owner = f"{touched} AS touched", quote(source.owner.key)
    if source.through is None:
        return rows, owner
    key = quote(next(iter(source.table.primary_key)).key)
    middle, leads = quote(source.through.table.name), quote(source.through.key)
    return f"{rows} JOIN {middle} AS m ON m.{leads} = touched.{key}", f"m.{owner}"
