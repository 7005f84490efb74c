"""Both embedded services of one home; the last process that uses them stops them."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

from .folders import Folders, locked
from .postgres import Postgres
from .redis import Redis

Service = Postgres | Redis


class Services:
    """PostgreSQL and Redis under one `BACKOFFICE_HOME`."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.folders = Folders.of(home)
        self.postgres = Postgres(self.folders, durable=durable)
        self.redis = Redis(self.folders, durable=durable)

    def wanted(self, postgres: bool, redis: bool) -> list[Service]:
        """The requested ones of the two services."""
        return [*([self.postgres] if postgres else []), *([self.redis] if redis else [])]

    @contextmanager
    def in_use(self, *wanted: Service, tied: bool = False) -> Iterator[list[str]]:
        """Run the wanted services during the block; they are stopped at the end unless another process uses them.

        With `tied` this process is their supervisor: they die with it, and are stopped at the end even if
        another process uses them. Yields the messages for the operator.
        """
        with open(self.folders.home / "in-use", "a") as users:
            flock(users, LOCK_SH)
            sentences = self.start(*wanted, tied=tied)
            try:
                yield [*self.folders.notices, *sentences]
            finally:
                with locked(self.folders.home / "lock"):
                    if tied or _no_other(users.fileno()):
                        self.stop()

    def start(self, *wanted: Service, tied: bool) -> list[str]:
        """Start those of them that do not run; returns messages about what they recovered from."""
        with locked(self.folders.home / "lock"):
            return [s for s in (service.start(tied=tied) for service in wanted) if s]

    def stop(self) -> None:
        """Stop the services that run, Redis first."""
        self.redis.stop()
        self.postgres.stop()


def _no_other(users: int) -> bool:
    """Whether the shared lock can be made exclusive, that is, this process is its only holder."""
    try:
        flock(users, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    return True
