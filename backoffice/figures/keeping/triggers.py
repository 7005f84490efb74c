"""The triggers on the tables that figures read, and on the core's own: generated from the declarations.

Whatever program writes, the touched owners are noted in the same transaction. Statement-level with transition tables,
so a statement over 100,000 rows costs one pass; SECURITY DEFINER, so that every role that may write can also note.
An UPDATE notes only rows in which a column that a figure reads or keeps has changed.

For a running figure the note has the place to recompute from (`continuing`); sums added at once leave no note.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256

from sqlalchemy import Connection, Table

from ...database import objects
from ...database.objects import DatabaseObject, append_only, differences, refusal, sync_objects
from ...database.proof import IS_OURS, KEY_CHECK
from ...database.statistics import RENEW_STATISTICS
from ..computing import definitions
from ..computing.definitions import digest
from ..computing.increments import change_name, delta_sql
from ..computing.registry import Bundle, Registry
from ..declaring.declaration import Figure, Source
from ..models import SETTLING
from .recomputing import suppression_key
from .touched import (
    TOUCHED_OWNERS,
    TOUCHED_PLACES,
    holds_figures_beneath,
    is_continued,
    named,
    places_touched,
    quote,
    quoted,
    touched_rows,
    written_upon_wrong,
    wrong_since,
)

CHANNEL = "backoffice_notes"
"""The channel notified when a program writes without naming its actor, and so is none of the app's processes."""

LONGEST_NAME = 63
"""Maximum bytes of an identifier in PostgreSQL."""

TRANSITION = {
    "insert": ("", "new_rows"),
    "update": ("old_rows", "new_rows"),
    "delete": ("old_rows", ""),
    "truncate": ("", ""),
}
"""Event → the names of the transition tables with the rows before and after it."""


def sync(connection: Connection, registry: Registry) -> list[str]:
    """Bring the database's note triggers in step with the declarations; returns what it changed, by name.

    Writes made while a trigger was missing were not noted, so its bundles are marked as not computed:
    `healing.renew` computes them for the existing rows.
    """
    definitions.sync(
        connection, registry
    )  # first, so that it waits for running heals without holding a table's lock
    changed = set(sync_objects(connection, registry.name, note_objects(registry)))
    unwatched = {
        bundle.name
        for bundle in registry.bundles
        for source in bundle.sources
        if changed.intersection(_name(registry, source.table, event) for event in TRANSITION)
    }
    definitions.forget(connection, registry, unwatched)
    return sorted(changed)


def out_of_date(connection: Connection, registry: Registry) -> dict[str, str]:
    """Note triggers that are not as declared, each with what is wrong."""
    return differences(connection, registry.name, note_objects(registry))


def tampered(connection: Connection, registry: Registry) -> dict[str, str]:
    """Note triggers that were changed after installation, each with what is wrong."""
    return objects.tampered(connection, registry.name, note_objects(registry))


@cache
def note_objects(registry: Registry) -> Sequence[DatabaseObject]:
    """Every function and trigger that the registry's declarations need."""
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
    name = _name(registry, table, event)
    notes = "\n".join(_noted(registry, bundle, source, event) for bundle, source in feeds)
    body = f"""
DECLARE
  settled text[] := string_to_array(nullif(current_setting('{SETTLING}', true), ''), ',');
  {TOUCHED_OWNERS} bigint[];
  {TOUCHED_PLACES} text[];
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
    return DatabaseObject(name, body, table.name, (event,), old_rows=old, new_rows=new)


def _name(registry: Registry, table: Table, event: str) -> str:
    """The trigger's name; PostgreSQL would truncate one that is too long, and could then confuse two."""
    for figure in registry.figures:
        if (table, event) in figure.triggers:
            return figure.triggers[table, event]
    name = f"backoffice_note_{table.name}_{event}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"backoffice_note_{sha256(table.name.encode()).hexdigest()[:16]}_{event}"


def _noted(registry: Registry, bundle: Bundle, source: Source, event: str) -> str:
    """The statements that note one bundle's owners, unless a correction suppresses them."""
    body = "\n".join(f"  {statement};" for statement in _notes(registry, bundle, source, event))
    name = suppression_key(bundle, source)
    if event == "truncate" or name is None:
        return body
    unless = f"({quoted(name)} = ANY (settled)) IS NOT TRUE"
    if bundle.figures[0].at_once and bundle.incremental:
        unless += f" AND NOT {_is_adding(bundle)}"
    return f"  IF {unless} THEN\n{body}\n  END IF;"


