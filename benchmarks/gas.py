"""(s) Gas in the product's tables: a reading, a month of readings by import, and a sync of all, beside plain SQL.

The plain SQL does the same arithmetic and writes the same columns of the same tables, under the same triggers.
"""

import csv
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base import money
from backoffice.base.periods import Month
from backoffice.customers.models import Customer
from backoffice.database.embedded import ADMIN
from backoffice.drift.healing import performing
from backoffice.gas.figures import GAS_FIGURES
from backoffice.gas.models import Reading
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from tests.surgery import tell_of_everything

from .report import Measured, Report
from .timing import Side, in_turn, ratio, summary, timed
from .world import World

IMPORTED = 2_000
"""The number of customers for which each side imports a month."""
MONTHS = 24
LONG_MONTHS = 120
FIRST, TODAY = date(2024, 1, 1), date(2026, 1, 1)
VOLUME = Decimal("10.123")
ROUNDS, FEW_ROUNDS = 60, 5

SINCE = """CASE code WHEN 'G-' || %(customers)s + 1 THEN %(today)s::date - interval '1 month'
  WHEN 'G-' || %(customers)s + 2 THEN %(today)s::date - %(long)s * interval '1 month' ELSE %(first)s::date END"""
"""The first day with readings and deposits of a customer: the last customer but one has one month, the last many."""

FACTS = f"""
INSERT INTO users (id, email, name, role) OVERRIDING SYSTEM VALUE VALUES (1, 'gas@example.com', 'Gas', 'finance');
INSERT INTO customers (code, name) SELECT 'G-' || n, 'Gas ' || n FROM generate_series(1, %(customers)s + 2) n;
INSERT INTO gas_prices (customer_id, effective_from, price_per_sm3, correction_factor)
  SELECT id, day, 10500.1234 + extract(year FROM day), 1.012345 FROM customers,
  (VALUES (date '2000-01-01'), ('2024-09-15'), ('2025-03-01')) days(day);
INSERT INTO deposits (customer_id, deposited_on, amount)
  SELECT id, day, 5000000 FROM customers, LATERAL generate_series({SINCE}, %(today)s::date - 1, '1 month') day;
INSERT INTO readings (customer_id, read_on, metered_volume)
  SELECT id, day, 10 + (id * 31 + extract(day FROM day)) %% 999 / 100 FROM customers,
  LATERAL generate_series({SINCE}, %(today)s::date - 1, '1 day') day;
"""
CALCULATIONS = """
SELECT r.customer_id, r.id AS reading_id, to_char(r.read_on, 'YYYY-MM') AS year_month, r.read_on AS transaction_date,
  r.metered_volume, p.correction_factor, round(r.metered_volume * p.correction_factor, 3) AS volume_sm3,
  p.price_per_sm3, round(round(r.metered_volume * p.correction_factor, 3) * p.price_per_sm3, {unit}) AS total_price,
  jsonb_build_object('effective_from', p.effective_from,
    'price_per_sm3', p.price_per_sm3::text, 'correction_factor', p.correction_factor::text) AS pricing_used
FROM readings r JOIN (
  SELECT *, lead(effective_from) OVER (PARTITION BY customer_id ORDER BY effective_from) AS until FROM gas_prices
) p ON p.customer_id = r.customer_id AND p.effective_from <= r.read_on AND (p.until IS NULL OR r.read_on < p.until)
"""
MONTHS_OF = """
SELECT customer_id, year_month, closing - deposit + purchase AS opening_balance, deposit AS total_deposits,
  purchase AS total_purchases, closing AS closing_balance, volume AS total_volume_sm3,
  jsonb_build_object('readings', read, 'unpriced', read - priced, 'deposits', deposits) AS calculation_details
FROM (SELECT *, {before} + sum(deposit - purchase) OVER (PARTITION BY customer_id ORDER BY year_month) AS closing FROM (
  SELECT customer_id, year_month, sum(deposit) AS deposit, sum(purchase) AS purchase, sum(volume) AS volume,
    sum(read) AS read, sum(priced) AS priced, sum(deposits) AS deposits FROM (
      SELECT customer_id, year_month, 0.00 AS deposit, total_price AS purchase, volume_sm3 AS volume, 0 AS read,
        1 AS priced, 0 AS deposits FROM transaction_calculations {calculated}
      UNION ALL SELECT customer_id, to_char(deposited_on, 'YYYY-MM'), amount, 0, 0, 0, 0, 1 FROM deposits {deposited}
      UNION ALL SELECT customer_id, to_char(read_on, 'YYYY-MM'), 0, 0, 0, 1, 0, 0 FROM readings {read}
    ) moves GROUP BY 1, 2) sums) running
"""
EVERYTHING = {"before": "0", "calculated": "", "deposited": "", "read": ""}
OF_CALCULATIONS = (
    "customer_id", "reading_id", "year_month", "transaction_date", "metered_volume", "correction_factor",
    "volume_sm3", "price_per_sm3", "total_price", "pricing_used",
)  # fmt: skip
OF_MONTHS = (
    "customer_id", "year_month", "opening_balance", "total_deposits", "total_purchases", "closing_balance",
    "total_volume_sm3", "calculation_details",
)  # fmt: skip


