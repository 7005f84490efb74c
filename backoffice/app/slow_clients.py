"""gunicorn's threads are for whole requests: a client that sends slowly waits in the event loop, and takes no thread.

gunicorn gives a connection to a thread when it is opened, so 200 clients that send a byte a second keep all threads
for as long as they like. Here the loop reads the head of a request and the first 64 KB of its body; a thread begins
when they are complete. What a thread itself reads or writes has time limits, too.
"""

import re
import socket
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from selectors import EVENT_READ
from threading import Thread
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_SECONDS = 10.0
"""Seconds in which the head of a request, and what is read ahead of its body, must have come."""

AHEAD = 64 * 1024
"""The bytes of a request that are read ahead; a thread reads the rest."""

SLOWEST = 10_000
"""Bytes a second at which a longer body must come on average, after the first `HEAD_SECONDS`."""

SILENT_SECONDS = 30.0
"""Seconds that a thread waits for a client that sends or takes nothing."""

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_WAITS = re.compile(rb"^expect:", re.IGNORECASE | re.MULTILINE)


class TimedSocket(socket.socket):
    """A client's socket: blocking calls end after `SILENT_SECONDS`, and a body has to come at a least speed."""

    _began, _received = 0.0, 0

    def begin(self) -> None:
        """A thread begins to read a request."""
        self._began, self._received = time.monotonic(), 0

    def setblocking(self, flag: bool) -> None:
        """As asked for, but blocking calls have a time limit."""
        self.settimeout(SILENT_SECONDS if flag else 0.0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive bytes. Raises ConnectionResetError for a client that sends too slowly."""
        try:
            data = super().recv(size, flags)
        except TimeoutError as error:
            raise ConnectionResetError("The client sent nothing.") from error
        self._received += len(data)
        is_over = time.monotonic() - self._began > HEAD_SECONDS + self._received / SLOWEST
        if self.gettimeout() and is_over:
            raise ConnectionResetError("The client sends too slowly.")
        return data


class Connection(TConn):  # type: ignore[misc]
    """A connection, and what the loop has read of its next request."""

    def __init__(self, *of_gunicorn: Any) -> None:
        super().__init__(*of_gunicorn)
        self.ahead = bytearray()

    def init(self) -> None:
        """Give to the parser what was read ahead."""
        super().init()
        if self.ahead:
            self.parser.unreader.unread(bytes(self.ahead))
            self.ahead.clear()


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, which begin when a request is there."""

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, and wait in the loop for its first request."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        client = TimedSocket(fileno=accepted.detach())
        self._await(Connection(self.cfg, client, address, listener.getsockname()))

    def enqueue_req(self, conn: Connection) -> None:
        """Submit a request to a thread."""
        conn.sock.begin()
        super().enqueue_req(conn)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """The next request on a connection that was kept begins."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """More of a request has come."""
        if (is_there := _read_ahead(conn)) is not None:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._begin(conn, is_there)

    def _await(self, conn: Connection) -> None:
        conn.sock.setblocking(False)
        is_there = _read_ahead(conn)  # most requests are
        if is_there is not None:
            self._begin(conn, is_there)
            return
        conn.timeout = time.monotonic() + HEAD_SECONDS  # then `murder_pending` closes it
        self.pending_conns.append(conn)
        handler = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, handler)

    def _begin(self, conn: Connection, is_there: bool) -> None:
        """Submit a request to a thread, or close a connection that its client has left."""
        if is_there:
            conn.data_ready = True
            self.enqueue_req(conn)
        else:
            self.nr_conns -= 1
            conn.close()


def _read_ahead(conn: Connection) -> bool | None:
    """Read what has come. True: a thread can begin; False: the client is gone; None: wait for more."""
    try:
        data = conn.sock.recv(AHEAD)
    except BlockingIOError:
        return None
    except OSError:
        return False
    conn.ahead += data
    if not data:
        return False
    return True if _is_complete(conn.ahead) else None


def _is_complete(ahead: bytearray) -> bool:
    """Whether a thread can begin: the head is there, with its body or as much of it as is read ahead."""
    if len(ahead) >= AHEAD:
        return True
    end = _END_OF_HEAD.search(ahead)
    if end is None:
        return False
    head = ahead[: end.end()]
    length = _LENGTH.search(head)
    if length is None or _WAITS.search(head):  # no body, or one that says itself where it ends
        return True
    return len(ahead) >= min(end.end() + int(length[1]), AHEAD)


# Liveness


class _Alive(BaseHTTPRequestHandler):
    """Answers /healthz, and nothing else."""

    timeout = 5.0

    def do_GET(self) -> None:
        """Answer that the process runs."""
        is_asked = self.path == "/healthz"
        body = b'{"status":"ok"}\n' if is_asked else b""
        self.send_response(200 if is_asked else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: it is asked every few seconds."""


def listen(host: str, port: int) -> socket.socket:
    """The socket on which all processes answer whether they are alive."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def answer_whether_alive(listener: socket.socket) -> None:
    """Answer on a thread of its own, whatever the other threads wait for."""
    server = ThreadingHTTPServer(listener.getsockname()[:2], _Alive, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    Thread(target=server.serve_forever, daemon=True, name="alive").start()
