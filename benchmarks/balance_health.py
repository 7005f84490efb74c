"""(x) The health of a balance sheet over five million lines: with every line read, and from stored sums alone."""

from datetime import date
from functools import partial

from flask import Flask

from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN, APP
from backoffice.database.snapshots import snapshot
from backoffice.ledger.health import examining

from .ledger_book import load
from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

BAR = 1.3
STORED_MS = 100
LINES = 5_000_000
ROUNDS = 5

BY_HAND = (
    (
        "SELECT e.id FROM journal_entries e LEFT JOIN (SELECT entry_id, sum(debit - credit) AS net, "
        "min(coalesce(posted_on, '-infinity')) AS first, max(coalesce(posted_on, 'infinity')) AS last, "
        "count(posted_on) AS counting FROM journal_lines GROUP BY entry_id) l ON l.entry_id = e.id "
        "WHERE (e.status = 'posted' AND (l.net IS DISTINCT FROM 0 OR l.first <> e.entry_date "
        "OR l.last <> e.entry_date)) OR (e.status <> 'posted' AND l.counting > 0)"
    ),
    (
        "SELECT a.id FROM accounts a LEFT JOIN (SELECT account_id, sum(debit) AS d, sum(credit) AS c "
        "FROM journal_lines WHERE posted_on IS NOT NULL GROUP BY account_id) l ON l.account_id = a.id "
        "WHERE (a.debits, a.credits) IS DISTINCT FROM (coalesce(l.d, 0), coalesce(l.c, 0))"
    ),
    (
        "SELECT a.role, sum(l.debit - l.credit) FROM journal_lines l JOIN journal_entries e ON e.id = l.entry_id "
        "JOIN accounts a ON a.id = l.account_id WHERE a.role IN ('receivables', 'orders', 'gas_deposits', 'wallets') "
        "AND e.status = 'posted' AND e.document IS NOT NULL GROUP BY a.role"
    ),
    "SELECT type, role, sum(balance), sum(debits), sum(credits) FROM accounts GROUP BY type, role",
)


def measure(world: World, scale: float) -> Report:
    """The app's check and the four hand-written statements, each in its own snapshot; then from stored sums alone."""
    world.empty()
    with world.connect(ADMIN) as connection:
        load(connection, max(4_000, int(LINES * scale)), date(2026, 12, 26), 360)
    world.settle()
    sides = {"ours": partial(_ours, world.app), "by hand": partial(_by_hand, world)}
    seconds = in_turn(sides, ROUNDS)
    stored = in_turn({"stored": partial(_stored, world.app)}, 20)["stored"]
    reported = {name: summary(runs) for name, runs in {**seconds, "stored": stored}.items()}
    return Report(
        [
            Measured("x", "check every line, beside SQL by hand", ratio(seconds["ours"], seconds["by hand"]), "×", BAR),
            Measured("x", "from what is stored alone", reported["stored"]["median_ms"], "ms", STORED_MS),
            Measured("x", "check every line", reported["ours"]["median_ms"], "ms"),
        ],
        dict(reported),
    )  # fmt: skip


def _ours(app: Flask) -> float:
    with app.app_context():
        found: list[examining.BalanceHealth] = []
        seconds = timed(lambda: found.append(examining.examine(db.engine)))
        assert found[0].is_valid
    return seconds


def _by_hand(world: World) -> float:
    with world.connect(APP) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return timed(*(partial(_asked, connection, statement) for statement in BY_HAND))


def _asked(connection: object, statement: str) -> None:
    connection.execute(statement).fetchall()  # type: ignore[attr-defined]


def _stored(app: Flask) -> float:
    with app.app_context():

        def ask() -> None:
            with snapshot(db.engine) as connection:
                examining.stored_health(connection)

        return timed(ask)
