"""How Alembic reaches the database: on the connection that `backoffice db upgrade` gives it."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run migrations with: backoffice db upgrade")

context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
