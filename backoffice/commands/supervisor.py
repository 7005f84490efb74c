"""`backoffice dev`: runs all processes on this machine, and ends them together.

Starts the embedded services, brings the database up to date, loads the demo company on the first
start, then keeps web, one worker and the scheduler running until Ctrl+C.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from typing import IO, Any

import click
import psycopg
from flask import Flask

from ..app import config, create_background_app, logs
from ..app.command_line import PATIENCE, Trouble
from ..app.config import ROOT, SUPERVISED
from ..app.loading import uncollected
from ..database.embedded import Postgres, Redis, Services
from ..database.embedded.processes import dies_with_parent, fresh_enough, last_lines, wait_until

STATE = "supervisor"
"""The file that the supervisor of a home locks while it runs; it holds its process id and its address."""
FIRST_ANSWER_SECONDS = 60
STOP_SECONDS = 15


@dataclass
class Patience:
    """The back-off before a process that died is restarted: longer each time that it dies at once."""

    started_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0

    def is_over(self) -> bool:
        """Whether it may be started now; if so, the start is counted."""
        now = time.monotonic()
        if now < self.not_before:
            return False
        self.failures = 0 if now - self.started_at > 30 else self.failures + 1
        self.not_before = now + min(2**self.failures, 30)
        self.started_at = now
        return True


@dataclass
class Kept:
    """An embedded service that is restarted whenever it has died."""

    service: Postgres | Redis
    services: Services
    patience: Patience = field(default_factory=Patience)

    def restart_if_gone(self) -> list[str]:
        """Restart it after it died; returns the messages for the operator."""
        if not self.service.has_died() or not self.patience.is_over():
            return []
        try:
            said = self.services.start(self.service, tied=True)
        except (Trouble, OSError, psycopg.Error) as error:
            return [f"{str(error).strip()}\n{self.service.name} is started again in a moment."]
        return [*said, f"{self.service.name} ended unexpectedly and was started again."]


@dataclass
class Process:
    """A supervised process: web, worker or scheduler."""

    name: str
    command: Sequence[str]
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    patience: Patience = field(default_factory=Patience)

    def start(self, *, held: bool = False) -> None:
        """Start it; it ends when the supervisor dies, and Ctrl+C reaches it only through the supervisor.

        With `held` it prepares itself, and serves once `release` is called.
        """
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 (we have no threads)
            )
        self.patience.started_at = time.monotonic()

    def release(self) -> None:
        """Let it serve: it waits until its standard input is closed."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def is_running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.poll() is None

    def restart_if_gone(self) -> list[str]:
        """Restart it after it died, with a longer delay each time that it dies at once; returns the messages."""
        if self.is_running() or not self.patience.is_over():
            return []
        self.start()
        return [
            f"The {self.name} process ended unexpectedly and was started again; see {self.log}."
        ]

    def stop(self, end: float) -> None:
        """Wait for its end until the time `end`; then kill it."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


INTERRUPT_SECONDS = 1.0
"""How long a start may take to heed an interrupt, before it is interrupted again."""


@click.command("dev")
@click.option("--tied", is_flag=True, hidden=True, help="End when the parent process dies (make).")
def dev(tied: bool) -> None:
    """Run everything on this machine until Ctrl+C: services, web, worker, scheduler."""
    if tied:
        dies_with_parent(signal.SIGTERM, parent=os.getppid())()
    settings = config.load()
    home: Path = settings["BACKOFFICE_HOME"]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            state = stack.enter_context(_one_supervisor(home))
            with _ending_by_signal():
                _check_port(settings)
                _run(settings, stack, state)
    except KeyboardInterrupt:
        click.echo("\nStopped.")


def _run(settings: config.Settings, stack: ExitStack, state: IO[str]) -> None:
    began = time.monotonic()
    kept: list[Kept] = []
    parts = _parts(settings)
    web, *others = parts
    stack.callback(_stop, parts)
    web.start(held=True)  # it imports its code while the database is prepared
    if settings["EMBEDDED_POSTGRES"] or settings["EMBEDDED_REDIS"]:
        services = Services(settings["BACKOFFICE_HOME"])
        wanted = services.wanted(settings["EMBEDDED_POSTGRES"], settings["EMBEDDED_REDIS"])
        for sentence in stack.enter_context(services.in_use(*wanted, tied=True)):
            click.echo(sentence)
        kept = [Kept(service, services) for service in wanted]
    stack.callback(_stop, parts)  # registered last: runs before the services are stopped
    sign_ins = _prepare_database()
    web.release()
    _wait_for_first_answer(web, settings)
    _say(state, _address(settings))
    for part in others:  # only now, so that the first screen does not compete with them
        part.start()
    _welcome(settings, sign_ins, time.monotonic() - began)
    _watch([*kept, *parts])


def _prepare_database() -> list[Any]:
    """Migrate; load the demo company into an empty book. Returns the demo's sign-ins, if it is loaded."""
    with uncollected():
        from ..app.extensions import db
        from ..demo import loading
        from .upgrade import upgrade

    logs.configure("WARNING")
    app: Flask = create_background_app(PATIENCE)
    for line in upgrade(app):
        click.echo(line)
    with app.app_context():
        if app.config["DEMO"] and loading.is_empty():
            click.echo("Loading the demo company …")
            loading.load()
        sign_ins = loading.sign_ins()
        db.engine.dispose()
    return sign_ins


