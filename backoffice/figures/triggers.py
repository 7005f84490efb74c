"""The note triggers: whoever writes, the touched owners are noted in the same transaction.

Generated from the declarations. Statement-level with transition tables, so a statement over
100,000 rows costs one pass; SECURITY DEFINER, so that every role that may write can also note.
An UPDATE notes only rows of which a column that a figure reads or keeps has changed.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256

from sqlalchemy import Connection, Table

from . import definitions, objects
from .before import OWNERS, asked_columns, holds_figures_beneath, is_asked, wrong_before
from .declaration import Figure, Source
from .definitions import digest
from .guards import IS_OURS
from .increments import delta_sql
from .models import SETTLING
from .objects import DatabaseObject, differences, sync_objects
from .recomputing import settled_name
from .registry import Bundle, Registry
from .renewal import forget
from .statements import DIALECT

_quote = DIALECT.identifier_preparer.quote

CHANNEL = "backoffice_notes"
"""What is notified when a program writes that does not say who acts, and so is none of ours."""

LONGEST_NAME = 63
"""Bytes of an identifier in PostgreSQL."""

TRANSITION = {
    "insert": ("", "new_rows"),
    "update": ("old_rows", "new_rows"),
    "delete": ("old_rows", ""),
    "truncate": ("", ""),
}
"""Event → the names of the rows before and after it."""


def sync(connection: Connection, registry: Registry) -> list[str]:
    """Bring the database's note triggers in step with the declarations; names what it changed.

    What was written while a trigger was not there was not noted, so its bundles are forgotten:
    `renewal.renew` computes it for the rows that are there.
    """
    definitions.sync(
        connection, registry
    )  # first: whoever heals is waited for without a table's lock
    changed = set(sync_objects(connection, registry.name, note_objects(registry)))
    unwatched = {
        bundle.name
        for bundle in registry.bundles
        for source in bundle.sources
        if changed.intersection(_name(source.table, event) for event in TRANSITION)
    }
    forget(connection, registry, unwatched)
    return sorted(changed)


def out_of_date(connection: Connection, registry: Registry) -> dict[str, str]:
    """Note triggers that are not as declared, each with what is wrong."""
    return differences(connection, registry.name, note_objects(registry))


def tampered(connection: Connection, registry: Registry) -> dict[str, str]:
    """Note triggers that somebody has changed since they were installed, each with what is wrong."""
    return objects.tampered(connection, registry.name, note_objects(registry))


@cache
def note_objects(registry: Registry) -> Sequence[DatabaseObject]:
    """Every function and trigger that the registry's declarations ask for."""
    feeds: dict[Table, dict[tuple[Bundle, Source], None]] = {}
    for bundle in registry.bundles:
        for source in bundle.sources:
            feeds.setdefault(source.table, {})[bundle, source] = None
    return [
        _object(registry, table, event, list(pairs))
        for table, pairs in sorted(feeds.items(), key=lambda item: item[0].name)
        for event in TRANSITION
    ]


def _object(
    registry: Registry, table: Table, event: str, feeds: list[tuple[Bundle, Source]]
) -> DatabaseObject:
    plain = _name(table, event)
    notes = "\n".join(_noted(registry, bundle, source, event) for bundle, source in feeds)
    body = f"""
DECLARE
  settled text[] := string_to_array(nullif(current_setting('{SETTLING}', true), ''), ',');
  {OWNERS} bigint[];
BEGIN
  IF settled IS NOT NULL AND NOT public.{IS_OURS}() THEN
    settled := NULL;
  END IF;
{notes}
  IF coalesce(current_setting('backoffice.actor', true), '') = '' THEN
    PERFORM pg_notify('{CHANNEL}', '');
  END IF;
  RETURN NULL;
END"""
    old, new = TRANSITION[event]
    return DatabaseObject(plain, body, table.name, (event,), old_rows=old, new_rows=new)


def _name(table: Table, event: str) -> str:
    """The trigger's name; PostgreSQL would cut one that is too long, and so mistake it for another."""
    name = f"backoffice_note_{table.name}_{event}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"backoffice_note_{sha256(table.name.encode()).hexdigest()[:16]}_{event}"


def _noted(registry: Registry, bundle: Bundle, source: Source, event: str) -> str:
    """The statements that note one bundle's owners, unless a correction sees to them itself."""
    statements = [
        *_asked(registry, bundle, source, event),
        *_notes(registry, bundle, source, event),
    ]
    body = "\n".join(f"  {statement};" for statement in statements)
    name = settled_name(bundle, source)
    if event == "truncate" or name is None:
        return body
    return f"  IF ({_literal(name)} = ANY (settled)) IS NOT TRUE THEN\n{body}\n  END IF;"


