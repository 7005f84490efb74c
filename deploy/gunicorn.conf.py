"""gunicorn: threads, because a request mostly waits for PostgreSQL. `WEB_CONCURRENCY` sets processes."""

import os
import sys
from typing import Any

import structlog
from gunicorn.glogging import Logger

from backoffice.app.loading import uncollected

with uncollected():
    from backoffice import book
    from backoffice.app import garbage, logs, slow_clients
    from backoffice.app.config import READERS, SUPERVISED, warnings
    from backoffice.app.counting import sharing

    sharing.begin()  # before anything that counts is imported

    from backoffice.app.counting import instruments  # noqa: F401 (read once, before the first request)
    from backoffice.app.extensions import db  # counts too
    from backoffice.app.loading import read_ahead
    from backoffice.figures import registry
    from backoffice.figures.keeping.triggers import note_objects

log = structlog.get_logger("backoffice.web")
logs.configure(os.environ.get("LOG_LEVEL", "INFO"))

# Who is served waits as long as a person does: said once to each connection, and not again in every transaction.
os.environ["LOCK_TIMEOUT"] = os.environ.get("WEB_LOCK_TIMEOUT") or READERS["WEB_LOCK_TIMEOUT"][0]

host = os.environ.get("HOST", "127.0.0.1")
bind = f"{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT', '8000')}"
wsgi_app = "backoffice:create_app()"
worker_class = "backoffice.app.slow_clients.Worker"  # gthread, without threads for who sends slowly
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS") or READERS["WEB_THREADS"][0])
preload_app = True  # read once, forked: half the memory, half the start
timeout = 60
graceful_timeout = 10
keepalive = 5
SHARED_MEMORY = "/dev/shm"  # noqa: S108 (gunicorn makes a private file there)
# Heartbeats are written many times a second; not to a disk, if possible.
worker_tmp_dir = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
control_socket_disable = True  # one socket for all copies on the machine: two would quarrel
accesslog = None  # the app logs its requests itself
alive: list[Any] = []
"""The socket of HEALTH_PORT, if it is set."""
errorlog = None  # gunicorn's own lines go where ours do


class JsonLines(Logger):
    """gunicorn's lines, written as ours are: one JSON object each."""

    def setup(self, cfg: Any) -> None:
        """Let the root logger's handler write them, which `logs.configure` has set."""
        super().setup(cfg)
        self.error_log.propagate = True


logger_class = JsonLines
forwarded_allow_ips = ""  # the app decides whom it believes, by TRUSTED_PROXIES


def on_starting(server: Any) -> None:
    """Under `backoffice dev` all is read and compiled while the database is prepared; then we serve.

    Not from a book that is kept in another currency or time zone.
    """
    app = server.app.wsgi()
    if app.config["HEALTH_PORT"]:
        alive.append(slow_clients.listen(host, app.config["HEALTH_PORT"]))
    for sentence in warnings(app.config):
        log.warning("setting", problem=sentence)
    read_ahead(app)
    note_objects(registry)  # the first page of each process compares the database with them
    if SUPERVISED in os.environ:
        sys.stdin.read()
    with app.app_context():
        try:
            book.check_at_start(db.engine)
        except book.MeaningDiffers as differs:
            sys.exit(str(differs))


def post_fork(_server: object, _worker: object) -> None:
    """Each process for itself."""
    garbage.seek_seldom()
    for listener in alive:
        slow_clients.answer_whether_alive(listener)


def child_exit(_server: object, worker: Any) -> None:
    """What a process has counted stays counted when it ends."""
    sharing.forget(worker.pid)


def on_exit(_server: object) -> None:
    """Nobody counts any more."""
    sharing.end()
