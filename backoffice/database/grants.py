"""The privileges of the app's database role, table by table; everything else is reserved to the owner."""

from sqlalchemy import Connection, func, select, table, text
from sqlalchemy.sql import column

READ = ("SELECT",)
WORK = ("SELECT", "INSERT", "UPDATE", "DELETE")

PRIVILEGES: dict[str, tuple[str, ...]] = {
    "alembic_version": READ,
    "schema_fingerprints": READ,
    "process_keys": (),  # keys of the app's processes: compared by the owner's functions
    "number_series": ("SELECT", "INSERT", "UPDATE"),  # goes on, never back
    "book": READ,  # currency and time zone of the book: the owner writes it, by a command
    "periods": ("SELECT", "INSERT", "UPDATE"),  # reopened, never removed
    "audit_events": READ,  # only its trigger, which runs as the owner, writes
    "audit_seals": ("SELECT", "INSERT"),  # append-only
    "audit_checks": ("SELECT", "INSERT"),  # append-only
    "corrections": ("SELECT", "INSERT"),  # append-only
    "fact_decisions": ("SELECT", "INSERT"),  # append-only
    "price_changes": ("SELECT", "INSERT"),  # append-only
    # Append-only, except that a heal of the running balance writes these two.
    "wallet_transactions": ("SELECT", "INSERT", "UPDATE (balance_before, balance_after)"),
    "price_change_orders": ("SELECT", "INSERT"),  # append-only
    # Triggers note, as the owner; the app drains. FOR UPDATE SKIP LOCKED requires UPDATE of a
    # column; a drain that leaves dependent figures noted records the actor of the write.
    "figure_notes": ("SELECT", "DELETE", "UPDATE (noted_at, db_user, attempts, retry_at)"),
}
"""Table → privileges of the app's role; a table that is not listed here gets `WORK`."""


def sync(connection: Connection, role: str) -> None:
    """Grant `role` exactly these privileges. Does nothing where the app runs as the owner."""
    owner = connection.scalar(select(func.current_user()))
    if not role or role == owner:
        return
    quoted = connection.dialect.identifier_preparer.quote(role)
    tables = _tables(connection)
    statements = [
        f"GRANT USAGE ON SCHEMA public TO {quoted}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quoted}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {quoted}",
    ]
    given = {name: ", ".join(PRIVILEGES.get(name, WORK)) for name in tables}
    statements += [
        f'GRANT {privileges} ON TABLE public."{name}" TO {quoted}'
        for name, privileges in given.items()
        if privileges
    ]
    for statement in statements:
        connection.execute(text(statement))


def _tables(connection: Connection) -> list[str]:
    catalogue = table("pg_tables", column("schemaname"), column("tablename"))
    query = select(catalogue.c.tablename).where(catalogue.c.schemaname == "public")
    return sorted(connection.scalars(query))