def _notes(registry: Registry, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """The INSERTs by which one event on one source notes the owners of one bundle.

    A deleted row with lower figures may have held a wrong amount: its owner is recomputed, not reduced by it.
    """
    definition = digest(registry, bundle)
    is_far = bundle.incremental and source.table is not bundle.figures[0].table
    is_gone = event == "delete" and holds_figures_beneath(registry, bundle, source)
    if event == "truncate":
        yield f"INSERT INTO figure_notes (definition, bundle) VALUES ({named(definition, bundle.name)})"
    elif is_far and bundle.figures[0].at_once:
        yield from _added(bundle, bundle.figures[0], source, event)
    elif is_far and not is_gone:
        yield _delta_note(definition, bundle, bundle.figures[0], source, event)
    elif source.through is not None:
        yield from _through_notes(definition, bundle, source, event)
    elif is_continued(bundle, source):
        places = f"({places_touched(bundle.figures[0], source, event)}) AS places"
        if bundle.figures[0].at_once:
            yield from _looked_at(registry, bundle, places)
            places = f"unnest({TOUCHED_OWNERS}, {TOUCHED_PLACES}) AS places"
        yield (
            f"INSERT INTO figure_notes (definition, bundle, owner, since) "
            f"SELECT {named(definition, bundle.name)}, places.* FROM {places}"
        )
    else:
        owner = quote(source.owner.key)
        yield (
            f"INSERT INTO figure_notes (definition, bundle, owner) SELECT DISTINCT {named(definition, bundle.name)}, "
            f"{owner} FROM {touched_rows(source, event)} AS touched WHERE {owner} IS NOT NULL"
        )
        yield from _led_to(definition, bundle, source, event)


def _delta_note(definition: str, bundle: Bundle, figure: Figure, source: Source, event: str) -> str:
    delta = delta_sql(figure, source, new=event != "delete", old=event != "insert")
    return (
        f"INSERT INTO figure_notes (definition, bundle, owner, key, delta) "
        f"SELECT {named(definition, change_name(bundle))}, noted.* FROM ({delta}) AS noted"
    )


ADDING = "backoffice.adding"
"""The setting that shows the trigger on a sums' table that the write comes from the trigger adding to them."""

_MARK = (
    "(SELECT encode(sha256(convert_to(min(k.token_hash) || pg_current_xact_id(), 'UTF8')), 'hex') "
    "FROM public.process_keys AS k)"
)
"""A mark that only the database owner, as which the triggers run, can compute; valid for one transaction."""


def _added(bundle: Bundle, figure: Figure, source: Source, event: str) -> Iterator[str]:
    """Add the change to its owners immediately, in id order; so no note is needed."""
    delta = delta_sql(figure, source, new=event != "delete", old=event != "insert")
    target, key = quote(figure.table.name), quote(figure.primary_key.key)
    changed = f"({delta}) AS d(owner, key, delta)"
    columns = [quote(c.key) for c in figure.columns]
    sums = ", ".join(f"{c} = t.{c} + d.delta[{i}]" for i, c in enumerate(columns, start=1))
    few = "new_rows" if event == "insert" else "old_rows"
    yield (
        f"IF (SELECT count(*) FROM (SELECT 1 FROM {few} LIMIT 2) AS few) > 1 OR TG_OP = 'UPDATE' THEN\n"
        f"  PERFORM 1 FROM {target} WHERE {key} IN (SELECT d.owner FROM {changed}) ORDER BY {key} FOR NO KEY UPDATE;\n"
        f"  END IF"
    )
    yield f"PERFORM set_config('{ADDING}', {quoted(bundle.name + ':')} || {_MARK}, true)"
    yield f"UPDATE {target} AS t SET {sums} FROM {changed} WHERE t.{key} = d.owner"
    yield f"PERFORM set_config('{ADDING}', '', true)"


def _is_adding(bundle: Bundle) -> str:
    """Whether a write to the sums comes from the trigger that adds to them."""
    said = f"current_setting('{ADDING}', true)"
    return f"(coalesce({said}, '') <> '' AND {said} IS NOT DISTINCT FROM {quoted(bundle.name + ':')} || {_MARK})"


def _looked_at(registry: Registry, bundle: Bundle, places: str) -> Iterator[str]:
    """Lock the touched owners, and keep only those with rows that were not written with their right values."""
    key = quote(bundle.owner_key.key)
    wrong = wrong_since(registry, bundle)
    yield (
        f"SELECT array_agg(places.owner), array_agg(places.place) "
        f"INTO {TOUCHED_OWNERS}, {TOUCHED_PLACES} FROM {places}"
    )
    yield (
        f"PERFORM 1 FROM {quote(bundle.owner_table.name)} WHERE {key} = ANY ({TOUCHED_OWNERS}) ORDER BY {key} "
        f"FOR NO KEY UPDATE"
    )
    yield (
        f"SELECT array_agg(places.owner), array_agg(places.place) INTO {TOUCHED_OWNERS}, {TOUCHED_PLACES} "
        f"FROM unnest({TOUCHED_OWNERS}, {TOUCHED_PLACES}) AS places(owner, place) "
        f"WHERE places.place IS NULL OR places.owner IN (SELECT wrong.owner FROM ({wrong}) AS wrong)"
    )
    upon = written_upon_wrong(registry, bundle)
    yield (
        f"IF {TOUCHED_OWNERS} IS NOT NULL THEN\n"
        f"  SELECT array_agg(places.owner), array_agg(places.place) INTO {TOUCHED_OWNERS}, {TOUCHED_PLACES} "
        f"FROM unnest({TOUCHED_OWNERS}, {TOUCHED_PLACES}) AS places(owner, place) "
        f"WHERE places.owner NOT IN (SELECT upon.owner FROM ({upon}) AS upon);\n"
        f"  END IF"
    )


def _through_notes(definition: str, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """Note the source row itself too: its owner may change before the drain holds the lock."""
    assert source.through is not None
    middle = quote(source.through.table.name)
    key = quote(next(iter(source.table.primary_key)).key)
    touched = f"{touched_rows(source, event)} AS touched"
    yield (
        f"INSERT INTO figure_notes (definition, bundle, owner, source, source_id) "
        f"SELECT DISTINCT {named(definition, bundle.name)}, m.{quote(source.owner.key)}, "
        f"{quoted(source.table.name)}, touched.{key} FROM {touched} "
        f"LEFT JOIN {middle} AS m ON m.{quote(source.through.key)} = touched.{key}"
    )


def _led_to(definition: str, bundle: Bundle, source: Source, event: str) -> Iterator[str]:
    """Note the rows to which a new or changed intermediate row leads.

    A concurrent transaction that changes such a row does not see this one's, and vice versa: the drain
    locks the row, so that the later of the two recomputes with both.
    """
    for far in bundle.sources if event in ("insert", "update") else ():
        if far.through is not None and far.through.table is source.table:
            key = quote(far.through.key)
            yield (
                f"INSERT INTO figure_notes (definition, bundle, source, source_id) "
                f"SELECT DISTINCT {named(definition, bundle.name)}, {quoted(far.table.name)}, {key} "
                f"FROM {touched_rows(source, event)} AS touched WHERE {key} IS NOT NULL"
            )


GUARDS = "figure guards"
"""The group under which guards, and the triggers that domains declare, are fingerprinted."""

_HINT = "If this is one of Backoffice''s own processes, make its SECRET_KEY known with: backoffice db upgrade"


def guard_objects(of_domains: Sequence[DatabaseObject]) -> Sequence[DatabaseObject]:
    """The guards of notes and corrections, and the guards that domains declare for their facts.

    Corrections are immutable. Only the app's processes insert them, and take notes: a program that removed the notes
    of its own transaction would hide its writes until the next verification. The check is once per statement.
    """
    unless_ours = f"IF NOT public.{IS_OURS}() THEN"
    write = refusal("Corrections are written by Backoffice''s own processes only.", _HINT)
    take = refusal("Notes are taken by Backoffice''s own processes only.", _HINT)
    return (
        KEY_CHECK,
        RENEW_STATISTICS,
        append_only("corrections", "Corrections are"),
        DatabaseObject(
            "backoffice_guard_corrections",
            f"\nBEGIN\n  {unless_ours}\n    {write}\n  END IF;\n  RETURN NULL;\nEND",
            "corrections", ("insert",), is_before=True,
        ),
        *(
            DatabaseObject(
                f"backoffice_guard_notes_{event}",
                f"\nBEGIN\n  IF EXISTS (SELECT FROM taken) AND NOT public.{IS_OURS}() THEN\n"
                f"    {take}\n  END IF;\n  RETURN NULL;\nEND",
                "figure_notes", (event,), old_rows="taken",
            )
            for event in ("update", "delete")
        ),
        *of_domains,
    )  # fmt: skip
