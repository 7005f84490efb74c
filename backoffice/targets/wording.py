"""Recorded values of targets as people read them, and what happened to one month's target."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import cast, select
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from ..audit.models import AuditEvent
from ..audit.tables import Recorded
from ..base import N_, differences
from ..base.periods import Month
from ..orders.wording import Wording
from ..web.formats import money_filter, quantity_filter
from .models import AccountManagerTarget

SHOWN = 100
"""Changes of one month's target that its page shows; the audit trail has them all."""


RECORDED = (
    Recorded(
        N_("Target"), AccountManagerTarget, part_of=AccountManagerTarget.account_manager_id,
        labels={"month": N_("Month"), "target": N_("Target")},
    ),
)  # fmt: skip


class TargetWording(Wording):
    """As an order's wording, with the columns of a target."""

    def value(self, column: str, value: Any) -> str:
        """A recorded value of `column`; a dash where there is none."""
        if value is None or column not in ("target", "achieved", "orders_closed"):
            return super().value(column, value)
        number = Decimal(str(value))
        return quantity_filter(number) if column == "orders_closed" else money_filter(number)


@dataclass(frozen=True)
class Change:
    """Somebody set a month's target: who, when, from what to what; None for no target."""

    at: datetime
    actor: str
    before: Decimal | None
    after: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """By how much; None where there was, or is, no target."""
        is_one = self.before is None or self.after is None
        return None if is_one else differences.difference(self.before, self.after)


def changes_of(session: Session, manager_id: int, month: Month) -> Sequence[Change]:
    """Every change of a month's target, newest first.

    A row that nobody has set a target for is derived, and its coming and going in no trail.
    """
    row = AccountManagerTarget
    present = select(cast(row.id, Text)).where(
        row.account_manager_id == manager_id, row.month == month.first
    )
    once = select(AuditEvent.row_id).where(
        AuditEvent.table_name == row.__tablename__,
        AuditEvent.action == "INSERT",
        AuditEvent.after["account_manager_id"].astext == str(manager_id),
        AuditEvent.after["month"].astext == month.first.isoformat(),
    )
    events = session.scalars(
        select(AuditEvent)
        .where(
            AuditEvent.table_name == row.__tablename__, AuditEvent.row_id.in_(present.union(once))
        )
        .order_by(AuditEvent.id.desc())
    )
    return list(_changes(events))[:SHOWN]


def _changes(events: Any) -> Iterator[Change]:
    for event in events:
        before, after = _target(event.before), _target(event.after)
        if before != after:
            yield Change(event.at, event.actor, before, after)


def _target(document: dict[str, Any] | None) -> Decimal | None:
    text = (document or {}).get("target")
    return None if text is None else Decimal(str(text))
