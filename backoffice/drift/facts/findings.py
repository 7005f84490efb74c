"""Facts that differ from the trail, as findings beside those of figures: at most one is open per row.

They are in the same table, under the name `facts:<table>`, so that counts, lists and reports of findings
include them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Column, Connection, func, select, update
from sqlalchemy.orm import Session

from ...audit.facts import Facts, Forgery, facts_by_table
from ...audit.tables import recorded
from ...base.money_columns import is_money
from ..amounts import Amounts, amounts_of
from ..models import FORGED
from ..recording import FINDINGS, upsert_findings
from .models import FactDecision

PREFIX = "facts:"


@dataclass(frozen=True)
class FactsOf:
    """The facts of one table, with the interface that findings need of a figure."""

    name: str
    table: str
    columns: tuple[Column[Any], ...]
    has_net: ClassVar[bool] = True

    @property
    def amounts(self) -> Sequence[str]:
        """The names of the columns that hold money, in the table's order."""
        return [column.key for column in self.columns if is_money(column)]


def name_of(table: str) -> str:
    """The name under which findings of a table's facts are filed."""
    return f"{PREFIX}{table}"


def facts_named(name: str) -> Facts | None:
    """The facts to which findings of that name refer; None for a figure, or for a table that no longer exists."""
    is_one = name.startswith(PREFIX)
    return facts_by_table().get(name.removeprefix(PREFIX)) if is_one else None


def all_facts() -> list[FactsOf]:
    """The facts of every audited table."""
    return [
        FactsOf(name_of(table), table, facts.columns) for table, facts in facts_by_table().items()
    ]


def record(connection: Connection, forged: Sequence[Forgery], run_id: int | None) -> None:
    """Insert new findings, and update those seen before."""
    if not forged:
        return
    rows = [{**as_finding(one), "run_id": run_id} for one in forged]
    rows.sort(key=lambda row: (row["figure"], row["key"]["id"]))
    moved = ("owner", "kind", "stored", "expected", "amount", "gross")
    upsert_findings(connection, rows, moved)


def as_finding(forgery: Forgery) -> dict[str, Any]:
    """The columns of a finding, except its run."""
    name, amounts = name_of(forgery.table), _amounts(forgery)
    return {
        "figure": name,
        "owner": owner_of(forgery),
        "key": {"id": forgery.id},
        "kind": forgery.kind,
        "stored": dict(forgery.row) or None,
        "expected": dict(forgery.trail) or None,
        "amount": amounts and amounts.amount,
        "gross": amounts and amounts.gross,
        "roots": [root_of(forgery)],
        "is_root": True,
        "cause": FORGED,
    }


def root_of(forgery: Forgery) -> dict[str, Any]:
    """The row as the root of the findings that follow from it."""
    return {"figure": name_of(forgery.table), "key": {"id": str(forgery.id)}}


def owner_of(forgery: Forgery) -> int:
    """The record on which the row is shown: itself, or the one that it is a part of."""
    known = recorded(forgery.table)
    owner = None if known is None or known.part_of is None else forgery.whole.get(known.part_of.key)
    return owner if isinstance(owner, int) else forgery.id


def _amounts(forgery: Forgery) -> Amounts | None:
    """The money by which the row differs from the trail; None without money columns, or where it is not a number."""
    facts = facts_by_table()[forgery.table]
    apart = tuple(c for c in facts.columns if c.key in forgery.columns)
    return amounts_of(FactsOf("", forgery.table, apart), forgery.row, forgery.trail)


def decision_on(session: Session, finding_id: int) -> FactDecision | None:
    """The decision about the finding's row; None where there is none."""
    mine = select(FactDecision).where(FactDecision.finding_id == finding_id)
    return session.scalars(mine.order_by(FactDecision.id.desc()).limit(1)).first()


def open_ids(
    connection: Connection, table: str, low: int | None = None, high: int | None = None
) -> set[int]:
    """The rows of that table with an open finding, of ids from `low` to `high`."""
    row_id = FINDINGS.c.key["id"].as_integer()
    found = select(row_id).where(
        FINDINGS.c.figure == name_of(table), FINDINGS.c.healed_at.is_(None)
    )
    ids = set(connection.scalars(found))
    return {i for i in ids if (low is None or i >= low) and (high is None or i <= high)}


def close(
    connection: Connection, table: str, ids: Collection[int], *, healed_by: str = "save"
) -> None:
    """Close the open findings of these rows, which agree with the trail."""
    if not ids:
        return
    mine = FINDINGS.c.key["id"].as_integer().in_(sorted(ids))
    connection.execute(
        update(FINDINGS)
        .where(FINDINGS.c.figure == name_of(table), FINDINGS.c.healed_at.is_(None), mine)
        .values(healed_at=func.now(), healed_by=healed_by)
    )


def settle(
    connection: Connection,
    facts: Facts,
    ids: Iterable[int],
    run_id: int | None = None,
    *,
    healed_by: str = "save",
) -> list[Forgery]:
    """Compare these rows now: record differences, and close the findings of the others; returns the differences."""
    asked = set(ids)
    found = facts.forged(connection, asked)
    record(connection, found, run_id)
    right = asked - {forgery.id for forgery in found}
    close(connection, facts.name, right & open_ids(connection, facts.name), healed_by=healed_by)
    return found


def counted(connection: Connection, tables: Iterable[str]) -> Mapping[str, int]:
    """Table → the number of open findings of its facts; 0 for tables without any."""
    names = {name_of(table): table for table in tables}
    rows = connection.execute(
        select(FINDINGS.c.figure, func.count())
        .where(FINDINGS.c.figure.in_(names), FINDINGS.c.healed_at.is_(None))
        .group_by(FINDINGS.c.figure)
    )
    return {names[figure]: count for figure, count in rows}
