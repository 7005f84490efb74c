"""The triggers that write the audit trail, generated for every business table.

Statement-level with transition tables, so that a statement over 100,000 rows costs one pass. SECURITY DEFINER, owned
by the owner role: every write to a table leaves a trail, and no role needs the right to write the trail itself. The
search path is pinned, so that no table or function of the caller can replace this app's.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, MetaData, column, insert, make_url, table

from ..base import Base, table_of
from ..database.objects import (
    DatabaseObject,
    append_only,
    differences,
    installed,
    sync_objects,
    tampered,
)
from ..figures.computing.registry import Registry, registry
from ..figures.declaring.expressions import replace
from ..figures.keeping.triggers import TRANSITION
from . import corrections
from .models import AuditEvent
from .scope import AuditedTable, audited_tables

GROUP = "audit"
APPEND_ONLY = ("audit_events", "audit_seals", "audit_checks", "fact_decisions")
_DIALECT = make_url("postgresql+psycopg://").get_dialect()()
_quote = _DIALECT.identifier_preparer.quote

AROUND = (("search_path", "pg_catalog, pg_temp"), ("TimeZone", "UTC"))
"""The settings under which the trail is written, whatever the caller's."""

_ACCEPT = """
DECLARE
  place regclass := format('public.%I', of_table)::regclass;
  present jsonb;
  event bigint;
BEGIN
  IF NOT has_table_privilege(session_user, place, 'UPDATE') THEN
    RAISE EXCEPTION 'Only whoever may change % may state what it holds.', of_table
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = place
                 AND tgname = format('backoffice_audit_%s_insert', of_table)) THEN
    RAISE EXCEPTION 'The audit trail does not tell of %.', of_table USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format(
    'SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(r)) WHERE key = ANY ($2))'
    ' FROM %s r WHERE r.id = $1', place
  ) INTO present USING of_row, columns;
  INSERT INTO public.audit_events (table_name, row_id, action, before, after)
  VALUES (
    of_table, of_row::text,
    CASE WHEN present IS NULL THEN 'DELETE' WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END,
    before, present
  ) RETURNING id INTO event;
  RETURN event;
END """

ACCEPT = DatabaseObject(
    "audit_accept", _ACCEPT,
    settings=AROUND,
    takes="of_table text, of_row bigint, columns text[], before jsonb", answers="bigint",
)  # fmt: skip
"""The function that records a row's current values in the trail, after a user has reviewed and accepted them.

A role that may write a table may accept the values of one of its rows, and nothing else: they are read from the row
here. `before` holds the trail's last values of the same columns.
"""


def sync(
    connection: Connection, metadata: MetaData = Base.metadata, figures: Registry = registry
) -> list[str]:
    """Bring the audit triggers in step with the tables and figures; returns what it changed."""
    found = tampered(connection, GROUP, declared(metadata, figures))
    is_first = corrections.NAME not in installed(connection, GROUP)
    changed = sync_objects(connection, GROUP, declared(metadata, figures))
    if is_first:
        corrections.adopt(connection)
    record_repairs(connection, GROUP, found)
    return changed


def record_repairs(connection: Connection, group: str, found: Mapping[str, str]) -> None:
    """Record an event for each object that was altered and is now restored. Runs as the owner role."""
    events = [
        {
            "table_name": "schema_fingerprints", "row_id": f"{group},{name}", "action": "UPDATE",
            "before": {"found": problem}, "after": {"found": "as declared"},
        }
        for name, problem in found.items()
    ]  # fmt: skip
    if events:
        connection.execute(insert(table_of(AuditEvent)), events)


def out_of_date(
    connection: Connection, metadata: MetaData = Base.metadata, figures: Registry = registry
) -> dict[str, str]:
    """Audit triggers that differ from their declaration, each with the reason."""
    return differences(connection, GROUP, declared(metadata, figures))


def declared(metadata: MetaData, figures: Registry) -> Sequence[DatabaseObject]:
    """The objects that write the trail, protect it from changes, and add corrections to it."""
    return _declared(metadata, figures, len(metadata.tables))


@cache
def _declared(metadata: MetaData, figures: Registry, _tables: int) -> Sequence[DatabaseObject]:
    kept = (append_only(name, "The audit trail is") for name in APPEND_ONLY)
    of_tables = audit_objects(audited_tables(metadata, figures))
    return [*of_tables, *kept, corrections.sealing_object(), ACCEPT]


def audit_objects(tables: Iterable[AuditedTable]) -> list[DatabaseObject]:
    """A function and trigger for each table and kind of change."""
    statements = {"insert": _inserted, "update": _updated, "delete": _deleted}
    return [
        _object(audited, event, statements.get(event, _truncated)(audited))
        for audited in tables
        for event in TRANSITION
    ]


def _object(audited: AuditedTable, event: str, statement: str) -> DatabaseObject:
    name = f"backoffice_audit_{audited.table.name}_{event}"
    old, new = TRANSITION[event]
    return DatabaseObject(
        name, f"\nBEGIN\n{statement};\nRETURN NULL;\nEND", audited.table.name, (event,),
        old_rows=old, new_rows=new, settings=AROUND,
    )  # fmt: skip


def _inserted(audited: AuditedTable) -> str:
    dropped = [
        *(f"CASE WHEN {_is_empty('n', c)} THEN {_literal(c.key)} END" for c in audited.secrets),
        *(_unless(_entered(audited, c, "n"), c) for c in audited.entered),
    ]
    return f"""INSERT INTO public.audit_events (table_name, row_id, action, after)
SELECT {_literal(audited.table.name)}, {_row_id(audited, "n")}, 'INSERT',
{_values(audited, "n")}{_without(dropped)}
FROM new_rows n
WHERE {_kept(audited, "n")}"""


