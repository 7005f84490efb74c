"""How Alembic reaches the database, whoever calls it: `backoffice db …`, `flask db …`, `flask_migrate`."""

from alembic import context

from backoffice.commands.upgrade import migrate

migrate(context)
