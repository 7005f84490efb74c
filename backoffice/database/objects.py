"""Database objects generated from declarations: triggers with their functions, installed and compared.

Old migrations never change their meaning; what depends on declarations is synced after them, at the end of
`db upgrade`. PostgreSQL's catalogue is compared with the declarations, column by column: so it is verified,
not assumed, that a trigger exists, is enabled, is on the right table, and does what it should.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, delete, insert, inspect, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base

_quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


class SchemaFingerprint(Base):
    """Which version of a generated database object (trigger, function) is installed."""

    __tablename__ = "schema_fingerprints"

    group: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    drop_sql: Mapped[str] = mapped_column(Text)


_ROW, _BEFORE = 1, 2
_EVENTS = {"insert": 4, "delete": 8, "update": 16, "truncate": 32}
"""Bits of `pg_trigger.tgtype`."""

AROUND = (("search_path", "public, pg_temp"),)
"""The settings of a function unless it declares others; the pinned search path keeps other schemas' tables out."""


class State(NamedTuple):
    """A trigger and its function as the catalogue describes them; `table` is empty for a function alone."""

    table: str
    type: int
    is_enabled: bool
    when: str
    columns: str
    old_rows: str
    new_rows: str
    function: str
    source: str
    language: str
    is_definer: bool
    settings: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """A digest of the whole state."""
        return sha256(repr(tuple(self)).encode()).hexdigest()


PROBLEMS = {
    "table": "stands on another table",
    "is_enabled": "is switched off",
    "when": "has another condition",
    "columns": "has another condition",
    "function": "calls another function",
    "source": "calls a function that was replaced",
}
"""Field that differs → the problem in words; any other field means another kind of object."""


@dataclass(frozen=True)
class DatabaseObject:
    """A trigger with the function of the same name that it calls; without a `table`, a function alone.

    `when` is its condition as PostgreSQL itself writes it; an update of the columns `of` fires it, in their
    order in the table. With `is_deferred` it checks each row at COMMIT, when the whole transaction is known.
    `settings` are those of the function, by PostgreSQL's names; `takes` and `answers` are its arguments and its
    return type, as PostgreSQL writes them. `aggregate` is the name of an aggregate that has the function as its
    state transition function (SFUNC).
    """

    name: str
    body: str
    table: str = ""
    events: tuple[str, ...] = ()
    old_rows: str = ""
    new_rows: str = ""
    is_before: bool = False
    is_for_each_row: bool = False
    is_deferred: bool = False
    when: str = ""
    of: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = AROUND
    takes: str = ""
    answers: str = "boolean"
    aggregate: str = ""

    @cached_property
    def state(self) -> State:
        """The state that the catalogue holds where it is installed."""
        bits = _ROW * self.is_for_each_row + _BEFORE * self.is_before
        return State(
            table=f"public.{self.table}" if self.table else "",
            type=bits + sum(_EVENTS[event] for event in self.events),
            is_enabled=True,
            when=self.when,
            columns=self._columns if self.table else signed(self.takes, self.answers),
            old_rows=self.old_rows,
            new_rows=self.new_rows,
            function=f"public.{self.name}",
            source=sha256(self.body.encode()).hexdigest(),
            language="plpgsql",
            is_definer=True,
            settings=tuple(sorted(f"{name}={value}" for name, value in self.settings)),
        )

    @property
    def _columns(self) -> str:
        return ",".join(self.of) + (" deferred" if self.is_deferred else "")

    @property
    def fingerprint(self) -> str:
        """A digest of the state to be installed."""
        return self.state.fingerprint

    @property
    def create_sql(self) -> str:
        """The statements that install it."""
        function, answers = self.function, "trigger" if self.table else self.answers
        mark = next(m for n in count() if (m := f"$body{n or ''}$") not in self.body)
        around = "\n".join(f"SET {name} = {_setting(value)}" for name, value in self.settings)
        create = f"""CREATE OR REPLACE FUNCTION {function} RETURNS {answers}
LANGUAGE plpgsql SECURITY DEFINER
{around} AS {mark}{self.body}{mark};
"""
        if not self.table:
            return create + self._aggregate_sql
        return f"""{create}REVOKE ALL ON FUNCTION {function} FROM PUBLIC;
CREATE {"CONSTRAINT TRIGGER" if self.is_deferred else "TRIGGER"} {_quote(self.name)}
{"BEFORE" if self.is_before else "AFTER"} {self._events}
ON public.{_quote(self.table)} {self._transition} {"DEFERRABLE INITIALLY DEFERRED" if self.is_deferred else ""}
FOR EACH {"ROW" if self.is_for_each_row else "STATEMENT"} {f"WHEN ({self.when})" if self.when else ""}
EXECUTE FUNCTION {function};
"""

    @property
    def _aggregate_sql(self) -> str:
        """The statement that creates the aggregate; dropping its function drops it too."""
        if not self.aggregate:
            return ""
        rows = self.takes.partition(", ")[2]
        return (
            f"CREATE OR REPLACE AGGREGATE public.{_quote(self.aggregate)}({rows}) "
            f"(SFUNC = public.{_quote(self.name)}, STYPE = {self.answers});\n"
        )

    @property
    def drop_sql(self) -> str:
        """The statement that drops it, with all triggers of its function on any table."""
        return f"DROP FUNCTION IF EXISTS {self.function} CASCADE"

    @property
    def function(self) -> str:
        """The function as SQL names it, with its arguments."""
        return f"public.{_quote(self.name)}({self.takes})"

    @property
    def _events(self) -> str:
        of = f" OF {', '.join(map(_quote, self.of))}" if self.of else ""
        return " OR ".join(f"{e.upper()}{of if e == 'update' else ''}" for e in self.events)

    @property
    def _transition(self) -> str:
        old = f"OLD TABLE AS {self.old_rows}" if self.old_rows else ""
        new = f"NEW TABLE AS {self.new_rows}" if self.new_rows else ""
        return f"REFERENCING {old} {new}" if old or new else ""


