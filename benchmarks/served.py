"""Requests per second of the app under gunicorn, as in production."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from backoffice.app.config import ROOT

from .web import EMPTY
from .world import World

CONNECTIONS = 4
SECONDS = 2.0
PATIENCE = 30


def requests_per_second(
    world: World, headers: dict[str, str], form: Any, rounds: int
) -> dict[str, list[float]]:
    """Measure the empty route and the preview in turn, each over a few concurrent connections."""
    body = urlencode(form, doseq=True)
    posted = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    sides: dict[str, Callable[[http.client.HTTPConnection], None]] = {
        "empty": lambda connection: connection.request("GET", EMPTY, headers=headers),
        "preview": lambda connection: connection.request("POST", "/orders/preview", body, posted),
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    with gunicorn(world) as port:
        for side in sides.values():
            _busy(port, side)
        for _ in range(rounds):
            for name, side in sides.items():
                found[name].append(_busy(port, side))
    return found


@contextmanager
def gunicorn(world: World, app: str = "benchmarks.web:serve()", **settings: str) -> Iterator[int]:
    """Serve the app as in production, with the empty route unless another app is named; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    config = world.app.config
    names = ("BACKOFFICE_HOME", "REDIS_URL", "SECRET_KEY")
    environment = os.environ | {name: str(config[name]) for name in names}
    environment |= {"DATABASE_URL": world.url(), "PORT": str(port), "HOST": "127.0.0.1"}
    environment |= settings
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"]
    server = subprocess.Popen(
        [*command, app],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "gunicorn did not start"
            time.sleep(0.1)
        else:
            return


def _busy(port: int, send: Callable[[http.client.HTTPConnection], None]) -> float:
    """Requests per second over all connections."""
    counts = [0] * CONNECTIONS
    end = time.monotonic() + SECONDS

    def visit(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while time.monotonic() < end:
            send(connection)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            counts[number] += 1
        connection.close()

    visitors = [threading.Thread(target=visit, args=(n,)) for n in range(CONNECTIONS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert all(counts), "A connection was refused."
    return sum(counts) / SECONDS
