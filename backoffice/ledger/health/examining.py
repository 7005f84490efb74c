"""Is the balance sheet valid? Asked of what is stored alone, or of every line; one answer for every door.

Whatever was found and is not right again speaks against it: the findings of accounts, entries and checks of the
ledger, which are kept with those of all figures. So nothing says valid while a problem is open.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, func, select, true
from sqlalchemy.exc import SQLAlchemyError

from ...app.domain import declared
from ...base import N_, table_of
from ...base.refusals import Refusal
from ...database.snapshots import snapshot
from ...drift import standing
from ...drift.facts.findings import name_of as facts_of
from ...drift.findings import FINDINGS, close_unseen, noted_owners, record
from ...drift.verification import checks, impossible
from ...drift.verification.chunks import Compared, Seen, orphaned, still_wrong, suspected
from ...drift.verification.scope import LAST
from ...figures import Check, registry
from ...figures.computing.definitions import require
from ...figures.computing.registry import Bundle
from ...figures.verifying.findings import findings
from ..figures import LEDGER_FIGURES, entries_balanced
from ..models import Account, JournalEntry, JournalLine
from .entries import WrongEntry, wrong_entries
from .equation import balance_sheet

log = structlog.get_logger("backoffice.ledger")

TABLES = tuple(map(table_of, (Account, JournalEntry, JournalLine)))

LOCK = 2_077_003
"""The advisory lock of whoever looks at every line: one at a time."""

EVERY_ACCOUNT: Mapping[str, Any] = {"low": 0, "high": LAST}

MOST_PROBLEMS = 200


class Busy(Refusal):
    """Another request looks at every line."""

    sentence = N_("The balance sheet is being checked at the moment. Ask again in a few seconds.")


@dataclass(frozen=True)
class Problem:
    """Something that speaks against the balance sheet, since when it is known; amounts as texts.

    `kind`: `account` (stored differs from its lines), `entry` (entries that cannot be right), `equation` (both sides of
    the balance sheet), `control` (an account differs from what it stands for), `tampered` (a row differs from the audit
    trail).
    """

    id: int
    kind: str
    subject: str
    name: str
    stored: Mapping[str, Any] | None
    expected: Mapping[str, Any] | None
    difference: Decimal | None
    since: datetime


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
    """How much an examination has found wrong, though it could not be written down."""

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
        found[checks.name_of(one)] = "entry" if one is entries_balanced else kind
    for table in TABLES:
        found |= {facts_of(table.name): "tampered", impossible.name_of(table.name): "tampered"}
    return found


def known(connection: Connection) -> BalanceHealth:
    """From what is stored alone: however many lines there are, it takes no longer."""
    both = balance_sheet.compare(connection)
    assets, liabilities, equity, revenue, expenses = both.whole.sums
    at = connection.scalar(select(func.now()))
    assert at is not None
    return BalanceHealth(
        assets, liabilities, equity, revenue - expenses, both.whole.difference, both.holds, at,
        list(_open_problems(connection)),
    )  # fmt: skip


def _open_problems(connection: Connection) -> Iterator[Problem]:
    kind, f = kinds(), FINDINGS.c
    mine = select(FINDINGS).where(f.figure.in_(list(kind)), f.healed_at.is_(None))
    rows = connection.execute(mine.order_by(f.first_seen_at, f.id).limit(MOST_PROBLEMS)).all()
    of_accounts = {row.owner for row in rows if row.figure.partition(":")[2] in ("", "accounts")}
    of_entries = {row.owner for row in rows if row.figure.partition(":")[2].startswith("journal_")}
    codes = _names(connection, Account.id, Account.code, of_accounts)
    numbers = _names(connection, JournalEntry.id, JournalEntry.number, of_entries)
    titles = {checks.name_of(one): one.title for one in ledger_checks()}
    for row in rows:
        known_as = numbers if row.owner in of_entries and "journal_" in row.figure else codes
        name = titles.get(row.figure) or known_as.get(row.owner, f"#{row.owner}")
        yield Problem(
            row.id, kind[row.figure], row.figure, name, row.stored, row.expected, row.amount, row.first_seen_at
        )  # fmt: skip


def _names(connection: Connection, key: Any, name: Any, ids: set[int]) -> dict[int, str]:
    return dict(connection.execute(select(key, name).where(key.in_(ids))).all()) if ids else {}


@contextmanager
def whole_ledger(engine: Engine) -> Iterator[Connection]:
    """One read-only snapshot for whoever looks at every line. Raises Busy while another one does."""
    with snapshot(engine) as connection:
        if not connection.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
            raise Busy()
        require(connection, registry, bundles())
        yield connection


def look(connection: Connection) -> Mapping[Bundle, Seen]:
    """What is wrong of the accounts, compared with their lines."""
    at = connection.scalar(select(func.now()))
    assert at is not None
    compared: Compared = {}
    seen = {}
    for bundle in bundles():
        owners = suspected(connection, bundle, EVERY_ACCOUNT, compared)
        found = findings(connection, registry, bundle, owners) if owners else []
        noted = noted_owners(connection, bundle, owners) if owners else set()
        gone = orphaned(connection, bundle, EVERY_ACCOUNT)
        seen[bundle] = Seen(found, noted, at, gone)
        compared = {**compared, bundle: set(owners)}
    return seen


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
    wrong = sum(len(one.found) + len(one.orphans) for one in seen.values())
    wrong += sum(not one.holds for one in compared)
    try:
        with engine.begin() as connection:
            for bundle, one in seen.items():
                everything = [*one.found, *one.orphans]
                still = still_wrong(connection, bundle, everything)
                record(connection, [f for f in everything if f.owner in still], one.noted, None)
                close_unseen(connection, [bundle], true(), one.at)
            for both in compared:
                checks.settle(connection, both.check, both)
            found = known(connection)
    except SQLAlchemyError as error:
        log.warning("what was found of the ledger is not recorded", error=type(error).__name__)
        found = replace(found, seen=wrong)
    standing.forget()
    return replace(found, entries=entries)