def refusal(sentence: str, hint: str) -> str:
    """The PL/pgSQL statement by which a guard raises `insufficient_privilege`."""
    return f"RAISE EXCEPTION '{sentence}'\n    USING ERRCODE = 'insufficient_privilege', HINT = '{hint}';"


def append_only(table: str, what: str) -> DatabaseObject:
    """The trigger that refuses every UPDATE, DELETE and TRUNCATE of a table, for every role."""
    sentence = refusal(
        f"{what} append-only: % is refused.", "What was wrong is mended by a further entry."
    ).replace("refused.'", "refused.', TG_OP")
    return DatabaseObject(
        f"backoffice_append_only_{table}", f"\nBEGIN\n  {sentence}\nEND", table,
        ("update", "delete", "truncate"), is_before=True,
    )  # fmt: skip


def signed(takes: str, answers: str) -> str:
    """The signature of a function (arguments and return type); empty for the default, boolean without arguments."""
    return "" if (takes, answers) == ("", "boolean") else f"({takes}) {answers}"


def _setting(value: str) -> str:
    """The value for SET: a list is not quoted, since PostgreSQL would read it as a single name."""
    return value if "," in value else f"'{value}'"


_OBSERVED = text("""
SELECT t.tgname::text AS name, n.nspname || '.' || c.relname AS "table", t.tgtype::int AS type,
  t.tgenabled IN ('O', 'A') AS is_enabled,
  CASE WHEN t.tgqual IS NULL THEN ''
    ELSE substring(pg_get_triggerdef(t.oid) FROM ' WHEN \\((.*)\\) EXECUTE FUNCTION ') END AS "when",
  (SELECT coalesce(string_agg(a.attname, ',' ORDER BY a.attnum), '') FROM pg_attribute a
    WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr))
    || CASE WHEN t.tgnargs > 0 THEN ' +' ELSE '' END
    || CASE WHEN t.tginitdeferred THEN ' deferred' WHEN t.tgdeferrable THEN ' deferrable' ELSE '' END AS columns,
  coalesce(t.tgoldtable::text, '') AS old_rows, coalesce(t.tgnewtable::text, '') AS new_rows,
  f.function, f.source, f.language, f.is_definer, f.settings
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN LATERAL (
  SELECT fn.nspname || '.' || p.proname AS function, l.lanname::text AS language,
    encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') AS source,
    p.prosecdef AS is_definer, coalesce(p.proconfig, '{}') AS settings
  FROM pg_proc p JOIN pg_namespace fn ON fn.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid = t.tgfoid
) f ON true
WHERE NOT t.tgisinternal AND t.tgname = ANY (:names)
UNION ALL
SELECT p.proname::text, '', 0, true, '',
  CASE WHEN p.pronargs = 0 AND p.prorettype = 'boolean'::regtype THEN ''
    ELSE format('(%s) %s', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)) END,
  '', '', fn.nspname || '.' || p.proname,
  encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'), l.lanname::text, p.prosecdef, coalesce(p.proconfig, '{}')
FROM pg_proc p JOIN pg_namespace fn ON fn.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE p.proname = ANY (:functions) AND fn.nspname = 'public'
""")