def _deleted(audited: AuditedTable) -> str:
    dropped = [
        *(_literal(c.key) for c in audited.secrets),
        *(_unless(_entered(audited, c, "o"), c) for c in audited.entered),
    ]
    return f"""INSERT INTO public.audit_events (table_name, row_id, action, before)
SELECT {_literal(audited.table.name)}, {_row_id(audited, "o")}, 'DELETE',
{_values(audited, "o")}{_without(dropped)}
FROM old_rows o
WHERE {_kept(audited, "o")}"""


def _updated(audited: AuditedTable) -> str:
    """The SQL that pairs old and new rows by key; a changed key counts as a deletion and an insertion."""
    same = [_unless(_differs(c), c) for c in audited.facts]
    secret_before = [_literal(c.key) for c in audited.secrets]
    secret_after = [_unless(_differs(c), c) for c in audited.secrets]
    gone = [_unless(_entered_and_changed(audited, c, "o", "n"), c) for c in audited.entered]
    come = [_unless(_entered_and_changed(audited, c, "n", "o"), c) for c in audited.entered]
    keys = list(audited.table.primary_key)
    matched = " AND ".join(f"n.{_quote(k.key)} = o.{_quote(k.key)}" for k in keys)
    key = _quote(keys[0].key)
    return f"""INSERT INTO public.audit_events (table_name, row_id, action, before, after)
SELECT {_literal(audited.table.name)},
CASE WHEN n.{key} IS NULL THEN {_row_id(audited, "o")} ELSE {_row_id(audited, "n")} END,
CASE WHEN o.{key} IS NULL THEN 'INSERT' WHEN n.{key} IS NULL THEN 'DELETE' ELSE 'UPDATE' END,
CASE WHEN o.{key} IS NOT NULL
 THEN {_values(audited, "o")}{_without([*same, *secret_before, *gone])} END,
CASE WHEN n.{key} IS NOT NULL
 THEN {_values(audited, "n")}{_without([*same, *secret_after, *come])} END
FROM old_rows o FULL JOIN new_rows n ON {matched}
WHERE ({_is_changed(audited)}) AND ({_kept(audited, "o")} OR {_kept(audited, "n")})"""


def _truncated(audited: AuditedTable) -> str:
    return (
        "INSERT INTO public.audit_events (table_name, action)\n"
        f"VALUES ({_literal(audited.table.name)}, 'TRUNCATE')"
    )


def _is_changed(audited: AuditedTable) -> str:
    """The condition that a recorded column differs between `o` and `n`."""
    tests = [_differs(c) for c in (*audited.facts, *audited.secrets)]
    for c in audited.entered:
        tests.append(_entered_and_changed(audited, c, "o", "n"))
        tests.append(_entered_and_changed(audited, c, "n", "o"))
    return "\n OR ".join(tests)


def _entered_and_changed(audited: AuditedTable, col: Column[Any], mine: str, other: str) -> str:
    """The condition that row `mine` holds an entered amount that row `other` does not hold."""
    own = _entered(audited, col, mine)
    return f"({own} AND (NOT {_entered(audited, col, other)} OR {_differs(col)}))"


def _entered(audited: AuditedTable, col: Column[Any], rows: str) -> str:
    """The figure's own condition under which the column is an entered fact, for `rows`."""
    return _condition(audited, audited.entered[col], rows)


def _kept(audited: AuditedTable, rows: str) -> str:
    """The condition that a row holds an entry: always true, unless the rows are derived."""
    return "true" if audited.kept is None else _condition(audited, audited.kept, rows)


def _condition(audited: AuditedTable, condition: ColumnElement[Any], rows: str) -> str:
    alias = table(rows, *(column(c.key, c.type) for c in audited.table.columns))
    text = replace(condition, lambda part: alias.c[part.key]).compile(
        dialect=_DIALECT, compile_kwargs={"literal_binds": True}
    )
    return f"coalesce({text}, false)"


def _values(audited: AuditedTable, rows: str) -> str:
    """A jsonb document of the recorded columns, 50 at a time: a function takes at most 100 arguments."""
    pairs = [
        *(f"{_literal(c.key)}, {rows}.{_quote(c.key)}" for c in (*audited.facts, *audited.entered)),
        *(f"{_literal(c.key)}, 'changed'" for c in audited.secrets),
    ]
    documents = [
        f"jsonb_build_object({', '.join(pairs[start : start + 50])})"
        for start in range(0, len(pairs), 50)
    ]
    return f"({' || '.join(documents)})"


def _without(names: Sequence[str]) -> str:
    """The SQL that removes the named columns from a document; a NULL name removes nothing."""
    return f" - array_remove(ARRAY[{', '.join(names)}]::text[], NULL)" if names else ""


def _unless(condition: str, col: Column[Any]) -> str:
    return f"CASE WHEN {condition} THEN NULL ELSE {_literal(col.key)} END"


def _differs(col: Column[Any]) -> str:
    return f"o.{_quote(col.key)} IS DISTINCT FROM n.{_quote(col.key)}"


def _is_empty(rows: str, col: Column[Any]) -> str:
    return f"coalesce({rows}.{_quote(col.key)}::text, '') = ''"


def _row_id(audited: AuditedTable, rows: str) -> str:
    """The primary key as text; a composite key's parts separated by commas."""
    parts = ", ".join(f"{rows}.{_quote(k.key)}" for k in audited.table.primary_key)
    return f"concat_ws(',', {parts})"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