def _parts(settings: config.Settings) -> list[Process]:
    logs = settings["BACKOFFICE_HOME"] / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    environment = {
        **os.environ,
        "BACKOFFICE_HOME": str(settings["BACKOFFICE_HOME"]),
        "HOST": settings["HOST"],
        "PORT": str(settings["PORT"]),
        "PYTHONUNBUFFERED": "1",
        SUPERVISED: "1",
    }
    python = sys.executable
    commands = {
        "web": [python, "-m", "gunicorn", "-c", str(ROOT / "deploy" / "gunicorn.conf.py")],
        "worker": [python, str(ROOT / "worker.py")],
        "scheduler": [python, str(ROOT / "worker.py"), "--scheduler"],
    }
    return [
        Process(name, command, fresh_enough(logs / f"{name}.log"), environment)
        for name, command in commands.items()
    ]


def _wait_for_first_answer(web: Process, settings: config.Settings) -> None:
    end = time.monotonic() + FIRST_ANSWER_SECONDS
    while not _answers(settings["HOST"], settings["PORT"]):
        if not web.is_running() or time.monotonic() > end:
            raise Trouble(
                f"The web server did not start. {web.log} ends with:\n{last_lines(web.log)}"
            )
        time.sleep(0.05)


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """An address at which a server bound to `host` can be reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (compared, not bound)


def _address(settings: config.Settings) -> str:
    host = _reachable(settings["HOST"])
    return f"http://{f'[{host}]' if ':' in host else host}:{settings['PORT']}"


def _welcome(settings: config.Settings, sign_ins: Sequence[Any], seconds: float) -> None:
    click.echo(f"\nBackoffice is ready at {_address(settings)}")
    if sign_ins:
        click.echo("\nSign in to the demo company as")
        for person in sign_ins:
            click.echo(f"  {person.role:<16} {person.email:<36} password {person.password}")
    else:
        click.echo("Create the first user with: backoffice users create")
    click.echo(
        f"\nData and logs are in {settings['BACKOFFICE_HOME']}. Started in {seconds:.1f} s. "
        "Ctrl+C ends everything."
    )
    for sentence in config.warnings(settings):
        click.echo(f"Warning: {sentence}")
    sys.stdout.flush()


def _watch(watched: Sequence[Kept | Process]) -> None:
    """Until a signal: restart what died."""
    while True:
        time.sleep(0.5)
        for sentence in (said for each in watched for said in each.restart_if_gone()):
            click.echo(sentence)


def _stop(parts: Sequence[Process]) -> None:
    """Terminate all processes at once, and wait for all of them."""
    for part in parts:
        if part.process is not None and part.is_running():
            part.process.terminate()
            part.release()
    end = time.monotonic() + STOP_SECONDS
    for part in parts:
        part.stop(end)


@contextmanager
def _one_supervisor(home: Path) -> Iterator[IO[str]]:
    """Allow one supervisor per home. Raises Trouble, with the process id of the first one, for a second."""
    with open(home / STATE, "a+") as file:
        # `info` holds the lock for a moment, to see whether another process has it.
        if not wait_until(lambda: _is_locked(file, LOCK_EX), 1):
            raise Trouble(_already(file, home))
        _say(file, "")
        yield file


def _is_locked(file: IO[str], how: int) -> bool:
    try:
        flock(file, how | LOCK_NB)
    except OSError:
        return False
    return True


def _say(file: IO[str], address: str) -> None:
    """Write the supervisor's process id, and its address once it serves, to the state file."""
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "address": address}))
    file.flush()


def _said(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        said = json.loads(file.read())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def running_at(home: Path) -> str | None:
    """The address of the copy that runs from `home` now; None while there is none, or it does not serve yet."""
    try:
        with open(home / STATE) as file:
            if _is_locked(file, LOCK_SH):  # a live one holds it exclusively
                return None
            return _said(file).get("address") or None
    except FileNotFoundError:
        return None


def _already(file: IO[str], home: Path) -> str:
    return (
        f"Backoffice already runs from {home} (process {_said(file).get('pid', 'unknown')}). Stop it "
        "first, or start a second copy with a BACKOFFICE_HOME and a PORT of its own."
    )


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal as Ctrl+C; during shutdown further signals are ignored.

    The interrupt is raised again until the block is left: Python swallows one that comes while it frees an object.
    """

    def end(number: int, _frame: object) -> None:
        if number != signal.SIGALRM:
            for other in numbers:
                signal.signal(other, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, INTERRUPT_SECONDS, INTERRUPT_SECONDS)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in (*numbers, signal.SIGALRM):
        signal.signal(number, end)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _check_port(settings: config.Settings) -> None:
    """Raise Trouble for a busy port before anything is started."""
    host, port = settings["HOST"], settings["PORT"]
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Trouble(
            f"Port {port} on {host} cannot be used ({error.strerror}). Stop the program that "
            f"holds it, or choose another one: PORT={port % 65535 + 1} make run"
        ) from error