def measure(world: World, scale: float) -> Report:
    """Time a sync of all customers first; then readings one by one, and by file."""
    many, share = max(50, int(IMPORTED * scale)), min(scale, 1)
    rounds, few = max(10, int(ROUNDS * share)), max(3, int(FEW_ROUNDS * share))
    customers = 2 * many
    world.empty()
    with world.connect(ADMIN) as surgery:
        print(f"    loading {customers:,} customers …", file=sys.stderr)
        _load(surgery, customers)
    world.settle()
    with world.app.app_context(), figures.acting_as("cli:benchmark"), world.connect() as hand:
        synced = in_turn(_syncing(hand), few)
        read = in_turn(_reading(customers), rounds, warm_up=5)
        with tempfile.TemporaryDirectory() as folder:
            imported = in_turn(_importing(hand, Path(folder), many), few)
        assert not [*figures.verify(db.engine, GAS_FIGURES)], (
            "figures are wrong after the benchmark"
        )
    reported = {**synced, **read, **imported}
    return Report(
        [
            Measured("s", "a reading, 120 months of history beside 1", ratio(read["long"], read["short"]), "×", 1.3),
            Measured("s", "everybody synced with --force, beside window SQL by hand",
                     ratio(synced["sync"], synced["sync by hand"]), "×", 2.0),
            Measured("s", f"a month's readings of {many:,} customers by import, beside it by hand",
                     ratio(imported["import"], imported["import by hand"]), "×", 3.0),
        ],
        {name: summary(seconds) for name, seconds in reported.items()},
    )  # fmt: skip


def _load(surgery: psycopg.Connection[Any], customers: int) -> None:
    """Insert facts and their derived rows, computed by plain SQL, without firing triggers."""
    reported = {"customers": customers, "first": FIRST, "today": TODAY, "long": LONG_MONTHS}
    with surgery.transaction():
        surgery.execute("SET LOCAL session_replication_role = replica")
        psycopg.ClientCursor(surgery).execute(FACTS.encode(), reported)
        for table, (columns, rows) in _derived().items():
            names = ", ".join(columns)
            surgery.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM ({rows}) e".encode()
            )
        tell_of_everything(surgery)


def _derived() -> dict[str, tuple[tuple[str, ...], str]]:
    unit = money.minor_unit()
    return {
        "transaction_calculations": (OF_CALCULATIONS, CALCULATIONS.format(unit=unit)),
        "monthly_customer_balances": (OF_MONTHS, MONTHS_OF.format(**EVERYTHING)),
    }


def _syncing(hand: psycopg.Connection[Any]) -> dict[str, Side]:
    def ours() -> None:
        done = performing.heal(db.engine, GAS_FIGURES, every_owner=True, reason="Bench")
        assert done.is_clean

    def by_hand() -> None:
        for table, (columns, rows) in _derived().items():
            stored, expected = (
                ", ".join(f"{side}.{name}" for name in columns[2:]) for side in "se"
            )
            wrong = hand.execute(
                f"SELECT count(*) FROM ({rows}) e FULL JOIN {table} s USING ({', '.join(columns[:2])}) "
                f"WHERE ({stored}) IS DISTINCT FROM ({expected})".encode()
            ).fetchone()
            assert wrong == (0,)

    return {"sync": partial(timed, ours), "sync by hand": partial(timed, by_hand)}


