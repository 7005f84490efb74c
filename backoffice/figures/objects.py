"""Database objects generated from declarations, kept in step by fingerprint.

Old migrations never change their meaning; what depends on declarations (trigger functions) is
synced after them, at the end of `db upgrade`, and `/readyz` compares the fingerprints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, column, delete, insert, inspect, select, table

from .models import SchemaFingerprint

_CATALOGUE = table("pg_trigger", column("tgname"), column("tgenabled"))
_ENABLED = select(_CATALOGUE.c.tgname).where(_CATALOGUE.c.tgenabled.in_(("O", "A")))


@dataclass(frozen=True)
class DatabaseObject:
    """One generated trigger with its function of the same name."""

    name: str
    create_sql: str
    drop_sql: str

    @property
    def fingerprint(self) -> str:
        """A digest of what is installed."""
        return sha256(self.create_sql.encode()).hexdigest()


def installed(connection: Connection, group: str) -> dict[str, tuple[str, str]]:
    """Fingerprint and drop statement of each installed object of the group, by name."""
    rows = connection.execute(
        select(
            SchemaFingerprint.name,
            SchemaFingerprint.fingerprint,
            SchemaFingerprint.drop_sql,
        ).where(SchemaFingerprint.group == group)
    )
    return {name: (fingerprint, drop) for name, fingerprint, drop in rows}


def mismatches(connection: Connection, group: str, objects: Sequence[DatabaseObject]) -> list[str]:
    """Names of triggers that are missing, switched off, out of date or no longer wanted."""
    present = installed(connection, group)
    enabled = set(connection.execute(_ENABLED).scalars())
    wanted = {o.name: o.fingerprint for o in objects}
    wrong = {n for n, f in wanted.items() if present.get(n, ("", ""))[0] != f or n not in enabled}
    return sorted(wrong | (present.keys() - wanted.keys()))


def sync_objects(
    connection: Connection, group: str, objects: Sequence[DatabaseObject]
) -> list[str]:
    """Create, replace and drop until the database holds exactly `objects`; names what it changed."""
    changed = mismatches(connection, group, objects)
    for name, (_, drop_sql) in installed(connection, group).items():
        if name in changed:
            _run(connection, drop_sql)
            connection.execute(
                delete(SchemaFingerprint).where(
                    SchemaFingerprint.group == group, SchemaFingerprint.name == name
                )
            )
    for item in objects:
        if item.name in changed:
            _run(connection, item.create_sql)
            _record(connection, group, item)
    return changed


def drop_generated(connection: Connection) -> None:
    """Drop every generated object of every group: they fit no schema but the newest."""
    if not inspect(connection).has_table(SchemaFingerprint.__tablename__):
        return
    installed = select(SchemaFingerprint.drop_sql).where(SchemaFingerprint.drop_sql != "")
    for drop_sql in connection.scalars(installed).all():
        _run(connection, drop_sql)
    connection.execute(delete(SchemaFingerprint).where(SchemaFingerprint.drop_sql != ""))


def _run(connection: Connection, script: str) -> None:
    """Several statements at once, which PostgreSQL takes only without parameters."""
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def _record(connection: Connection, group: str, item: DatabaseObject) -> None:
    connection.execute(
        insert(SchemaFingerprint).values(
            group=group,
            name=item.name,
            fingerprint=item.fingerprint,
            drop_sql=item.drop_sql,
        )
    )
