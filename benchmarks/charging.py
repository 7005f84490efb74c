"""(q) Charging a wallet: one of ten movements and one of a million, and four processes at once, beside plain SQL.

The tables, the declarations and the charge are those of the tests (`tests/figures/wallets.py`).
"""

import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from statistics import median
from typing import Any

import psycopg

from backoffice.database.embedded import ADMIN, APP, OWNER
from backoffice.figures import acting_as
from tests.figures import wallets
from tests.figures.worlds import World as Book
from tests.figures.worlds import a_world, keeping

from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

MANY = 1_000_000
FEW = 10
WALLETS = 50
"""The number of wallets of each side, each with a hundred movements."""
PROCESSES = 4
ROUNDS = 200
WINDOWS = 5
WINDOW_SECONDS = 4.0
AMOUNT = Decimal("0.01")

LOAD = (
    "INSERT INTO shape_movements (wallet_id, kind, amount, balance_before, balance_after) "
    "SELECT w, kind, amount, sum(moved) OVER s - moved, sum(moved) OVER s FROM ("
    " SELECT w, n, kind, amount, CASE kind WHEN 'charge' THEN -amount ELSE amount END AS moved FROM ("
    "  SELECT w, n, CASE n %% 10 WHEN 1 THEN 'recharge' WHEN 5 THEN 'refund' ELSE 'charge' END AS kind,"
    "   CASE n %% 10 WHEN 1 THEN 1000 ELSE (1 + (w * 31 + n * 7919) %% 999) / 10.0 END AS amount"
    "  FROM generate_series(%(first)s::int, %(last)s::int) w, generate_series(1, %(size)s::bigint) n"
    " ) drawn"
    ") moves WINDOW s AS (PARTITION BY w ORDER BY n) ORDER BY w, n"
)
SUMS = (
    "UPDATE shape_wallets SET balance = b, recharged = r, spent = s FROM ("
    " SELECT wallet_id, sum(CASE kind WHEN 'charge' THEN -amount ELSE amount END) AS b,"
    "  sum(amount) FILTER (WHERE kind = 'recharge') AS r,"
    "  sum(CASE kind WHEN 'charge' THEN amount WHEN 'refund' THEN -amount ELSE 0 END) AS s"
    " FROM shape_movements GROUP BY 1"
    ") sums WHERE wallet_id = shape_wallets.id"
)


def measure(world: World, scale: float) -> Report:
    """Time single charges of wallets with few and many movements; then the rate of four processes."""
    rounds = max(10, int(ROUNDS * scale))
    with a_book(world, max(1000, int(MANY * scale))) as book, world.connect() as hand:
        few, many, few_by_hand, many_by_hand = range(2 * WALLETS + 1, 2 * WALLETS + 5)
        asleep = 2 * WALLETS
        with acting_as("user:1"):
            seconds = in_turn(
                {
                    "few": partial(_charge, book, few),
                    "many": partial(_charge, book, many),
                    "few by hand": partial(_charge_by_hand, book, hand, few_by_hand),
                    "many by hand": partial(_charge_by_hand, book, hand, many_by_hand),
                    "asleep": partial(_charge_by_hand, book, book.surgery, asleep, sums=True),
                },
                rounds,
                warm_up=8,
            )
        rates = _rates(world, book)
        ours = (*range(1, WALLETS + 1), few, many)
        assert not book.drift(owners=ours), "figures are wrong after the benchmark"
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    together, hot = (median(rates[n]) / median(rates[n + " by hand"]) for n in ("many", "one"))
    return Report(
        [
            Measured("q", "a charge, 1,000,000 movements beside 10",
                     ratio(seconds["many"], seconds["few"]), "×", 1.2),
            Measured("q", "a charge, beside it by hand",
                     ratio(seconds["few"], seconds["few by hand"]), "×"),
            Measured("q", "the same, by hand with every trigger asleep",
                     ratio(seconds["few"], seconds["asleep"]), "×"),
            Measured("q", "charges by 4 processes, beside those by hand", together, "×", 0.6, at_least=True),
            Measured("q", "the same, all of one wallet", hot, "×"),
            Measured("q", "charges by 4 processes", median(rates["many"]), "/s"),
        ],
        numbers | {"per_second": {name: [round(r) for r in runs] for name, runs in rates.items()}},
    )  # fmt: skip


