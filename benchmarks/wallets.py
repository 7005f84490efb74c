"""(r) The wallets of the product: charged by the action, through HTTP and by a file, beside plain SQL.

On its own tables, under all of its triggers: figures, audit trail, append-only.
"""

import csv
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from backoffice import figures
from backoffice.app import garbage
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN, APP
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.wallets import actions
from backoffice.wallets.figures import WALLET_FIGURES

from .charging import PROCESSES, until_the_end
from .report import Measured, Report
from .served import gunicorn
from .timing import in_turn, ratio, summary, timed
from .wallet_book import MANY, WALLETS, load, secret_of_a_program
from .wallet_programs import charging_through
from .world import World

AMOUNT = Decimal("0.01")
ROUNDS = 300
WINDOWS = 7
WINDOW_SECONDS = 3.0
LINES = 100_000
BULK_ROUNDS = 5

Work = Callable[[list[int], int, Any, Any], None]


def measure(world: World, scale: float) -> Report:
    """Time charges one by one, of wallets with few and many transactions; by four processes; and by file."""
    many = max(1000, int(MANY * scale))
    world.empty()
    print(f"    loading wallets of up to {many:,} transactions …", file=sys.stderr)
    with world.connect(ADMIN) as surgery:
        load(surgery, many)
        world.settle()
        seconds = _one_by_one(world, max(20, int(ROUNDS * scale)))
        rates = _rates(world, surgery)
        seconds |= _by_file(world, surgery, max(1000, int(LINES * scale)))
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    numbers["per second"] = {name: [round(r) for r in runs] for name, runs in rates.items()}

    def beside(name: str, hand: str = "hand") -> float:
        """The median ratio of the two sides per round, since a shared machine is not equally fast in each round."""
        pairs = zip(rates[name], rates[hand], strict=True)
        return median(ours / theirs for ours, theirs in pairs)

    bulk = median(seconds["file by hand"]) / median(seconds["file"])
    return Report(
        [
            Measured("r", "a charge, 1,000,000 transactions beside 10",
                     ratio(seconds["many"], seconds["few"]), "×", 1.2),
            Measured("r", "charges by the action, beside those by hand", beside("action"), "×", 0.6, at_least=True),
            Measured("r", "charges through HTTP, beside those by hand", beside("http"), "×", 0.25, at_least=True),
            Measured("r", "the same, where the hand leaves the sums to the trigger",
                     beside("http", "hand without sums"), "×"),
            Measured("r", "charges through HTTP by 4 programs", median(rates["http"]), "/s"),
            Measured("r", f"a file of {LINES:,} charges, beside SQL by hand", bulk, "×", 0.4, at_least=True),
        ],
        numbers,
    )  # fmt: skip


def _one_by_one(world: World, rounds: int) -> dict[str, list[float]]:
    """Seconds of a charge, of the wallet with few transactions and of the one with many."""

    def charge(wallet: int) -> float:
        with world.app.app_context(), figures.acting_as("user:1"):
            session = db.session()
            return timed(partial(actions.charge, session, wallet, AMOUNT), session.commit)

    few, many = 2 * WALLETS + 1, 2 * WALLETS + 2
    return in_turn({"few": partial(charge, few), "many": partial(charge, many)}, rounds, warm_up=20)


# Four at a time