def _asked(registry: Registry, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """Note those of whom something was wrong before, ahead of the note that they are touched."""
    is_owner = source.through is None and source.owner is next(iter(source.table.primary_key))
    if event == "truncate" or not is_asked(registry, bundle) or (is_owner and event != "update"):
        return  # an owner who comes has no figures yet, and one who goes has none any more
    key = _quote(next(iter(source.table.primary_key)).key)
    rows = f"{_touched(source, event, asked_columns(registry, bundle, source))} AS touched"
    owner = _quote(source.owner.key)
    if source.through is not None:
        middle, leads = _quote(source.through.table.name), _quote(source.through.key)
        rows, owner = f"{rows} JOIN {middle} AS m ON m.{leads} = touched.{key}", f"m.{owner}"
    wrong = wrong_before(registry, bundle, source, event)
    named = _named(digest(registry, bundle), bundle.name)
    yield f"{OWNERS} := ARRAY(SELECT DISTINCT {owner} FROM {rows} WHERE {owner} IS NOT NULL)"
    yield (
        f"IF {OWNERS} <> '{{}}' THEN\n"
        f"  INSERT INTO figure_notes (definition, bundle, owner, was_wrong) "
        f"SELECT {named}, wrong.owner, wrong.was_wrong FROM ({wrong}) AS wrong;\n"
        f"  END IF"
    )


def _notes(registry: Registry, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """The INSERTs by which one event on one source notes the owners of one bundle.

    What is taken away with a row that a lower figure kept may be wrong: its owner is computed anew.
    """
    definition = digest(registry, bundle)
    is_far = bundle.incremental and source.table is not bundle.figures[0].table
    is_gone = event == "delete" and holds_figures_beneath(registry, bundle, source)
    if event == "truncate":
        yield f"INSERT INTO figure_notes (definition, bundle) VALUES ({_named(definition, bundle.name)})"
    elif is_far and not is_gone:
        yield _delta_note(definition, bundle, bundle.figures[0], source, event)
    elif source.through is not None:
        yield from _through_notes(definition, bundle, source, event)
    else:
        owner = _quote(source.owner.key)
        yield (
            f"INSERT INTO figure_notes (definition, bundle, owner) SELECT DISTINCT {_named(definition, bundle.name)}, "
            f"{owner} FROM {_touched(source, event)} AS touched WHERE {owner} IS NOT NULL"
        )
        yield from _led_to(definition, bundle, source, event)


def _delta_note(definition: str, bundle: Bundle, figure: Figure, source: Source, event: str) -> str:
    delta = delta_sql(figure, source, new=event != "delete", old=event != "insert")
    return (
        f"INSERT INTO figure_notes (definition, bundle, owner, key, delta) "
        f"SELECT {_named(definition, bundle.change_name)}, noted.* FROM ({delta}) AS noted"
    )


def _through_notes(definition: str, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """Note the source row itself too: whose it is may change before the drain holds the lock."""
    assert source.through is not None
    middle = _quote(source.through.table.name)
    key = _quote(next(iter(source.table.primary_key)).key)
    touched = f"{_touched(source, event)} AS touched"
    yield (
        f"INSERT INTO figure_notes (definition, bundle, owner, source, source_id) "
        f"SELECT DISTINCT {_named(definition, bundle.name)}, m.{_quote(source.owner.key)}, "
        f"{_literal(source.table.name)}, touched.{key} FROM {touched} "
        f"LEFT JOIN {middle} AS m ON m.{_quote(source.through.key)} = touched.{key}"
    )


def _led_to(definition: str, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """Note the rows to which a new or changed intermediate row leads.

    Whoever changes such a row at this moment does not see ours, nor do we see theirs: the drain
    locks the row, so that the later of the two recomputes with both.
    """
    for far in bundle.sources if event in ("insert", "update") else ():
        if far.through is not None and far.through.table is source.table:
            key = _quote(far.through.key)
            yield (
                f"INSERT INTO figure_notes (definition, bundle, source, source_id) "
                f"SELECT DISTINCT {_named(definition, bundle.name)}, {_literal(far.table.name)}, {key} "
                f"FROM {_touched(source, event)} AS touched WHERE {key} IS NOT NULL"
            )


def _touched(source: Source, event: str, asked: frozenset[str] | None = None) -> str:
    """The rows of which an event touched what is asked for (by default: whatever the source is read for).

    As a subquery over its transition tables.
    """
    if event == "insert":
        return "new_rows"
    if event == "delete":
        return "old_rows"
    names = {source.owner.key} if source.through is None else set()
    names |= source.columns if asked is None else asked
    names |= {c.key for c in source.table.primary_key}
    columns = ", ".join(_quote(n) for n in sorted(names))
    new, old = f"SELECT {columns} FROM new_rows", f"SELECT {columns} FROM old_rows"
    return f"(({new} EXCEPT ALL {old}) UNION ALL ({old} EXCEPT ALL {new}))"


def _named(definition: str, name: str) -> str:
    """By which definition, and of which bundle, a note is."""
    return f"{_literal(definition)}, {_literal(name)}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