def observed(
    connection: Connection, objects: Sequence[DatabaseObject], names: Collection[str] = ()
) -> dict[str, list[State]]:
    """The states in the catalogue of the objects with these names, and with `names`."""
    asked = {
        "names": [*(o.name for o in objects if o.table), *names],
        "functions": [o.name for o in objects if not o.table],
    }
    found: dict[str, list[State]] = {}
    for name, *columns, settings in connection.execute(_OBSERVED, asked):
        state = State._make((*columns, tuple(sorted(settings))))
        found.setdefault(name, []).append(state)
    return found


def installed(connection: Connection, group: str) -> dict[str, tuple[str, str]]:
    """Fingerprint and drop statement of each object of the group as last installed, by name."""
    rows = connection.execute(
        select(
            SchemaFingerprint.name,
            SchemaFingerprint.fingerprint,
            SchemaFingerprint.drop_sql,
        ).where(SchemaFingerprint.group == group)
    )
    return {name: (fingerprint, drop) for name, fingerprint, drop in rows}


def differences(
    connection: Connection, group: str, objects: Sequence[DatabaseObject]
) -> dict[str, str]:
    """Objects that differ from their declaration, each with its problem."""
    recorded = installed(connection, group)
    found = observed(connection, objects)
    wrong: dict[str, str] = {}
    for item in objects:
        is_recorded = recorded.get(item.name, ("", ""))[0] == item.fingerprint
        if problem := _problem(item, found.get(item.name, [])):
            wrong[item.name] = problem
        elif not is_recorded:
            wrong[item.name] = "is of another version"
    wrong |= dict.fromkeys(recorded.keys() - {o.name for o in objects}, "is no longer declared")
    return dict(sorted(wrong.items()))


def _problem(item: DatabaseObject, found: Sequence[State]) -> str:
    """The problem of the installed object; empty where it is as declared."""
    if not found:
        return "is missing"
    if len(found) > 1:
        return "stands on several tables"
    [state] = found
    apart = [name for name in State._fields if getattr(state, name) != getattr(item.state, name)]
    return next((PROBLEMS[name] for name in PROBLEMS if name in apart), "differs") if apart else ""


def tampered(
    connection: Connection, group: str, objects: Sequence[DatabaseObject]
) -> dict[str, str]:
    """Objects that differ from how they were installed: changed since, outside every upgrade."""
    recorded = installed(connection, group)
    found = observed(connection, objects, recorded.keys() - {o.name for o in objects})
    wrong = differences(connection, group, objects)
    changed: dict[str, str] = {}
    for name, (fingerprint, _drop) in recorded.items():
        states = found.get(name, [])
        if [state.fingerprint for state in states] != [fingerprint]:
            changed[name] = wrong.get(name, "differs") if states else "is missing"
    return changed


