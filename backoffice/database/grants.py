"""What the app's database role may do, table by table; everything else belongs to the owner."""

from sqlalchemy import Connection, func, select, table, text
from sqlalchemy.sql import column

READ = ("SELECT",)
WORK = ("SELECT", "INSERT", "UPDATE", "DELETE")

PRIVILEGES: dict[str, tuple[str, ...]] = {
    "alembic_version": READ,
    "schema_fingerprints": READ,
    "process_keys": (),  # what our processes prove themselves by: the owner's functions compare
    "book": READ,  # what everything means: the owner writes it, by a command
    "periods": ("SELECT", "INSERT", "UPDATE"),  # reopened, never removed
    "audit_events": READ,  # only its trigger, which runs as the owner, writes
    "audit_seals": ("SELECT", "INSERT"),  # append-only
    "audit_checks": ("SELECT", "INSERT"),  # append-only
    "corrections": ("SELECT", "INSERT"),  # append-only
    "fact_decisions": ("SELECT", "INSERT"),  # append-only
    "price_changes": ("SELECT", "INSERT"),  # append-only
    # Append-only, but that a heal of the running balance writes these two.
    "wallet_transactions": ("SELECT", "INSERT", "UPDATE (balance_before, balance_after)"),
    "price_change_orders": ("SELECT", "INSERT"),  # append-only
    # Triggers note, as the owner; the app drains. FOR UPDATE SKIP LOCKED asks for UPDATE of a
    # column; a drain that leaves what builds on a figure noted says in whose name.
    "figure_notes": ("SELECT", "DELETE", "UPDATE (noted_at, db_user, attempts, retry_at)"),
}
"""Table → privileges of the app's role; a table that is not named here gets `WORK`."""


def sync(connection: Connection, role: str) -> None:
    """Give `role` exactly these privileges. Does nothing where the owner itself runs the app."""
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
