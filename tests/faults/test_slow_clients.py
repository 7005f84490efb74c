"""Two hundred clients that send slowly: pages and probes are answered at once, and the clients are given up."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import pytest
from flask import Flask

from backoffice.app import slow_clients
from tests.faults.servers import send, web
from tests.faults.workers import until

pytestmark = pytest.mark.slow

CLIENTS = 200
AT_ONCE = 2.0
"""Seconds within which a page is answered meanwhile."""


class Server(NamedTuple):
    """The ports of a server: of the app, and of liveness alone."""

    port: int
    health_port: int


@pytest.fixture(scope="module")
def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def server(app: Flask, tmp_path: Path, free_port: int) -> Iterator[Server]:
    """A server with eight threads in all."""
    few = {"WEB_CONCURRENCY": "2", "WEB_THREADS": "4", "HEALTH_PORT": str(free_port)}
    with web(tmp_path / "log", **few) as port:
        yield Server(port, free_port)


HEAD = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
SLOW = {
    "silent": "",
    "head": "GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "body": f"{HEAD}Content-Length: 1000\r\n\r\nemail=",
}
"""How far each client sends at once; then a letter now and then."""


@pytest.mark.parametrize("begins", SLOW.values(), ids=SLOW)
def test_two_hundred_slow_clients_keep_nobody_waiting_and_are_given_up(
    begins: str, server: Server
) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(_connected(server.port)) for _ in range(CLIENTS)]
        stop = stack.enter_context(_dripping(clients, begins))
        for path in ("/healthz", "/login", "/readyz"):
            assert _seconds(lambda path=path: send(server.port, "GET", path, "")) < AT_ONCE, path
        assert _seconds(lambda: send(server.health_port, "GET", "/healthz", "")) < AT_ONCE
        until(
            lambda: all(map(_is_closed, clients)), 3 * slow_clients.HEAD_SECONDS, "all are given up"
        )
        stop.set()


def test_liveness_is_answered_on_its_own_port_while_every_thread_is_taken(
    server: Server, owner_connection: object
) -> None:
    """More clients than threads send the first 64 KB of a long body at once, and the rest slowly."""
    begins = f"{HEAD}Content-Length: 900000\r\n\r\n" + "a" * slow_clients.AHEAD
    with ExitStack() as stack:
        clients = [stack.enter_context(_connected(server.port)) for _ in range(40)]
        stack.enter_context(_dripping(clients, begins))
        for _ in range(20):
            answer = send(server.health_port, "GET", "/healthz", "")
            assert (answer.status, answer.text) == (200, '{"status":"ok"}\n')
        assert send(server.health_port, "GET", "/login", "").status == 404


def test_requests_come_whole_however_they_are_cut(server: Server) -> None:
    body = b"email=a%40b.example&password=" + b"x" * 5000
    head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
    for cuts in ((1,), (10, 20, 30), (len(head) - 2,), (len(head),), (len(head) + 3000,)):
        with _connected(server.port) as client:
            whole, at = head + body, 0
            for cut in (*cuts, len(whole)):
                client.sendall(whole[at:cut])
                at = cut
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 303, "the form without a token is sent back to its page"


def test_two_requests_at_once_on_one_connection_are_both_answered(server: Server) -> None:
    with _connected(server.port) as client:
        one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(one + one)
        reader = client.makefile("rb")
        seen = b""
        while seen.count(b'"status":"ok"') < 2:
            data = reader.read1(65536)
            assert data, seen
            seen += data
        client.sendall(one)
        assert b"200 OK" in reader.read1(65536)


def test_a_large_file_that_comes_fast_is_read(server: Server) -> None:
    answer = send(server.port, "POST", "/login", "", {"email": "x" * 1_500_000})
    assert (answer.status, answer.location) == (303, "/login")


def _connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


class _dripping:  # noqa: N801 (a context)
    """All clients begin, then each sends a letter now and then until the event is set."""

    def __init__(self, clients: list[socket.socket], begins: str) -> None:
        self._clients, self._begins, self._stop = clients, begins.encode(), Event()
        self._thread = Thread(target=self._drip)

    def __enter__(self) -> Event:
        for client in self._clients:
            client.sendall(self._begins)
        self._thread.start()
        return self._stop

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _drip(self) -> None:
        while self._begins and not self._stop.wait(0.5):
            for client in self._clients:
                with suppress(OSError):
                    client.send(b"a")


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.01)
    try:
        return client.recv(65536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