@contextmanager
def a_book(world: World, many: int) -> Iterator[Book]:
    """Create the tables, with wallets and right sums computed by plain SQL."""
    urls = {"owner": world.url(OWNER), "app": world.url(APP), "admin": world.url(ADMIN)}
    print(f"    loading wallets of up to {many:,} movements …", file=sys.stderr)
    with a_world(wallets.Base, wallets.registry, **urls) as book:
        last = 2 * WALLETS + 4
        book.surgery.execute(
            "INSERT INTO shape_wallets (balance) SELECT 0 FROM generate_series(1, %s::int)", [last]
        )
        sizes = {(1, last - 4): 100}
        sizes |= {
            (w, w): size for w, size in zip(range(last - 3, last + 1), (FEW, many) * 2, strict=True)
        }
        for (first, until), size in sizes.items():
            book.surgery.execute(LOAD, {"first": first, "last": until, "size": size})
        book.surgery.execute(SUMS)
        world.settle()
        yield book


def _charge(book: Book, wallet: int) -> float:
    with book.sessions() as session:
        return timed(partial(wallets.charge, session, wallet, AMOUNT), session.commit)


def _charge_by_hand(
    book: Book, hand: psycopg.Connection[Any], wallet: int, *, sums: bool = False
) -> float:
    seconds = timed(partial(_take, hand, wallet, sums=sums))
    book.surgery.execute("TRUNCATE figure_notes")
    return seconds


def _take(hand: psycopg.Connection[Any], wallet: int, *, sums: bool = False) -> None:
    """Lock the wallet, check its balance, insert; the trigger updates the sums, unless it is disabled (`sums`)."""
    with hand.transaction():
        row = hand.execute(
            "SELECT balance FROM shape_wallets WHERE id = %s FOR NO KEY UPDATE", [wallet]
        ).fetchone()
        assert row is not None
        assert row[0] >= AMOUNT
        hand.execute(
            "INSERT INTO shape_movements (wallet_id, kind, amount, balance_before, balance_after) "
            "VALUES (%s, 'charge', %s, %s, %s)",
            [wallet, AMOUNT, row[0], row[0] - AMOUNT],
        )
        if sums:
            hand.execute(
                "UPDATE shape_wallets SET balance = balance - %s, spent = spent + %s WHERE id = %s",
                [AMOUNT, AMOUNT, wallet],
            )


# Four processes


def _rates(world: World, book: Book) -> dict[str, list[float]]:
    """Charges per second of each side, on one and on many wallets; windows in turn."""
    ours, theirs = range(1, WALLETS + 1), range(WALLETS + 1, 2 * WALLETS + 1)
    sides: dict[str, tuple[Callable[..., None], range]] = {
        "many": (_charging, ours),
        "many by hand": (_charging_by_hand, theirs),
        "one": (_charging, ours[:1]),
        "one by hand": (_charging_by_hand, theirs[:1]),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(WINDOWS):
        for name, (work, chosen) in sides.items():
            rates[name].append(_rate(work, world.url(APP), chosen))
            book.surgery.execute("TRUNCATE figure_notes")
    return rates


def _rate(work: Callable[..., None], url: str, chosen: range) -> float:
    start = multiprocessing.get_context("fork")
    barrier, answers = start.Barrier(PROCESSES), start.Queue()
    processes = [
        start.Process(target=work, args=(url, list(chosen), number, barrier, answers))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    made = sum(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return float(made / WINDOW_SECONDS)


def _charging(url: str, chosen: list[int], number: int, barrier: Any, answers: Any) -> None:
    engine, sessions = keeping(url, wallets.registry)

    def one(wallet: int) -> None:
        with sessions() as session:
            wallets.charge(session, wallet, AMOUNT)
            session.commit()

    with acting_as("user:1"):
        answers.put(until_the_end(one, chosen, number, barrier, WINDOW_SECONDS))
    engine.dispose()


def _charging_by_hand(url: str, chosen: list[int], number: int, barrier: Any, answers: Any) -> None:
    with psycopg.connect(url, autocommit=True) as hand:
        one = partial(_take, hand)
        answers.put(until_the_end(one, chosen, number, barrier, WINDOW_SECONDS))


def until_the_end(
    one: Callable[[int], None], chosen: list[int], number: int, barrier: Any, seconds: float
) -> int:
    """Charge random wallets for so many seconds; returns the number of charges."""
    chance, made = random.Random(number), 0
    for _ in range(10):
        one(chance.choice(chosen))
    barrier.wait()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        one(chance.choice(chosen))
        made += 1
    return made
