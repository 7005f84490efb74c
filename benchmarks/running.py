"""(p) Figures that run from row to row: gas read, entered late and verified, beside plain SQL.

The tables and declarations are those of the tests (`tests/figures/gas.py`): readings priced by date, months with a
running balance, a customer's balance. The plain SQL's transactions lock the customer, do the same arithmetic and
write the same columns of the same tables, under the same triggers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from psycopg import ClientCursor, Connection
from sqlalchemy import text

from backoffice.database.embedded import ADMIN, APP, OWNER
from backoffice.figures.verifying.verification import verify
from tests.figures import gas
from tests.figures.worlds import World as Book
from tests.figures.worlds import a_world

from .report import Measured, Report
from .timing import Side, in_turn, ratio, summary, timed
from .world import World

CUSTOMERS = 1_500
"""The number of customers, each read daily for three years: 1,644,000 calculations."""
READ_TOGETHER = 500
SHORT, LONG = 100_001, 100_002
"""The ids of a customer with one month, and of one with 120 months."""
ROUNDS = 60
FIRST_DAY, TODAY = date(2023, 1, 1), date(2026, 1, 1)
VOLUME = Decimal("10.123")
SETS = Path(__file__).with_suffix(".sql").read_text().split("-- ⁂\n")
FACTS, CALCULATIONS, MONTHS, BALANCES, READ, BALANCES_COMPARED = SETS
DERIVED = {
    "shape_calculations": (
        ("customer_id", "reading_id"), ("dated", "price_id", "volume_sm3", "total"), CALCULATIONS,
    ),
    "shape_months": (
        ("customer_id", "month"), ("opening", "deposits", "purchases", "closing"), MONTHS,
    ),
}  # fmt: skip
"""Table → its key, its amounts, and the plain SQL of its expected rows."""

THEIRS = (READ_TOGETHER + 1, 2 * READ_TOGETHER + 1)
"""The first customer of the plain SQL with the app's triggers, and of that with all of them disabled."""

Hands = dict[str, Connection[Any]]


