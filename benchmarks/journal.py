"""(v) Posting a journal entry: entered at once, and from a draft, beside plain inserts.

On the ledger's own tables, under all of its triggers on both sides: constraints, figures, audit trail.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import psycopg
from flask import Flask

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.ledger import actions
from backoffice.ledger.entries import LineEntry
from backoffice.ledger.figures import LEDGER_FIGURES

from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

BAR = 0.5
ROUNDS = 600
ACCOUNTS = 40
ENTRIES = 20_000
"""The number of entries, of two lines, that are posted already."""
DAY = date(2026, 3, 2)

FILL = (
    (
        "INSERT INTO accounts (code, name, type) SELECT 'A-' || n, 'Account ' || n, "
        " CASE n % 2 WHEN 0 THEN 'asset' ELSE 'liability' END FROM generate_series(1, {accounts}) AS n"
    ),
    (
        "INSERT INTO journal_entries (number, entry_date) "
        "SELECT 'JE-2026-' || to_char(n, 'FM00000'), '2026-03-01' FROM generate_series(1, {entries}) AS n"
    ),
    (
        "INSERT INTO journal_lines (entry_id, position, account_id, debit, credit) "
        "SELECT e.id, side, 1 + (e.id * 7 + side * 13) % {accounts}, (1 - side) * 5, side * 5 "
        " FROM journal_entries e, generate_series(0, 1) AS side"
    ),
    "UPDATE journal_entries SET status = 'posted' WHERE id IN (SELECT id FROM journal_entries)",
)


def measure(world: World, scale: float) -> Report:
    """Time entries of two and of eight lines, one transaction each; every side in turn."""
    _prepare(world, max(200, int(ENTRIES * scale)))
    rounds = max(40, int(ROUNDS * scale))
    numbers = count(1)
    with world.connect() as hand, figures.acting_as("user:1"):
        sides: dict[str, Callable[[], float]] = {}
        for size in (2, 8):
            lines = _lines(size)
            sides[f"enter {size}"] = partial(_entered, world.app, lines)
            sides[f"hand {size}"] = partial(timed, partial(_by_hand, hand, numbers, lines))
            sides[f"draft {size}"] = partial(_posted, world.app, lines)
            sides[f"draft by hand {size}"] = partial(_posted_by_hand, hand, numbers, lines)
        seconds = in_turn(sides, rounds, warm_up=20)
    with world.app.app_context():
        assert not list(figures.verify(db.engine, LEDGER_FIGURES)), (
            "figures are wrong after the benchmark"
        )

    def beside(name: str, mine: str, hand_side: str, bar: float | None = None) -> Measured:
        share = ratio(seconds[hand_side], seconds[mine])
        return Measured("v", name, share, "× by hand", bar, at_least=True)

    return Report(
        [
            beside("enter and post 2 lines", "enter 2", "hand 2", BAR),
            beside("enter and post 8 lines", "enter 8", "hand 8", BAR),
            beside("post a draft of 2 lines", "draft 2", "draft by hand 2"),
            beside("post a draft of 8 lines", "draft 8", "draft by hand 8"),
        ],
        {name: summary(runs) for name, runs in seconds.items()},
    )


def _prepare(world: World, entries: int) -> None:
    world.empty()
    with world.connect(ADMIN) as connection:
        for statement in FILL:
            connection.execute(statement.format(accounts=ACCOUNTS, entries=entries).encode())
        connection.execute("TRUNCATE figure_notes")
    world.settle()


def _lines(size: int) -> list[LineEntry]:
    """Alternating debits and credits, each of a different account."""
    one, none = Decimal("1.25"), Decimal(0)
    return [
        LineEntry(1 + n * 5, *((one, none) if n % 2 == 0 else (none, one))) for n in range(size)
    ]


def _entered(app: Flask, lines: list[LineEntry]) -> float:
    with app.app_context():
        seconds = timed(
            partial(actions.enter, db.session(), DAY, lines, memo="Sold"), db.session.commit
        )
        db.session.remove()
    return seconds


def _posted(app: Flask, lines: list[LineEntry]) -> float:
    with app.app_context():
        session = db.session()
        values: dict[str, Any] = {"entry_date": DAY, "memo": "Sold", "source": "", "lines": lines}
        entry = actions.create(session, {**values, "number": actions.number_for(session, values)})
        session.commit()
        key = entry.id
        session.expunge_all()
        session.rollback()
        seconds = timed(partial(actions.post, session, key, 1, {}), session.commit)
        db.session.remove()
    return seconds


def _draft(hand: psycopg.Connection[Any], numbers: Any, lines: list[LineEntry]) -> int:
    row = hand.execute(
        "INSERT INTO journal_entries (number, entry_date, memo) VALUES (%s, %s, 'Sold') RETURNING id",
        [f"H-{next(numbers)}", DAY],
    ).fetchone()
    assert row is not None
    hand.execute(
        "INSERT INTO journal_lines (entry_id, position, account_id, debit, credit) VALUES "
        + ", ".join(["(%s, %s, %s, %s, %s)"] * len(lines)),
        [
            value
            for position, line in enumerate(lines)
            for value in (row[0], position, line.account_id, line.debit, line.credit)
        ],
    )
    return int(row[0])


LOOK = (
    "SELECT sum(l.debit), sum(l.credit), bool_and(a.is_active) "
    "FROM journal_lines l JOIN accounts a ON a.id = l.account_id WHERE l.entry_id = %s"
)
POST = "UPDATE journal_entries SET status = 'posted', version = version + 1, updated_at = now() WHERE id = %s"


def _by_hand(hand: psycopg.Connection[Any], numbers: Any, lines: list[LineEntry]) -> None:
    with hand.transaction():
        hand.execute(POST, [_draft(hand, numbers, lines)])


def _posted_by_hand(hand: psycopg.Connection[Any], numbers: Any, lines: list[LineEntry]) -> float:
    with hand.transaction():
        key = _draft(hand, numbers, lines)

    def post() -> None:
        with hand.transaction():
            hand.execute("SELECT FROM journal_entries WHERE id = %s FOR NO KEY UPDATE", [key])
            hand.execute(LOOK, [key])
            hand.execute(POST, [key])

    return timed(post)
