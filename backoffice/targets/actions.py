"""Verbs that enter and propose targets. Nothing here commits: every verb works in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_, money
from ..base.periods import Month
from ..base.refusals import Refusal, Stale
from ..orders.queries import may_have_orders
from ..people.models import User
from ..records import actions as records
from .figures import achieved
from .models import AccountManagerTarget


@dataclass(frozen=True)
class Entry:
    """A month's target when the form was opened, and as entered; None for no target."""

    before: Decimal | None
    target: Decimal | None


class TargetsChanged(Stale):
    """A user changed the same targets after they were opened. `theirs` holds what is stored now."""

    sentence = N_(
        "Another user has changed the same targets since you opened them. "
        "Look at what they entered, then save again."
    )

    def __init__(self, theirs: Mapping[Month, AccountManagerTarget | None]) -> None:
        super().__init__()
        self.theirs = theirs


class TargetThere(Refusal):
    """The month has a target already."""

    sentence = N_("There is already a target for that month. Change that one.")
    field = "month"


def create(session: Session, values: Mapping[str, Any]) -> AccountManagerTarget:
    """Set the target of a month that has none. Raises TargetThere."""
    manager_id, month, target = (values[name] for name in ("account_manager", "month", "target"))
    figures.hold(session, achieved, [manager_id])
    row = stored_targets(session, manager_id, [Month.of(month)]).get(Month.of(month))
    if row is None:
        row = AccountManagerTarget(account_manager_id=manager_id, month=month)
        session.add(row)
    elif row.target is not None:
        raise TargetThere()
    row.target = target
    if row.id is not None:
        records.bump_version(session, row)
    session.flush()
    return row


def change(
    session: Session, row_id: int, values: Mapping[str, Any], version: int
) -> AccountManagerTarget:
    """Change or remove the target of a month, if it is still at `version`. Raises RecordGone, RecordChanged.

    A month without a target and without orders has no row; the deleted row is returned as it was.
    """
    row = session.get(AccountManagerTarget, row_id)
    if row is None:
        raise records.RecordGone()
    figures.hold(session, achieved, [row.account_manager_id])
    records.locked(session, AccountManagerTarget, [row_id])
    records.check_version(row, version, row.code)
    if values["target"] is None and not row.orders_closed:
        month = Month.of(row.month)
        session.expunge(row)
        _store(session, {(row.account_manager_id, month): None})
        row.target, row.version = None, version + 1
        return row
    row.target = values["target"]
    records.bump_version(session, row)
    session.flush()
    return row


def enter(session: Session, manager_id: int, entries: Mapping[Month, Entry]) -> int:
    """Store the targets that were changed, and return how many there are.

    A month that the user has not edited keeps its stored value, even if that has changed meanwhile.
    Raises TargetsChanged, and stores nothing, where another user gave the same month a different value.
    """
    figures.hold(session, achieved, [manager_id])
    rows = stored_targets(session, manager_id, list(entries))
    stored = {month: rows[month].target if month in rows else None for month in entries}
    changed = {m: e.target for m, e in entries.items() if e.target != e.before}
    theirs = [m for m, mine in changed.items() if stored[m] not in (entries[m].before, mine)]
    if theirs:
        raise TargetsChanged({month: rows.get(month) for month in theirs})
    wanted = {month: target for month, target in changed.items() if target != stored[month]}
    _store(session, {(manager_id, month): target for month, target in wanted.items()})
    return len(wanted)


def stored_targets(
    session: Session, manager_id: int, months: Sequence[Month]
) -> dict[Month, AccountManagerTarget]:
    """The stored rows of a manager in these months."""
    found = session.scalars(
        select(AccountManagerTarget).where(
            AccountManagerTarget.account_manager_id == manager_id,
            AccountManagerTarget.month.in_([month.first for month in months]),
        )
    )
    return {Month.of(row.month): row for row in found}


# Proposals


@dataclass(frozen=True)
class Proposal:
    """A target that `generate` sets or would set; `before` is what is stored, None for no target."""

    manager: User
    month: Month
    before: Decimal | None
    target: Decimal

    @property
    def is_new(self) -> bool:
        """Whether the month has had no target."""
        return self.before is None

    @property
    def difference(self) -> Decimal:
        """By how much the proposal changes the target; no target counts as 0."""
        return self.target - (self.before or 0)


@dataclass(frozen=True)
class Proposals:
    """The result of `propose`: targets to set, and how many months are unchanged, are kept, or have no basis."""

    proposed: Sequence[Proposal]
    right: int
    kept: int
    without_basis: int


def propose(
    session: Session,
    months: Sequence[Month],
    *,
    growth: Decimal = Decimal(0),
    otherwise: Decimal | None = None,
    update: bool = False,
    achieved: Mapping[tuple[int, Month], Decimal] | None = None,
) -> Proposals:
    """Propose the targets of every active account manager for these months. Writes nothing.

    The proposal is what the manager achieved in the same month of the year before, plus `growth`
    percent, rounded to the currency's smallest unit; `otherwise` where nothing was achieved.
    Without `update` only months without a target get one; with it existing targets are replaced. `achieved`
    holds the corrected achieved amounts of the months in which the stored amount is wrong.
    """
    will_be = achieved or {}
    people = session.scalars(select(User).where(may_have_orders).order_by(User.id)).all()
    proposed: list[Proposal] = []
    right = kept = without_basis = 0
    for manager in people:
        years = [month for each in months for month in (each - 12, each)]
        rows = stored_targets(session, manager.id, years)
        for month in months:
            stored = rows[month - 12].achieved if month - 12 in rows else Decimal(0)
            basis = will_be.get((manager.id, month - 12), stored)
            before = rows[month].target if month in rows else None
            target = raised(basis, growth) if basis > 0 else otherwise
            if target is None:
                without_basis += before is None
                kept += before is not None
            elif target == before:
                right += 1
            elif before is not None and not update:
                kept += 1
            else:
                proposed.append(Proposal(manager, month, before, target))
    return Proposals(proposed, right, kept, without_basis)


def generate(session: Session, months: Sequence[Month], **how: Any) -> Proposals:
    """Store what `propose` proposes; the managers are locked before anything is read."""
    figures.hold(session, achieved, session.scalars(select(User.id).where(may_have_orders)))
    found = propose(session, months, **how)
    _store(session, {(p.manager.id, p.month): p.target for p in found.proposed})
    return found


def raised(amount: Decimal, percent: Decimal) -> Decimal:
    """`amount` plus `percent`, rounded to the currency's smallest unit and capped at what the column can hold."""
    return min(money.round_amount(amount * (100 + percent) / 100), money.max_amount())


def _store(session: Session, targets: Mapping[tuple[int, Month], Decimal | None]) -> None:
    """Write the targets of managers' months. A month without target and orders has no row at all."""
    given = [
        {"account_manager_id": manager_id, "month": month.first, "target": target}
        for (manager_id, month), target in targets.items()
        if target is not None
    ]
    table = AccountManagerTarget
    counted = {"version": table.version + 1, "updated_at": func.now()}
    if given:
        statement = insert(table)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[table.account_manager_id, table.month],
                set_={"target": statement.excluded.target, **counted},
            ),
            given,
        )
    emptied = [key for key, target in targets.items() if target is None]
    for manager_id, month in emptied:
        session.execute(
            update(table)
            .where(table.account_manager_id == manager_id, table.month == month.first)
            .values(target=None, **counted)
        )
    session.expire_all()