def _rates(world: World, surgery: psycopg.Connection[Any]) -> dict[str, list[float]]:
    """Charges per second of each side; windows in turn."""
    ours, theirs = list(range(1, WALLETS + 1)), list(range(WALLETS + 1, 2 * WALLETS + 1))
    secret = secret_of_a_program(world.app)
    every = {"API_RATE": "100000000 per hour"}
    with gunicorn(world, "backoffice:create_app()", **every) as port:
        sides: dict[str, tuple[Work, list[int]]] = {
            "http": (partial(charging_through, port, secret, WINDOW_SECONDS), ours),
            "action": (partial(_charging, world), ours),
            "hand": (partial(_by_hand, world.url(APP), sums=True), theirs),
            "hand without sums": (partial(_by_hand, world.url(APP), sums=False), theirs),
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(-1, WINDOWS):  # the first one is a warm-up
            for name, (work, chosen) in sides.items():
                rate = _rate(work, chosen)
                surgery.execute("TRUNCATE figure_notes")
                if number >= 0:
                    rates[name].append(rate)
    assert not list(_drifted(world)), "figures are wrong after the benchmark"
    return rates


def _drifted(world: World) -> list[Any]:
    with world.app.app_context():
        return list(figures.verify(db.engine, WALLET_FIGURES))


def _rate(work: Work, chosen: list[int]) -> float:
    start = multiprocessing.get_context("fork")
    barrier, answers = start.Barrier(PROCESSES), start.Queue()
    processes = [
        start.Process(target=work, args=(chosen, number, barrier, answers))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    made = sum(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return float(made / WINDOW_SECONDS)


def _charging(world: World, chosen: list[int], number: int, barrier: Any, answers: Any) -> None:
    garbage.seek_seldom()  # as the server's processes do
    with world.app.app_context(), figures.acting_as("user:1"):
        db.engine.dispose(close=False)  # the parent's connections must not be used here

        def one(wallet: int) -> None:
            actions.charge(db.session(), wallet, AMOUNT)
            db.session.commit()
            db.session.remove()

        answers.put(until_the_end(one, chosen, number, barrier, WINDOW_SECONDS))
        db.engine.dispose()


def _by_hand(
    url: str, chosen: list[int], number: int, barrier: Any, answers: Any, *, sums: bool
) -> None:
    with psycopg.connect(url, autocommit=True) as hand:
        one = partial(_take, hand, sums=sums)
        answers.put(until_the_end(one, chosen, number, barrier, WINDOW_SECONDS))


def _take(hand: psycopg.Connection[Any], wallet: int, *, sums: bool) -> None:
    """Lock the wallet, check its balance, insert; the sums equal those that the trigger has written already."""
    with hand.transaction():
        row = hand.execute(
            "SELECT balance, total_spent FROM wallets WHERE id = %s FOR UPDATE", [wallet]
        ).fetchone()
        assert row is not None
        balance, spent = row
        assert balance >= AMOUNT
        hand.execute(
            "INSERT INTO wallet_transactions (wallet_id, transaction_type, amount, balance_before, balance_after) "
            "VALUES (%s, 'charge', %s, %s, %s)",
            [wallet, AMOUNT, balance, balance - AMOUNT],
        )
        if sums:
            hand.execute(
                "UPDATE wallets SET balance = %s, total_spent = %s WHERE id = %s",
                [balance - AMOUNT, spent + AMOUNT, wallet],
            )


# A file


def _by_file(world: World, surgery: psycopg.Connection[Any], lines: int) -> dict[str, list[float]]:
    """Seconds of a file of as many new charges, by the command and by plain SQL."""
    seconds: dict[str, list[float]] = {"file": [], "file by hand": []}
    with tempfile.TemporaryDirectory() as folder, world.connect() as hand:
        for number in range(BULK_ROUNDS):
            for name, first in (("file", 1), ("file by hand", WALLETS + 1)):
                path = _file(Path(folder), f"{name}-{number}", first, lines)
                world.settle()
                work = partial(_import, world) if name == "file" else partial(_set_based, hand)
                seconds[name].append(timed(partial(work, path)))
                path.unlink()
            surgery.execute("TRUNCATE figure_notes")
    assert not _drifted(world), "figures are wrong after the benchmark"
    return seconds


def _file(folder: Path, series: str, first: int, lines: int) -> Path:
    path = folder / f"{series}.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["wallet_id", "amount", "service_type", "idempotency_key"])
        rows.writerows(
            (f"W-{first + n % WALLETS}", AMOUNT, "vps", f"{series}-{n}") for n in range(lines)
        )
    return path


def _import(world: World, path: Path) -> None:
    with world.app.app_context(), figures.acting_as("cli:benchmark"):
        report = import_files(db.session(), KINDS["wallet-charges"], [path])
        assert not report.problems, report.problems[0]
        db.session.commit()


SET_BASED = """
WITH lines AS (
  SELECT l.n, w.id, w.balance, l.amount, l.service_type, l.idempotency_key
  FROM lines l JOIN wallets w ON w.number = l.wallet_id WHERE w.status = 'active'
), turns AS (
  SELECT *, wallet_left(balance, amount) OVER (PARTITION BY id ORDER BY n) AS left FROM lines
), held AS (
  SELECT *, lag("left", 1, balance) OVER (PARTITION BY id ORDER BY n) AS held FROM turns
)
INSERT INTO wallet_transactions
  (wallet_id, transaction_type, amount, service_type, idempotency_key, balance_before, balance_after)
SELECT id, 'charge', amount, service_type, idempotency_key, held, "left" FROM held WHERE amount <= held ORDER BY n
ON CONFLICT (idempotency_key) DO NOTHING
"""


def _set_based(hand: psycopg.Connection[Any], path: Path) -> None:
    """Copy, lock, decide in order and insert: one transaction, under the same triggers."""
    with hand.transaction(), hand.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE lines (n bigint GENERATED ALWAYS AS IDENTITY, wallet_id text, amount numeric(15,2), "
            "service_type text, idempotency_key text) ON COMMIT DROP"
        )
        columns = "wallet_id, amount, service_type, idempotency_key"
        with (
            path.open("rb") as file,
            cursor.copy(f"COPY lines ({columns}) FROM STDIN (FORMAT csv, HEADER)".encode()) as copy,
        ):
            while block := file.read(65_536):
                copy.write(block)
        cursor.execute("ANALYZE lines")
        cursor.execute(
            "SELECT FROM wallets WHERE number IN (SELECT wallet_id FROM lines) ORDER BY id FOR NO KEY UPDATE"
        )
        cursor.execute(SET_BASED)
