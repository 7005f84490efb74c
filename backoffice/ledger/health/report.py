"""The detailed report: account by account, entry by entry, control account by control account, month by month."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Date,
    Engine,
    any_,
    case,
    cast,
    func,
    literal,
    select,
)

from ...base import table_of
from ...database.snapshots import snapshot
from ...drift.facts.findings import name_of as facts_of
from ...drift.findings import reported_now
from ...drift.recording import FINDINGS
from ...figures import Finding
from ...figures.declaring.checks import Compared
from ..models import Account, JournalEntry, JournalLine, Period
from ..posting.tie_out import tie_out
from ..rules import OPEN, POSTED
from . import examining
from .entries import quarantined, wrong_entries
from .examining import (
    compare_accounts,
    count_of,
    ledger_checks,
    stored_health,
    turn,
)
from .wording import as_data, quarantine

RIGHT, DRIFTED, QUARANTINED = "right", "drifted", "quarantined"


def detailed(engine: Engine) -> dict[str, Any]:
    """The whole report, from one snapshot; writes nothing. Raises Busy."""
    with turn(engine), snapshot(engine) as connection:
        found: dict[int, list[Finding]] = {}
        seen = compare_accounts(connection)
        for of_accounts in seen.values():
            for one in (*of_accounts.found, *of_accounts.orphans):
                found.setdefault(one.owner, []).append(one)
        entries = wrong_entries(connection)
        held = quarantined(connection, found) if entries else set()
        diverging = first_diverging(connection, found)
        compared = [one.compare(connection) for one in ledger_checks()]
        wrong = count_of(seen, compared)
        health = replace(stored_health(connection), entries=entries, seen=wrong)
        return {
            "balance_status": health.is_valid,
            "data": as_data(health),
            "accounts": list(_accounts(connection, found, held, diverging)),
            "entries": {"posted": _posted(connection), "wrong": quarantine(entries)},
            "checks": [_check(connection, one) for one in compared],
            "control_accounts": [one.as_dict() for one in tie_out(connection)],
            "months": months(connection),
        }


def _accounts(
    connection: Connection,
    found: Mapping[int, list[Finding]],
    held: Collection[int],
    diverging: Mapping[int, str],
) -> Iterator[dict[str, Any]]:
    a = Account
    stored = select(a.id, a.code, a.name, a.type, a.debits, a.credits, a.balance).order_by(a.code)
    for row in connection.execute(stored):
        drifted = [reported_now(one) for one in found.get(row.id, ())]
        yield {
            "code": row.code, "name": row.name, "type": row.type, "debits": str(row.debits),
            "credits": str(row.credits), "balance": str(row.balance),
            "status": QUARANTINED if row.id in held else DRIFTED if drifted else RIGHT,
            "drift": [
                {name: one[name] for name in ("figure", "stored", "expected", "difference")}
                for one in drifted
            ],
            "first_diverging_entry": diverging.get(row.id),
        }  # fmt: skip


def _posted(connection: Connection) -> int:
    counted = select(func.count()).select_from(JournalEntry).where(JournalEntry.status == POSTED)
    return connection.scalar(counted) or 0


def _check(connection: Connection, seen: Compared) -> dict[str, Any]:
    """A check with both sides, and the parts that differ."""
    one = seen.check
    return {
        **seen.as_dict(), "title": _(one.title),
        "is_control": examining.is_control(one),
        "differing_parts": [] if seen.holds else [p.as_dict() for p in one.differing(connection)],
    }  # fmt: skip


def first_diverging(connection: Connection, accounts: Collection[int]) -> dict[int, str]:
    """For each drifted account, the number of the entry at which its stored balance and its lines first diverge.

    That is the first entry with a line that differs from the audit trail; else the one after the last entry at which
    the lines sum to what is stored, or the first entry where nothing is stored. An account without one is left out.
    """
    if not accounts:
        return {}
    line, entry, f = JournalLine, JournalEntry, FINDINGS.c
    order = (func.extract("year", entry.entry_date), entry.posting_number, line.id)
    of_account: dict[str, Any] = {"partition_by": line.account_id, "order_by": order}
    forged = select(f.key["id"].as_integer()).where(
        f.figure == facts_of(table_of(line).name), f.healed_at.is_(None)
    )
    lines = (
        select(
            line.account_id, entry.number, func.row_number().over(**of_account).label("place"),
            func.sum(line.debit).over(**of_account).label("debits"),
            func.sum(line.credit).over(**of_account).label("credits"),
            line.id.in_(forged).label("is_forged"),
        )
        .join_from(line, entry)
        .where(
            line.posted_on.is_not(None),
            line.account_id == any_(literal(sorted(accounts), ARRAY(BigInteger))),
        )
        .subquery()
    )  # fmt: skip
    agrees = (lines.c.debits == Account.debits) & (lines.c.credits == Account.credits)
    places = (
        select(
            lines.c.account_id,
            func.coalesce(
                func.min(lines.c.place).filter(lines.c.is_forged),
                func.max(lines.c.place).filter(agrees) + 1,
                case(((Account.debits == 0) & (Account.credits == 0), 1)),
            ).label("place"),
        )
        .join(Account, Account.id == lines.c.account_id)
        .group_by(lines.c.account_id, Account.id)
        .subquery()
    )
    here = (lines.c.account_id == places.c.account_id) & (lines.c.place == places.c.place)
    rows = connection.execute(select(lines.c.account_id, lines.c.number).join(places, here))
    return dict(rows.all())


def months(connection: Connection) -> list[dict[str, Any]]:
    """Months with postings or ever closed: the opening by entry dates beside the previous closing by lines' dates."""
    by_lines = _by_month(JournalLine.posted_on, JournalLine.posted_on.is_not(None))
    by_entries = _by_month(JournalEntry.entry_date, JournalEntry.status == POSTED)
    month = func.coalesce(by_lines.c.month, by_entries.c.month, Period.month).label("month")
    in_order: dict[str, Any] = {"order_by": month}
    before = (None, -1)
    counted, entered = (func.coalesce(one.c.debits, 0) for one in (by_lines, by_entries))
    opening = func.coalesce(func.sum(entered).over(**in_order, rows=before), 0)
    closed = func.coalesce(func.sum(counted).over(**in_order, rows=before), 0)
    closing = func.sum(counted).over(**in_order)
    status = func.coalesce(Period.status, OPEN)
    rows = select(month, status, opening, closed, counted, closing).order_by(month)
    joined = by_lines.join(by_entries, by_lines.c.month == by_entries.c.month, full=True)
    posted_in = func.coalesce(by_lines.c.month, by_entries.c.month)
    joined = joined.join(Period, Period.month == posted_in, full=True)
    return [
        {
            "month": f"{month:%Y-%m}", "status": status, "opening": str(opening), "previous_closing": str(closed),
            "agrees": opening == closed, "posted": str(posted), "closing": str(closing),
        }
        for month, status, opening, closed, posted, closing in connection.execute(rows.select_from(joined))
    ]  # fmt: skip


def _by_month(day: Any, counts: Any) -> Any:
    """`month, debits` of the lines that count, by the month of that day; credits are equal."""
    month = cast(func.date_trunc("month", day), Date).label("month")
    lines = select(month, func.sum(JournalLine.debit).label("debits"))
    return lines.join_from(JournalLine, JournalEntry).where(counts).group_by(month).subquery()
