"""Is the balance sheet valid? Asked of what is stored alone, or of every line; one answer for every door.

Whatever was found and is not right again speaks against it: the findings of accounts, entries and checks of the
ledger, which are kept with those of all figures. So nothing says valid while a problem is open.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from ...app.domain import declared
from ...base import N_, table_of
from ...base.refusals import Refusal
from ...book.models import Book
from ...database.snapshots import snapshot
from ...drift import standing
from ...drift.facts.findings import name_of as facts_of
from ...drift.findings import FINDINGS
from ...drift.verification import checks, impossible
from ...drift.verification.chunks import Seen, seen_in, settle
from ...drift.verification.scope import LAST
from ...figures import Check, amounts, check, registry
from ...figures.computing.registry import Bundle
from ...figures.declaring.checks import Compared, Side
from ...web.record_links import called
from ..figures import LEDGER_FIGURES, entries_balanced, months_in_order
from ..models import Account, JournalEntry, JournalLine, Period
from ..rules import ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE
from .entries import WrongEntry, wrong_entries


def _held_by(title: str, of_type: str) -> Side:
    """What the accounts of a type hold, as it is stored."""
    return amounts(title, select(Account.balance).where(Account.type == of_type))


balance_sheet = check(
    "accounts.equation",
    _held_by(N_("Assets"), ASSET),
    _held_by(N_("Liabilities"), LIABILITY)
    + _held_by(N_("Equity"), EQUITY)
    + _held_by(N_("Revenue"), REVENUE)
    - _held_by(N_("Expenses"), EXPENSE),
    title=N_("Assets are liabilities, equity and current earnings"),
)
"""The equation, by what is stored: it holds at every moment, so it is asked and never recorded."""

log = structlog.get_logger("backoffice.ledger")

TABLES = tuple(map(table_of, (Account, JournalEntry, JournalLine, Period, Book)))

LOCK = 2_077_003
"""The advisory lock of whoever looks at every line: one at a time."""

EVERY_ACCOUNT: Mapping[str, Any] = {"low": 0, "high": LAST}

MOST_PROBLEMS = 200

_KIND_OF = {entries_balanced: "entry", months_in_order: "period"}


class Busy(Refusal):
    """Another request looks at every line."""

    sentence = N_("The balance sheet is being checked at the moment. Ask again in a few seconds.")


@dataclass(frozen=True)
class Problem:
    """Something that speaks against the balance sheet, since when it is known; amounts as texts.

    `kind`: `account` (stored differs from its lines), `entry` (entries that cannot be right), `equation` (both sides of
    the balance sheet), `control` (an account differs from what it stands for), `period` (closed months out of order),
    `tampered` (a row differs from the audit trail).
    """

    id: int
    kind: str
    subject: str
    name: str
    stored: Mapping[str, Any] | None
    expected: Mapping[str, Any] | None
    difference: Decimal | None
    since: datetime
    account: int | None = None
    """The account of a problem of kind `account`."""


@dataclass(frozen=True)
class BalanceHealth:
    """What is stored of the balance sheet, in the deployment's currency, and what speaks against it.

    `earnings` are the current ones: revenue − expenses. `entries` were found when every line was looked at.
    """

    assets: Decimal
    liabilities: Decimal
    equity: Decimal
    earnings: Decimal
    difference: Decimal
    holds: bool
    at: datetime
    problems: Sequence[Problem] = ()
    entries: Sequence[WrongEntry] = ()
    seen: int = 0
    """How much an examination has found wrong that no finding tells of: it could not, or should not be written down."""

    @property
    def is_valid(self) -> bool:
        """Whether assets are liabilities and equity, and nothing that was found is open."""
        return self.holds and not self.problems and not self.entries and not self.seen

    @property
    def total_equity(self) -> Decimal:
        """Equity with current earnings."""
        return self.equity + self.earnings


def ledger_checks() -> list[Check]:
    """Every check that reads the ledger, whoever has declared it."""
    return [one for one in declared().checks.values() if one.tables.intersection(TABLES)]


def is_control(one: Check) -> bool:
    """Whether it compares an account with what other documents come to."""
    return not one.tables.issubset(TABLES)


def bundles() -> Sequence[Bundle]:
    """What accounts hold, in the order in which it is computed."""
    return registry.bundles_of(LEDGER_FIGURES)


def kinds() -> Mapping[str, str]:
    """What findings of the ledger are filed under → the kind of the problem."""
    found = {figure.name: "account" for figure in LEDGER_FIGURES}
    for one in ledger_checks():
        kind = "control" if is_control(one) else "equation"
        found[checks.name_of(one)] = _KIND_OF.get(one, kind)
    for table in TABLES:
        found |= {facts_of(table.name): "tampered", impossible.name_of(table.name): "tampered"}
    return found


def known(connection: Connection) -> BalanceHealth:
    """From what is stored alone: however many lines there are, it takes no longer."""
    both = balance_sheet.compare(connection)
    assets, liabilities, equity, revenue, expenses = both.whole.sums
    return BalanceHealth(
        assets, liabilities, equity, revenue - expenses, both.whole.difference, both.holds, datetime.now(UTC),
        list(_open_problems(connection)),
    )  # fmt: skip


def _open_problems(connection: Connection) -> Iterator[Problem]:
    kind, f = kinds(), FINDINGS.c
    mine = select(FINDINGS).where(f.figure.in_(list(kind)), f.healed_at.is_(None))
    rows = connection.execute(mine.order_by(f.first_seen_at, f.id).limit(MOST_PROBLEMS)).all()
    names = called(connection, ((row.figure, row.owner, row.key) for row in rows))
    titles = {checks.name_of(one): one.title for one in ledger_checks()}
    for row, known_as in zip(rows, names, strict=True):
        name = titles.get(row.figure) or known_as or f"#{row.owner}"
        yield Problem(
            row.id, kind[row.figure], row.figure, name, row.stored, row.expected, row.amount, row.first_seen_at,
            row.owner if kind[row.figure] == "account" else None,
        )  # fmt: skip


@contextmanager
def whole_ledger(engine: Engine) -> Iterator[Connection]:
    """One read-only snapshot for whoever looks at every line. Raises Busy while another one does."""
    with snapshot(engine) as connection:
        if not connection.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
            raise Busy()
        yield connection


def look(connection: Connection) -> Mapping[Bundle, Seen]:
    """What is wrong of the accounts, compared with their lines."""
    seen: dict[Bundle, Seen] = {}
    for bundle in bundles():
        compared = {
            one: {found.owner for found in (*known.found, *known.orphans)}
            for one, known in seen.items()
        }
        seen[bundle] = seen_in(connection, bundle, EVERY_ACCOUNT, compared)
    return seen


def count_of(seen: Mapping[Bundle, Seen], compared: Sequence[Compared]) -> int:
    """How much is wrong of what was compared, whether or not a finding tells of it."""
    accounts = sum(len(one.found) + len(one.orphans) for one in seen.values())
    return accounts + sum(not one.holds for one in compared)


def examine(engine: Engine) -> BalanceHealth:
    """Look at every line, entry by entry, and at every check, in one snapshot; what is found is recorded.

    Nothing is corrected. Raises Busy, AnotherDefinition.
    """
    with whole_ledger(engine) as connection:
        seen, entries = look(connection), wrong_entries(connection)
        is_looked_at = not entries and not checks.is_any_open(connection)
        asked = [c for c in ledger_checks() if c is not entries_balanced or not is_looked_at]
        compared = [one.compare(connection) for one in asked]
        found = known(connection)
    wrong = count_of(seen, compared)
    try:
        with engine.begin() as connection:
            for bundle, one in seen.items():
                settle(connection, bundle, EVERY_ACCOUNT, one, None)
            for both in compared:
                checks.settle(connection, both.check, both)
            found = known(connection)
    except SQLAlchemyError as error:
        log.warning("what was found of the ledger is not recorded", error=type(error).__name__)
        found = replace(found, seen=wrong)
    standing.forget()
    return replace(found, entries=entries)
