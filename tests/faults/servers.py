"""The app under gunicorn, as in production, and a plain HTTP client for it."""

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from backoffice.app.config import ROOT
from tests.faults.workers import until


class Answer(NamedTuple):
    """The response: its status, Location, text, and all headers."""

    status: int
    location: str
    text: str
    headers: http.client.HTTPMessage


@contextmanager
def web(log: Path, app: str = "", **environment: str) -> Iterator[int]:
    """Serve the app, or another one, under gunicorn, as in production; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "deploy" / "gunicorn.conf.py")]
    command += [app] if app else []
    given = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1", **environment}
    with open(log, "ab") as output:
        server = subprocess.Popen(
            command, cwd=ROOT, env=given, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until(lambda: answers(port), 60, "the web server answers", log)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def answers(port: int) -> bool:
    """Whether a process serves on that port."""
    try:
        return send(port, "GET", "/healthz", "").status == 200
    except OSError:
        return False


def send(
    port: int, method: str, path: str, cookie: str, body: Any = None, **headers: str
) -> Answer:
    """Send a request, with a form where there is a body, and read the whole response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        given = {"Cookie": cookie, **{name.replace("_", "-"): v for name, v in headers.items()}}
        if body is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        pairs = body.items(multi=True) if hasattr(body, "getlist") else (body or {}).items()
        encoded = None if body is None else urlencode(list(pairs))
        connection.request(method, path, encoded, given)
        answer = connection.getresponse()
        location = answer.headers.get("Location", "")
        return Answer(answer.status, location, answer.read().decode(), answer.headers)
    finally:
        connection.close()
