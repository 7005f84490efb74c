"""Whether the balance sheet is valid: from stored totals alone, or by examining every line.

Screens, commands, the API and metrics all ask here. Every open finding of the ledger's accounts, entries and checks,
stored with the findings of all figures, makes it invalid.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from ...app.domain import declared
from ...base import N_, table_of
from ...base.refusals import Refusal
from ...book.models import Book
from ...database.snapshots import snapshot
from ...drift import figure_status
from ...drift.facts.findings import name_of as facts_of
from ...drift.findings import CHECKS as FIGURE_CHECKS
from ...drift.findings import check as record_check
from ...drift.recording import FINDINGS
from ...drift.verification import checks
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
    """The stored balances of the accounts of a type."""
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
"""The accounting equation over stored balances; computed on every request, never recorded as a finding."""

log = structlog.get_logger("backoffice.ledger")

TABLES = tuple(map(table_of, (Account, JournalEntry, JournalLine, Period, Book)))

LOCK = 2_077_003
"""Key of the advisory lock that lets one examination of every line run at a time."""

PATIENCE = 20_000
"""Milliseconds that a request waits for its turn: less than a web request's statements may take."""

_TIMED_OUT = ("55P03", "57014")
"""The states of a statement that waited too long: for a lock, or as a whole."""

EVERY_ACCOUNT: Mapping[str, Any] = {"low": 0, "high": LAST}

MOST_PROBLEMS = 200

_KIND_OF = {entries_balanced: "entry", months_in_order: "period"}


class Busy(Refusal):
    """Other requests have been examining every line for as long as this one could wait."""

    status = 503
    sentence = N_("The balance sheet is being checked at the moment. Ask again in a few seconds.")


class Problem(NamedTuple):
    """An open problem of the balance sheet: the row of its finding, its kind, and the title of what it is about.

    `kind`: `account` (stored differs from its lines), `entry` (invalid entries), `equation` (both sides of the balance
    sheet), `control` (a control account differs from its sub-ledger), `period` (closed months out of order), `tampered`
    (a row differs from the audit trail).
    """

    finding: Row[Any]
    kind: str
    name: str

    @property
    def account(self) -> int | None:
        """The account of a problem of kind `account`."""
        return self.finding.owner if self.kind == "account" else None