def sync_objects(
    connection: Connection, group: str, objects: Sequence[DatabaseObject]
) -> list[str]:
    """Create, replace and drop until the database holds exactly `objects`; returns the names that were changed."""
    changed = set(differences(connection, group, objects))
    for name, (_, drop_sql) in installed(connection, group).items():
        if name in changed:
            _run(connection, drop_sql)
            connection.execute(
                delete(SchemaFingerprint).where(
                    SchemaFingerprint.group == group, SchemaFingerprint.name == name
                )
            )
    there = observed(connection, objects)
    for item in objects:
        if item.name in changed:
            for statement in _displaced(item.name, there.get(item.name, [])):
                _run(connection, statement)
            _run(connection, item.create_sql)
            _record(connection, group, item)
    return sorted(changed)


def _displaced(name: str, states: Sequence[State]) -> Iterator[str]:
    """The statements that drop triggers of that name that call another function, and functions of that name."""
    for state in states:
        if not state.table:
            takes = state.columns.rpartition(") ")[0].removeprefix("(")
            yield f"DROP FUNCTION IF EXISTS public.{_quote(name)}({takes}) CASCADE"
        if state.table:
            table = ".".join(_quote(part) for part in state.table.split(".", 1))
            yield f"DROP TRIGGER IF EXISTS {_quote(name)} ON {table}"


def drop_generated(connection: Connection) -> None:
    """Drop every generated object of every group: they fit no schema but the newest."""
    if not inspect(connection).has_table(SchemaFingerprint.__tablename__):
        return
    drops = select(SchemaFingerprint.drop_sql).where(SchemaFingerprint.drop_sql != "")
    for drop_sql in connection.scalars(drops).all():
        _run(connection, drop_sql)
    connection.execute(delete(SchemaFingerprint).where(SchemaFingerprint.drop_sql != ""))


_ASLEEP = text("""
SELECT CASE WHEN s.setrole = 0 THEN 'the database ' || d.datname
    WHEN s.setdatabase = 0 THEN 'the role ' || r.rolname
    ELSE 'the role ' || r.rolname || ' in the database ' || d.datname END AS whom,
  CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I RESET session_replication_role', d.datname)
    WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I RESET session_replication_role', r.rolname)
    ELSE format('ALTER ROLE %I IN DATABASE %I RESET session_replication_role', r.rolname, d.datname)
  END AS remedy
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS setting
WHERE setting LIKE 'session_replication_role=%' AND setting <> 'session_replication_role=origin'
  AND (s.setdatabase = 0 OR d.datname = current_database())
UNION ALL
SELECT 'this connection', '' WHERE current_setting('session_replication_role') <> 'origin'
UNION ALL
SELECT DISTINCT 'the table ' || c.relname, format('ALTER TABLE public.%I ENABLE TRIGGER ALL', c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgenabled NOT IN ('O', 'A') AND n.nspname = 'public' AND t.tgname NOT LIKE 'backoffice\\_%'
ORDER BY 1
""")


def asleep(connection: Connection) -> dict[str, str]:
    """The roles, databases and tables for which triggers do not fire, each with the statement that mends it.

    Because of a setting of the database or of a role, which applies to each of its new sessions, or because
    triggers that are not generated here are disabled; foreign keys are triggers too.
    """
    found: dict[str, str] = dict(connection.execute(_ASLEEP).all())
    return found


def _run(connection: Connection, script: str) -> None:
    """Execute several statements at once, which PostgreSQL accepts only without parameters."""
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def _record(connection: Connection, group: str, item: DatabaseObject) -> None:
    values: dict[str, Any] = {"fingerprint": item.fingerprint, "drop_sql": item.drop_sql}
    connection.execute(insert(SchemaFingerprint).values(group=group, name=item.name, **values))