def _reading(customers: int) -> dict[str, Side]:
    """A reading of the next day, for one customer of each side."""

    def each(code: str) -> Side:
        days = count()
        customer = db.session.scalar(select(Customer.id).where(Customer.code == code))
        db.session.rollback()

        def read() -> float:
            day = TODAY + timedelta(next(days))
            db.session.add(Reading(customer_id=customer, read_on=day, metered_volume=VOLUME))
            return timed(db.session.commit)

        return read

    return {"short": each(f"G-{customers + 1}"), "long": each(f"G-{customers + 2}")}


def _importing(hand: psycopg.Connection[Any], folder: Path, many: int) -> dict[str, Side]:
    """The next month of the first customers by file, and of the others by plain SQL."""

    def each(first: int, work: Callable[[Path, Month], None]) -> Side:
        months = count()

        def side() -> float:
            month = Month.of(TODAY) + next(months)
            path = _file(folder, range(first, first + many), month)
            return timed(partial(work, path, month))

        return side

    return {
        "import": each(1, _import),
        "import by hand": each(many + 1, partial(_import_by_hand, hand)),
    }


def _file(folder: Path, numbers: range, month: Month) -> Path:
    path = folder / f"{numbers.start}-{month}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("customer_code", "read_on", "metered_volume_m3"))
        for number in numbers:
            for day in range(1, month.last.day + 1):
                rows.writerow((f"G-{number}", month.first.replace(day=day), "10.123"))
    return path


def _import(path: Path, _month: Month) -> None:
    report = import_files(db.session(), KINDS["readings"], [path])
    assert not report.problems, report.problems[0]
    db.session.commit()


def _import_by_hand(
    hand: psycopg.Connection[Any], path: Path, month: Month, day: date | None = None
) -> None:
    """Read the file, insert, price the month (or that day alone), and continue the balances of its customers."""
    where = {
        "before": "coalesce((SELECT closing_balance FROM monthly_customer_balances m WHERE m.customer_id = "
        f"sums.customer_id AND m.year_month < '{month}' ORDER BY year_month DESC LIMIT 1), 0)",
        "calculated": f"JOIN whose USING (customer_id) WHERE year_month >= '{month}'",
        "deposited": f"JOIN whose USING (customer_id) WHERE deposited_on >= '{month.first}'",
        "read": f"JOIN whose USING (customer_id) WHERE read_on >= '{month.first}'",
    }
    months, priced = ", ".join(OF_MONTHS), ", ".join(OF_CALCULATIONS)
    values = ", ".join(f"{name} = excluded.{name}" for name in OF_MONTHS[2:])
    with hand.transaction(), hand.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE given (code text, day date, volume numeric) ON COMMIT DROP"
        )
        with cursor.copy("COPY given FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
            copy.write(path.read_bytes())
        cursor.execute(
            "CREATE TEMP TABLE whose ON COMMIT DROP AS SELECT id AS customer_id FROM customers WHERE code IN "
            "(SELECT code FROM given) ORDER BY id FOR NO KEY UPDATE"
        )
        cursor.execute(
            "INSERT INTO readings (customer_id, read_on, metered_volume) SELECT id, day, volume FROM given "
            "JOIN customers USING (code) ON CONFLICT (customer_id, read_on) DO UPDATE SET metered_volume = "
            "excluded.metered_volume"
        )
        rows = CALCULATIONS.format(unit=money.minor_unit())
        cursor.execute(
            f"INSERT INTO transaction_calculations ({priced}) SELECT {priced} FROM ({rows} JOIN whose "
            f"ON whose.customer_id = r.customer_id WHERE r.read_on >= '{day or month.first}') e".encode()
        )
        cursor.execute(
            f"INSERT INTO monthly_customer_balances ({months}) SELECT {months} FROM ({MONTHS_OF.format(**where)}) e "
            f"ON CONFLICT (customer_id, year_month) DO UPDATE SET {values}".encode()
        )
