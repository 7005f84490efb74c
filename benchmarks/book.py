"""A large book of orders, loaded by COPY with right figures, a few of which are then falsified.

The figures are computed here in whole minor units by Python, independently of the core.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from psycopg import Connection

from tests.surgery import tell_of_everything

KINDS = ("package", "addition", "promo", "reduction")
_KIND_SETS = (
    ("package", "package", "addition", "promo"),
    ("package", "package", "package", "reduction"),
    ("package", "addition", "promo", "reduction"),
    ("package", "package", "addition", "addition"),
)
"""The kinds of an order's four lines; one set is drawn per order."""

LINES = 4
"""The number of lines of an order."""
ENTERED = {"package": 0, "addition": 2_500_000, "promo": 150_000, "reduction": 99_999}
"""Kind → the amount in minor units that a user entered where it has no lines."""

CUSTOMERS = 1_000
MANAGERS = 20


@dataclass(frozen=True)
class Book:
    """The size of a book, and which of its orders were made wrong."""

    orders: int
    lines: int
    drifted: frozenset[int]


def load(
    connection: Connection[Any], orders: int, *, falsified: bool = True, seed: int = 1
) -> Book:
    """Fill the empty tables with `orders` orders of four lines each, a few `falsified` afterwards.

    Triggers and foreign keys are disabled meanwhile: the rows are loaded with right figures.
    """
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        _people(connection)
        _orders(connection, orders, seed)
        _lines(connection, orders, seed)
        drifted = _falsify(connection, orders) if falsified else frozenset()
        tell_of_everything(connection)
    _advance_sequences(connection)
    return Book(orders, orders * LINES, drifted)


def _people(connection: Connection[Any]) -> None:
    connection.execute(
        "INSERT INTO users (id, email, name, role) OVERRIDING SYSTEM VALUE "
        "SELECT n, 'person' || n || '@example.com', 'Person ' || n, "
        "CASE n WHEN 1 THEN 'finance' ELSE 'account_manager' END FROM generate_series(1, %s) AS n",
        [MANAGERS],
    )
    connection.execute(
        "INSERT INTO customers (id, code, name) OVERRIDING SYSTEM VALUE "
        "SELECT n, 'C' || n, 'Customer ' || n FROM generate_series(1, %s) AS n",
        [CUSTOMERS],
    )


Line = tuple[str, int, int, int]
"""Kind, quantity in thousandths, unit price in ten-thousandths, amount in minor units."""


def _lines_of(random: Random) -> Iterator[Line]:
    for kind in _KIND_SETS[random.getrandbits(2)]:
        bits = random.getrandbits(40)
        quantity = 1_000 + bits % 20_000
        high = 400_000_000 if kind == "package" else 30_000_000
        price = 10_000 + (bits >> 15) % high
        yield kind, quantity, price, (quantity * price + 50_000) // 100_000


def _orders(connection: Connection[Any], orders: int, seed: int) -> None:
    random = Random(seed)
    columns = (
        "id, number, customer_id, account_manager_id, order_date, closing_date, itemised, "
        "total_price, additions, promo, reductions, grand_total"
    )
    with connection.cursor().copy(f"COPY orders ({columns}) FROM STDIN".encode()) as copy:
        for order in range(1, orders + 1):
            copy.write(_order_text(order, list(_lines_of(random))))


def _order_text(order: int, lines: list[Line]) -> str:
    sums = dict.fromkeys(KINDS, 0)
    for kind, _, _, amount in lines:
        sums[kind] += amount
    itemised = {line[0] for line in lines}
    if order % 3 == 0:
        itemised |= {"promo", "reduction"}  # itemised without a line: zero
    else:
        sums |= {kind: amount for kind, amount in ENTERED.items() if kind not in itemised}
    package, addition, promo, reduction = (sums[kind] for kind in KINDS)
    grand_total = package + addition - promo - reduction
    amounts = (package, addition, promo, reduction, grand_total)
    shown = "\t".join(_decimal(amount) for amount in amounts)
    day = f"2026-{order % 12 + 1:02}-{order % 28 + 1:02}"
    closing = day if order % 2 else "\\N"
    kinds = ",".join(kind for kind in KINDS if kind in itemised)
    return (
        f"{order}\tSO-{order:08}\t{order % CUSTOMERS + 1}\t{order % MANAGERS + 1}\t{day}\t{closing}"
        f"\t{{{kinds}}}\t{shown}\n"
    )


def _decimal(amount: int) -> str:
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02}"


def _lines(connection: Connection[Any], orders: int, seed: int) -> None:
    random = Random(seed)
    columns = "id, order_id, position, kind, description, quantity, unit_price, amount"
    with connection.cursor().copy(f"COPY order_lines ({columns}) FROM STDIN".encode()) as copy:
        number = 0
        for order in range(1, orders + 1):
            rows = []
            for position, (kind, quantity, price, amount) in enumerate(_lines_of(random)):
                number += 1
                rows.append(
                    f"{number}\t{order}\t{position}\t{kind}\tItem {position} of the catalogue"
                    f"\t{quantity // 1000}.{quantity % 1000:03}"
                    f"\t{price // 10_000}.{price % 10_000:04}\t{_decimal(amount)}\n"
                )
            copy.write("".join(rows))


def _falsify(connection: Connection[Any], orders: int) -> frozenset[int]:
    """Make a grand total, a component, a line's amount and a line's quantity wrong, spread over the book."""
    places = [orders * n // 9 for n in range(1, 9)]
    changes = (
        "UPDATE orders SET grand_total = grand_total + 1000 WHERE id = %s",
        "UPDATE orders SET total_price = total_price + 0.01 WHERE id = %s",
        "UPDATE order_lines SET amount = amount + 5 WHERE order_id = %s AND position = 0",
        "UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = %s AND position = 0",
    )
    for number, order in enumerate(places):
        connection.execute(changes[number % len(changes)].encode(), [order])
    return frozenset(places)


def _advance_sequences(connection: Connection[Any]) -> None:
    for table in ("users", "customers", "orders", "order_lines"):
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 1)) "
            f"FROM {table}".encode()
        )
