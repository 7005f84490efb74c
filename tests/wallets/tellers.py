"""Programs that move money through HTTP, each in a process of its own, and the answers that they received."""

import http.client
import json
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from backoffice.people import tokens

DONE, REFUSED, UNSURE = "done", "refused", "unsure"
KINDS = {"charges": "charge", "recharges": "recharge", "refunds": "refund"}
PATIENCE = 30
LEAST = 10


class Move(NamedTuple):
    """A request and its answer: done, with the id of the transaction; refused; or no answer."""

    key: str
    wallet: str
    at: str
    amount: str
    reported: str
    row: int | None


class Bank(NamedTuple):
    """The address of the API, and the secret of the programs' token."""

    port: int
    secret: str


def secret_of(session: Any) -> str:
    """Of a new token that may move what is in wallets."""
    issued = tokens.create(session, name="Tellers", scope="wallets:write", expires_at=None)
    session.commit()
    return issued.secret


def move(bank: Bank, key: str, wallet: str, at: str, amount: str) -> Move:
    """Send one request. Without an answer, or with a server error, the outcome is unknown."""
    connection = http.client.HTTPConnection("127.0.0.1", bank.port, timeout=PATIENCE)
    headers = {
        "Authorization": f"Bearer {bank.secret}",
        "Idempotency-Key": key,
        "Content-Type": "application/json",
    }
    reported, row = UNSURE, None
    try:
        body = json.dumps({"amount": amount})
        connection.request("POST", f"/api/wallets/{wallet}/{at}", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 201:
            reported, row = DONE, json.loads(said)["id"]
        elif answer.status < 500:
            reported = REFUSED
            assert answer.status in (402, 409, 422, 429), (answer.status, said)
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return Move(key, wallet, at, amount, reported, row)


def sure(bank: Bank, key: str, wallet: str, at: str, amount: str) -> Move:
    """Repeat the request under the same key until it is answered."""
    end = time.monotonic() + PATIENCE
    while True:
        made = move(bank, key, wallet, at, amount)
        if made.reported != UNSURE:
            return made
        assert time.monotonic() < end, f"no answer for {key}"
        time.sleep(0.05)


def busy(bank: Bank, wallets: Sequence[str], seed: int, until: float) -> list[Move]:
    """Move by chance until then, some times at least.

    What a teller is unsure of is asked again every second time, or left.
    """
    chance, made = random.Random(seed), []
    while time.time() < until or len(made) < LEAST:
        at = chance.choice(("charges", "charges", "charges", "recharges", "refunds"))
        amount = f"{chance.randint(1, 6_000) / 100:.2f}"
        asked = (f"{seed}-{len(made)}", chance.choice(wallets), at, amount)
        reported = move(bank, *asked)
        if reported.reported == UNSURE and chance.random() < 0.5:
            time.sleep(0.05)
            reported = sure(bank, *asked)
        made.append(reported)
    return made


def wrongly_kept(
    moves: Sequence[Move], stored: Sequence[tuple[int, str, str, str, str]]
) -> list[str]:
    """The moves of which the stored transaction (id, key, wallet, type, amount) differs from the answer.

    An acknowledged one is stored once and as requested, a refused one is not, one without an answer may be.
    """
    rows: dict[str, list[tuple[int, str, str, str]]] = {}
    for row, key, *rest in stored:
        rows.setdefault(key, []).append((row, *rest))  # type: ignore[arg-type]
    wrong = []
    for one in moves:
        found = rows.pop(one.key, [])
        as_asked = [r for r in found if r[1:] == (one.wallet, KINDS[one.at], one.amount)]
        is_right = {
            DONE: [r[0] for r in as_asked] == [one.row],
            REFUSED: not found,
            UNSURE: len(found) <= 1,
        }[one.reported]
        if not is_right or len(as_asked) != len(found):
            wrong.append(f"{one} is stored as {found}")
    return wrong + [f"no program has requested {key}: {found}" for key, found in rows.items()]
