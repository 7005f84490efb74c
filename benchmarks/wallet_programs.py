"""Programs that charge wallets through HTTP: one open socket each, and as little Python as possible.

They run on the same machine as the server that is measured.
"""

import json
import os
import socket
from typing import Any

from .charging import until_the_end

AMOUNT = "0.01"


def charging_through(
    port: int,
    secret: str,
    seconds: float,
    chosen: list[int],
    number: int,
    barrier: Any,
    answers: Any,
) -> None:
    """Charge random wallets, each time with a new idempotency key; reports the number of charges to `answers`."""
    body = json.dumps({"amount": AMOUNT, "service_type": "vps"}).encode()
    begun, made = f"{os.getpid()}-{number}", 0
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def one(wallet: int) -> None:
            nonlocal made
            made += 1
            head = (
                f"POST /api/wallets/W-{wallet}/charges HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Authorization: Bearer {secret}\r\nIdempotency-Key: {begun}-{made}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            status = _answered(connection)
            assert status == 201, status

        answers.put(until_the_end(one, chosen, number, barrier, seconds))


def _answered(connection: socket.socket) -> int:
    """Read one whole response; returns its status."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection)
    at = data.lower().index(b"content-length:") + len(b"content-length:")
    length = int(data[at : data.index(b"\r\n", at)])
    while len(data) < end + 4 + length:
        data += _more(connection)
    return int(data[9:12])


def _more(connection: socket.socket) -> bytes:
    block = connection.recv(65_536)
    assert block, "the server has closed the connection"
    return block
