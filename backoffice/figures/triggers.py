"""The triggers on what figures read, and on the core's own tables: generated from the declarations.

Whoever writes, the touched owners are noted in the same transaction. Statement-level with transition tables, so a
statement over 100,000 rows costs one pass; SECURITY DEFINER, so that every role that may write can also note.
An UPDATE notes only rows of which a column that a figure reads or keeps has changed.

A save recomputes from what is stored beneath, or adds what changed. Where somebody has written past the triggers,
that carries what is wrong into what was right. So whoever touches an owner first in a transaction asks whether its
figures are what their definitions make of what was stored (`wrong_before`): if not, the note says so, and the drain
computes everything of this transaction down to the facts.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Table,
    any_,
    literal_column,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy import column as plain_column

from ..database import objects
from ..database.objects import DatabaseObject, append_only, differences, refusal, sync_objects
from ..database.proof import IS_OURS, KEY_CHECK
from ..database.statistics import RENEW_STATISTICS
from . import definitions
from .declaration import Figure, Source
from .definitions import digest, numbered
from .dependencies import lower_bundles
from .increments import delta_sql
from .models import SETTLING
from .recomputing import suppression_key
from .registry import Bundle, Registry
from .relations import Condition, Relations, Scope
from .statements import DIALECT, wrong_owners

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
    `healing.renew` computes it for the rows that are there.
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
    definitions.forget(connection, registry, unwatched)
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
  {TOUCHED_OWNERS} bigint[];
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
    name = suppression_key(bundle, source)
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
    yield f"{TOUCHED_OWNERS} := ARRAY(SELECT DISTINCT {owner} FROM {rows} WHERE {owner} IS NOT NULL)"
    yield (
        f"IF {TOUCHED_OWNERS} <> '{{}}' THEN\n"
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


GUARDS = "figure guards"
"""The group under which guards, and the triggers that domains declare, are fingerprinted."""

_HINT = "If this is one of Backoffice''s own processes, make its SECRET_KEY known with: backoffice db upgrade"


def guard_objects(of_domains: Sequence[DatabaseObject]) -> Sequence[DatabaseObject]:
    """What guards notes and corrections, and what domains keep of their facts.

    Corrections stay as they were written, and only our processes write them. Notes are taken by whoever made them,
    in the same transaction; those of other transactions only by our processes. A save takes its own alone, and pays
    nothing: the condition of the trigger is not met.
    """
    unless_ours = f"IF NOT public.{IS_OURS}() THEN"
    write = refusal("Corrections are written by Backoffice''s own processes only.", _HINT)
    take = refusal(
        "Notes of other transactions are taken by Backoffice''s own processes only.", _HINT
    )
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
                f"\nBEGIN\n  {unless_ours}\n    {take}\n  END IF;\n  RETURN {row};\nEND",
                "figure_notes", (event,), is_before=True, is_for_each_row=True,
                when="(old.xid <> pg_current_xact_id())",
            )
            for event, row in (("update", "NEW"), ("delete", "OLD"))
        ),
        *of_domains,
    )  # fmt: skip


# Was it right before this write?

TOUCHED_OWNERS = "touched_owners"
"""The variable of a trigger function that holds the owners whom a statement touches."""


class Touched(Scope):
    """The owners of the trigger's variable."""

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner = ANY(touched_owners)`."""
        return owner == any_(literal_column(TOUCHED_OWNERS, ARRAY(BigInteger)))


def is_asked(registry: Registry, bundle: Bundle) -> bool:
    """Whether something builds on the bundle, or it on something, so that a save may carry on what is wrong."""
    if bundle.incremental:
        return False
    return bool(lower_bundles(registry, bundle) or _upper(registry, bundle))


def asked_columns(registry: Registry, bundle: Bundle, source: Source) -> frozenset[str]:
    """The columns of a source whose change is a reason to ask: all but those that the bundle alone writes."""
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
    """SELECT owner, was_wrong: the touched owners whose figures were wrong before this event on this source.

    A row that leads to others may lead to one that is wrong: of its owners that stays open.
    """
    if event != "delete" and _leads_to_figures(registry, bundle, source):
        return f"SELECT unnest({TOUCHED_OWNERS}) AS owner, NULL::boolean AS was_wrong"
    overlay = {source.table: _before(source.table, event)}
    relations = Relations(registry, frozenset(bundle.figures), overlay, overlay_is_scoped=False)
    found = wrong_owners(relations, bundle, Touched()).subquery("found")
    wrong = select(found.c.owner, true().label("was_wrong"))
    return numbered(str(wrong.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})))


def holds_figures_beneath(registry: Registry, bundle: Bundle, source: Source) -> bool:
    """Whether what the bundle reads in a source is kept by another."""
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
