"""What other hands did to our tables: triggers and rules that we never made, and constraints that are gone.

A foreign trigger can change what we write, a rule can swallow it, and without its constraint a table accepts what no
form does. Our own triggers are compared in `objects.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import md5

from sqlalchemy import Connection, Constraint, MetaData, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex

from .checks import LateCheck, missing

FOREIGN_TRIGGER = "is a trigger of another program"
FOREIGN_RULE = "is a rule of another program"
ROW_SECURITY = "hides rows by row security"
LONGEST_NAME = 63
"""The characters of a name in PostgreSQL."""

GONE = "is not there"
PROBLEMS = (FOREIGN_TRIGGER, FOREIGN_RULE, ROW_SECURITY, GONE)

_FOREIGN = text("""
SELECT c.relname || '.' || t.tgname, :trigger, format('DROP TRIGGER %I ON public.%I', t.tgname, c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY (:tables)
  AND NOT EXISTS (SELECT FROM public.schema_fingerprints AS ours WHERE ours.name = t.tgname)
UNION ALL
SELECT c.relname || '.' || r.rulename, :rule, format('DROP RULE %I ON public.%I', r.rulename, c.relname)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.rulename <> '_RETURN' AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY (:tables)
UNION ALL
SELECT c.relname::text, :security, format('ALTER TABLE public.%I DISABLE ROW LEVEL SECURITY', c.relname)
FROM pg_class c
WHERE c.relrowsecurity AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY (:tables)
ORDER BY 1
""")

_THERE = text("""
SELECT conname::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid
""")

_NULLABLE = text("""
SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
  AND NOT a.attisdropped AND NOT a.attnotnull
""")


def found(
    connection: Connection, metadata: MetaData, checks: Iterable[LateCheck]
) -> dict[str, tuple[str, str]]:
    """Name → its problem, and the statement that mends it, of everything on our tables that is not as declared."""
    problems = {
        "trigger": FOREIGN_TRIGGER, "rule": FOREIGN_RULE, "security": ROW_SECURITY,
        "tables": list(metadata.tables),
    }  # fmt: skip
    foreign = {
        name: (what, remedy) for name, what, remedy in connection.execute(_FOREIGN, problems)
    }
    return foreign | dict(_gone(connection, metadata, checks))


def _gone(
    connection: Connection, metadata: MetaData, checks: Iterable[LateCheck]
) -> Iterator[tuple[str, tuple[str, str]]]:
    there, late = set(connection.scalars(_THERE)), list(checks)
    known_late = {check.full_name for check in late}
    for table in metadata.sorted_tables:
        for name, remedy in _declared(table):
            if not {name, _of_a_migration(table.name, name)} & there and name not in known_late:
                yield name, (GONE, remedy())
    for name in missing(connection, late):
        yield name, (GONE, "backoffice db upgrade")
    for table_name, column in connection.execute(_NULLABLE):
        own = metadata.tables.get(table_name)
        if own is not None and column in own.c and not own.c[column].nullable:
            alter = f"ALTER TABLE public.{table_name} ALTER COLUMN {column} SET NOT NULL"
            yield f"{table_name}.{column} NOT NULL", (GONE, alter)


def _of_a_migration(table: str, name: str) -> str:
    """The other name of a CHECK: some migrations added the prefix twice, and SQLAlchemy then shortens long names."""
    doubled = f"ck_{table}_{name}"
    if len(doubled) <= LONGEST_NAME:
        return doubled
    return f"{doubled[: LONGEST_NAME - 8]}_{md5(doubled.encode(), usedforsecurity=False).hexdigest()[-4:]}"


def _declared(table: Table) -> Iterator[tuple[str, Callable[[], str]]]:
    """The name of each constraint and index of a table, and the statement that creates it."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    preparer = dialect.identifier_preparer

    def adding(constraint: Constraint) -> str:
        made = AddConstraint(constraint, isolate_from_table=False)
        return " ".join(str(made.compile(dialect=dialect)).split())

    for constraint in table.constraints:
        if name := preparer.format_constraint(constraint):
            yield name.strip('"'), lambda one=constraint: adding(one)  # type: ignore[misc]
    for index in table.indexes:
        statement = CreateIndex(index)
        name = preparer.format_index(index).strip('"')
        yield name, lambda one=statement: " ".join(str(one.compile(dialect=dialect)).split())  # type: ignore[misc]