def measure(world: World, scale: float) -> Report:
    """Time verifications first, while everything is right; then the writes of users and imports, side by side."""
    rounds = max(10, int(ROUNDS * scale))
    with a_book(world, max(3 * READ_TOGETHER, int(CUSTOMERS * scale))) as book:
        print("    verifying, appending, entering late …", file=sys.stderr)
        with world.connect() as hand:
            verified = in_turn(_verifying(book, hand), max(7, rounds // 8))
            hands = {" by hand": hand, " asleep": book.surgery}
            appended = in_turn(_appending(book, hands), rounds, warm_up=6)
            late = in_turn(_late(book, hands), max(5, rounds // 3), warm_up=3)
            together = in_turn(_together(book, hands), max(3, rounds // 10))
        ours = (*range(1, READ_TOGETHER + 1), SHORT, LONG)
        assert not book.drift(owners=ours), "figures are wrong after the benchmark"
    reported = {**verified, **appended, **late, **together}
    numbers = {name: summary(seconds) for name, seconds in reported.items()}

    def beside(name: str, ours: str, other: str, bar: float | None = None) -> Measured:
        return Measured("p", name, ratio(reported[ours], reported[other]), "×", bar)

    return Report(
        [
            beside("append a reading, beside it by hand", "read", "read by hand", 2.0),
            beside("the same, 120 months of history beside 1", "long", "short", 1.2),
            beside("a reading of three years ago", "late", "late by hand", 4.0),
            beside("a price of three years ago", "price", "price by hand"),
            beside("a day's readings of 500 customers", "together", "together by hand", 5.0),
            *(
                beside(f"{name}, by hand with every trigger asleep", side, f"{side} asleep")
                for name, side in (
                    ("append", "read"),
                    ("of three years ago", "late"),
                    ("a price", "price"),
                    ("500 customers", "together"),
                )
            ),
            beside("verify 1,600,000 calculations", "verify", "verify by hand", 1.3),
        ],
        numbers,
    )


@contextmanager
def a_book(world: World, customers: int) -> Iterator[Book]:
    """Create the tables, with a right book that was computed by plain SQL."""
    urls = {"owner": world.url(OWNER), "app": world.url(APP), "admin": world.url(ADMIN)}
    print(f"    loading {customers:,} customers …", file=sys.stderr)
    with a_world(gas.Base, gas.registry, **urls) as book:
        fill = {"customers": customers, "first": FIRST_DAY, "today": TODAY}
        ClientCursor(book.surgery).execute(FACTS.encode(), fill)
        for table, (key, amounts, rows) in DERIVED.items():
            columns = ", ".join((*key, *amounts))
            statement = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM ({rows}) e"
            book.surgery.execute(statement.encode())
        book.surgery.execute(BALANCES.encode())
        world.settle()
        yield book


# The sides


def _verifying(book: Book, hand: Connection[Any]) -> dict[str, Side]:
    def ours() -> None:
        assert not list(verify(book.engine, book.registry))

    statements = [_comparing(table, *rows) for table, rows in DERIVED.items()]

    def by_hand() -> None:
        for statement in (*statements, BALANCES_COMPARED):
            assert hand.execute(statement.encode()).fetchone() == (0,)

    return {"verify": partial(timed, ours), "verify by hand": partial(timed, by_hand)}


def _comparing(table: str, key: tuple[str, ...], amounts: tuple[str, ...], rows: str) -> str:
    """The SQL that counts the rows that differ from the expected ones."""
    stored, expected = (", ".join(f"{side}.{name}" for name in amounts) for side in "se")
    return (
        f"SELECT count(*) FROM ({rows}) e FULL JOIN {table} s USING ({', '.join(key)}) "
        f"WHERE s.id IS NULL OR e.{amounts[0]} IS NULL OR ({stored}) IS DISTINCT FROM ({expected})"
    )


def _appending(book: Book, hands: Hands) -> dict[str, Side]:
    """A reading of the next day, for one customer of each side."""

    def each(read: Callable[[int, date], float], customer: int) -> Side:
        days = count()
        return lambda: read(customer, TODAY + timedelta(next(days)))

    sides = {
        "read" + name: each(partial(_read_by_hand, book, hand), first)
        for first, (name, hand) in zip(THEIRS, hands.items(), strict=True)
    }
    ours = (("read", 1), ("short", SHORT), ("long", LONG))
    return {name: each(partial(_read, book), customer) for name, customer in ours} | sides


def _late(book: Book, hands: Hands) -> dict[str, Side]:
    """A late reading and a new price, for a different customer each time."""
    late = FIRST_DAY + timedelta(1)

    def each(write: Callable[[int], float], first: int) -> Side:
        customers = count(first + 1)
        return lambda: write(next(customers))

    sides = {
        "late": each(lambda c: _read(book, c, late), 1),
        "price": each(lambda c: _price(book, c), 1),
    }
    for first, (name, hand) in zip(THEIRS, hands.items(), strict=True):
        sides["late" + name] = each(lambda c, h=hand: _read_by_hand(book, h, c, late), first)
        sides["price" + name] = each(lambda c, h=hand: _price_by_hand(book, h, c), first)
    return sides


def _together(book: Book, hands: Hands) -> dict[str, Side]:
    """Readings of many customers in one statement, a day later each time."""
    every = (
        "INSERT INTO shape_readings (customer_id, read_on, volume) "
        "SELECT c, :day, 10.123 FROM generate_series(CAST(:low AS int), CAST(:high AS int)) c"
    )
    hold = (
        "SELECT FROM shape_customers WHERE id BETWEEN %(low)s AND %(high)s "
        "ORDER BY id FOR NO KEY UPDATE"
    )

    def ours(given: dict[str, Any]) -> float:
        with book.sessions() as session:
            return timed(lambda: session.execute(text(every), given), session.commit)

    def by_hand(hand: Connection[Any], given: dict[str, Any]) -> float:
        def work() -> None:
            with hand.transaction():
                hand.execute(hold, given)
                hand.execute(READ.encode(), given)

        return _forgotten(book, timed(work))

    def each(read: Callable[[dict[str, Any]], float], first: int) -> Side:
        days = count(ROUNDS + 30)
        group = {"low": first, "high": first + READ_TOGETHER - 1}
        return lambda: read({"day": TODAY + timedelta(next(days)), **group})

    return {"together": each(ours, 1)} | {
        "together" + name: each(partial(by_hand, hand), first)
        for first, (name, hand) in zip(THEIRS, hands.items(), strict=True)
    }


# One customer


def _read(book: Book, customer: int, day: date) -> float:
    with book.sessions() as session:
        reading = gas.Reading(customer_id=customer, read_on=day, volume=VOLUME)
        return timed(partial(session.add, reading), session.commit)


def _price(book: Book, customer: int) -> float:
    with book.sessions() as session:
        price = session.query(gas.Price).filter_by(customer_id=customer).order_by("id").first()
        assert price is not None
        raised = price.price + 1
        return timed(lambda: setattr(price, "price", raised), session.commit)


def _read_by_hand(book: Book, hand: Connection[Any], customer: int, day: date) -> float:
    def work() -> None:
        with hand.transaction():
            _write_reading(hand, customer, day)

    return _forgotten(book, timed(work))


def _write_reading(hand: Connection[Any], customer: int, day: date) -> None:
    """Lock the customer, look up the price, write the calculation, its month, later months and the balance."""
    given: dict[str, Any] = {"c": customer, "day": day, "month": day.replace(day=1)}

    def fetch(statement: str) -> Any:
        return hand.execute(statement.encode(), given).fetchone()

    hand.execute("SELECT FROM shape_customers WHERE id = %(c)s FOR NO KEY UPDATE", given)
    [given["reading"]] = fetch(
        "INSERT INTO shape_readings (customer_id, read_on, volume) "
        "VALUES (%(c)s, %(day)s, 10.123) RETURNING id"
    )
    given["price"], price, factor = fetch(
        "SELECT id, price, factor FROM shape_prices WHERE customer_id = %(c)s "
        "AND effective_from <= %(day)s ORDER BY effective_from DESC LIMIT 1"
    )
    given["volume"] = _at(VOLUME * factor, 3)
    given["total"] = _at(given["volume"] * price, 2)
    hand.execute(
        "INSERT INTO shape_calculations (customer_id, reading_id, dated, price_id, volume_sm3, total) "
        "VALUES (%(c)s, %(reading)s, %(day)s, %(price)s, %(volume)s, %(total)s)",
        given,
    )
    before = fetch(
        "SELECT closing FROM shape_months WHERE customer_id = %(c)s AND month <= %(month)s "
        "ORDER BY month DESC LIMIT 1"
    )
    given["opening"] = before[0] if before else Decimal(0)
    hand.execute(
        "INSERT INTO shape_months AS m (customer_id, month, opening, deposits, purchases, closing) "
        "VALUES (%(c)s, %(month)s, %(opening)s, 0, %(total)s, %(opening)s - %(total)s) "
        "ON CONFLICT (customer_id, month) DO UPDATE SET purchases = m.purchases + excluded.purchases, "
        "closing = m.closing - excluded.purchases",
        given,
    )
    hand.execute(
        "UPDATE shape_months SET opening = opening - %(total)s, closing = closing - %(total)s "
        "WHERE customer_id = %(c)s AND month > %(month)s",
        given,
    )
    hand.execute("UPDATE shape_customers SET balance = balance - %(total)s WHERE id = %(c)s", given)


def _price_by_hand(book: Book, hand: Connection[Any], customer: int) -> float:
    """Lock the customer, insert the price, recompute its calculations, the months and the balance."""
    of_one = {"calculations": "customer_id = %(c)s", "deposits": "customer_id = %(c)s"}
    months = MONTHS.replace(
        "FROM shape_calculations", "FROM shape_calculations WHERE " + of_one["calculations"]
    )
    months = months.replace(
        "FROM shape_deposits", "FROM shape_deposits WHERE " + of_one["deposits"]
    )

    def work() -> None:
        given: dict[str, Any] = {"c": customer}
        with hand.transaction():
            hand.execute("SELECT FROM shape_customers WHERE id = %(c)s FOR NO KEY UPDATE", given)
            row = hand.execute(
                "UPDATE shape_prices SET price = price + 1 WHERE id = (SELECT id FROM shape_prices "
                "WHERE customer_id = %(c)s ORDER BY id LIMIT 1) RETURNING id, price",
                given,
            ).fetchone()
            assert row is not None
            given["id"], given["price"] = row
            hand.execute(
                "UPDATE shape_calculations SET total = round(volume_sm3 * %(price)s, 2) "
                "WHERE customer_id = %(c)s AND price_id = %(id)s",
                given,
            )
            hand.execute(
                f"UPDATE shape_months t SET opening = s.opening, purchases = s.purchases, closing = s.closing "
                f"FROM ({months}) s WHERE t.customer_id = %(c)s AND s.month = t.month".encode(),
                given,
            )
            hand.execute(
                "UPDATE shape_customers SET balance = (SELECT closing FROM shape_months "
                "WHERE customer_id = %(c)s ORDER BY month DESC LIMIT 1) WHERE id = %(c)s",
                given,
            )

    return _forgotten(book, timed(work))


def _at(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _forgotten(book: Book, seconds: float) -> float:
    """Delete the notes of the plain SQL's writes, which no worker drains here; returns `seconds`."""
    book.surgery.execute("TRUNCATE figure_notes")
    return seconds