@dataclass(frozen=True)
class BalanceHealth:
    """The stored totals of the balance sheet, in the deployment's currency, and its open problems.

    `earnings` are the current ones: revenue − expenses. `entries` were found by examining every line.
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
    """How many problems an examination found without recording them: recording failed, or was not wanted."""

    @property
    def is_valid(self) -> bool:
        """Whether assets equal liabilities and equity, and no problem is open."""
        return self.holds and not self.problems and not self.entries and not self.seen

    @property
    def total_equity(self) -> Decimal:
        """Equity with current earnings."""
        return self.equity + self.earnings


def ledger_checks() -> list[Check]:
    """Every check that reads the ledger, of whichever domain."""
    return [one for one in declared().checks.values() if one.tables.intersection(TABLES)]


def is_control(one: Check) -> bool:
    """Whether it compares an account with documents of other domains."""
    return not one.tables.issubset(TABLES)


def bundles() -> Sequence[Bundle]:
    """The bundles of the account figures, in the order of computation."""
    return registry.bundles_of(LEDGER_FIGURES)


def problem_kinds() -> Mapping[str, str]:
    """Name under which findings of the ledger are stored → kind of the problem."""
    found = {figure.name: "account" for figure in LEDGER_FIGURES}
    for one in ledger_checks():
        kind = "control" if is_control(one) else "equation"
        found[checks.name_of(one)] = _KIND_OF.get(one, kind)
    for table in TABLES:
        found[facts_of(table.name)] = "tampered"
    return found


def stored_health(connection: Connection) -> BalanceHealth:
    """The balance health from stored totals and findings; its cost does not grow with the number of lines."""
    both = balance_sheet.compare(connection)
    assets, liabilities, equity, revenue, expenses = both.whole.sums
    return BalanceHealth(
        assets, liabilities, equity, revenue - expenses, both.whole.difference, both.holds, datetime.now(UTC),
        list(_open_problems(connection)),
    )  # fmt: skip


def _open_problems(connection: Connection) -> Iterator[Problem]:
    kind, f = problem_kinds(), FINDINGS.c
    is_open = select(FINDINGS).where(f.figure.in_(list(kind)), f.healed_at.is_(None))
    rows = connection.execute(is_open.order_by(f.first_seen_at, f.id).limit(MOST_PROBLEMS)).all()
    names = called(connection, ((row.figure, row.owner, row.key) for row in rows))
    titles = {checks.name_of(one): one.title for one in ledger_checks()}
    for row, known_as in zip(rows, names, strict=True):
        name = titles.get(row.figure) or known_as or f"#{row.owner}"
        yield Problem(row, kind[row.figure], name)


class Turn(NamedTuple):
    """The right to examine every line: a transaction that holds it, and when the request asked for it."""

    connection: Connection
    asked_at: datetime


@contextmanager
def turn(engine: Engine, patience: int = PATIENCE) -> Iterator[Turn]:
    """Wait until no other request examines every line. Raises Busy after `patience` milliseconds."""
    with engine.begin() as connection:
        waits = func.set_config("lock_timeout", str(patience), True)
        asked_at = connection.scalars(
            select(func.clock_timestamp()).where(waits.is_not(None))
        ).one()
        try:
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _TIMED_OUT:
                raise
            raise Busy() from error
        yield Turn(connection, asked_at)


def compare_accounts(connection: Connection) -> Mapping[Bundle, Seen]:
    """The differences between the accounts and their lines."""
    seen: dict[Bundle, Seen] = {}
    for bundle in bundles():
        compared = {
            one: {found.owner for found in (*known.found, *known.orphans)}
            for one, known in seen.items()
        }
        seen[bundle] = seen_in(connection, bundle, EVERY_ACCOUNT, compared)
    return seen


def count_of(seen: Mapping[Bundle, Seen], compared: Sequence[Compared]) -> int:
    """How many problems the comparison found, whether or not they are recorded."""
    accounts = sum(len(one.found) + len(one.orphans) for one in seen.values())
    return accounts + sum(not one.holds for one in compared)


def examine(engine: Engine, patience: int = PATIENCE) -> BalanceHealth:
    """Examine every line and every check in one snapshot, and record what is found.

    A request that had to wait takes what was recorded, where that examination began after it asked. Corrects nothing.
    Raises Busy, AnotherDefinition.
    """
    with turn(engine, patience) as mine:
        found = _recorded_since(mine) or _examined(engine)
    figure_status.forget()
    return found


def _recorded_since(mine: Turn) -> BalanceHealth | None:
    """The health as another request recorded it meanwhile; None where none that began since then is recorded."""
    names = _verified_together()
    mark = FIGURE_CHECKS.c
    known = select(func.count(), func.min(mark.verified_at)).where(mark.figure.in_(names))
    count, began = mine.connection.execute(known).one()
    if count < len(names) or began < mine.asked_at:
        return None
    found = stored_health(mine.connection)
    is_entry = any(problem.kind == "entry" for problem in found.problems)
    return replace(found, entries=wrong_entries(mine.connection) if is_entry else ())


def _verified_together() -> list[str]:
    """The names of all that an examination marks as verified; of entries alone their number may suffice."""
    read = (checks.name_of(one) for one in ledger_checks() if one is not entries_balanced)
    return [*(figure.name for figure in LEDGER_FIGURES), *read]


def _examined(engine: Engine) -> BalanceHealth:
    with snapshot(engine) as connection:
        began = connection.scalars(select(func.clock_timestamp())).one()
        seen, entries = compare_accounts(connection), wrong_entries(connection)
        is_looked_at = not entries and not checks.is_any_open(connection)
        asked = [c for c in ledger_checks() if c is not entries_balanced or not is_looked_at]
        compared = [one.compare(connection) for one in asked]
        found = stored_health(connection)
        accounts = connection.scalars(select(func.count()).select_from(Account)).one()
    try:
        with (
            engine.begin() as recording
        ):  # begins after the snapshot, as what it closes must be older
            for bundle, one in seen.items():
                settle(recording, bundle, EVERY_ACCOUNT, one, None)
            for both in compared:
                checks.settle(recording, both.check, both)
            verified = {figure.name: accounts for figure in LEDGER_FIGURES}
            verified |= {checks.name_of(both.check): both.parts for both in compared}
            took = func.extract("epoch", func.clock_timestamp() - began) * 1000
            record_check(recording, verified, verified_at=began, milliseconds=took, run_id=None)
            found = stored_health(recording)
    except SQLAlchemyError as error:
        log.warning("what was found of the ledger is not recorded", error=type(error).__name__)
        found = replace(found, seen=count_of(seen, compared))
    return replace(found, entries=entries)
