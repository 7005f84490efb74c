"""The records that a customer owns, of any domain; the customers domain knows none of these domains.

A domain declares its records once. Deleting a customer checks for them, and a merge moves them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    SQLColumnExpression,
    any_,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import InstrumentedAttribute, Session

from ..app.domain import declared
from ..base.refusals import refused_if_locked
from ..book.queries import locked_until

FEW = 3
"""How many of the records that prevent a merge are named."""


@dataclass(frozen=True)
class Held:
    """The number of a customer's rows, and their amount."""

    count: int = 0
    amount: Decimal = Decimal(0)

    def __add__(self, other: "Held") -> "Held":
        """The sum of both."""
        return Held(self.count + other.count, self.amount + other.amount)


@dataclass(frozen=True)
class OwnedRecord:
    """A kind of record that customers own: its owner, its name and day on screen, and its amount.

    `model` has an `id`, a `version` and an `updated_at`. `label`, `day` and `amount` are its columns,
    or expressions of them. `counted` renders a number of them. `endpoint` is the list that takes a customer's
    code as its argument `customer`. A customer has at most one row per value of `one_per` (a day); `both_have` is the
    sentence about the `%(days)s` that prevent a merge. `is_lockable`: rows dated on a locked day cannot be moved.
    Rows with the same `once_per` are parts of one record on screen, and are counted and listed as one.
    """

    name: str
    title: str
    counted: tuple[str, str]
    model: Any
    customer: InstrumentedAttribute[int]
    label: SQLColumnExpression[Any]
    day: SQLColumnExpression[Any]
    amount: SQLColumnExpression[Any]
    endpoint: str
    one_per: SQLColumnExpression[Any] | None = None
    both_have: str = ""
    once_per: SQLColumnExpression[Any] | None = None
    is_lockable: bool = False

    def locked_day(self, session: Session, those: ColumnElement[bool]) -> date | None:
        """The last locked day, if any of these rows is dated on a locked day; None if all may be moved."""
        until = locked_until(session) if self.is_lockable else None
        if until is None:
            return None
        some = select(self.model.id).where(those, self.day <= until).exists()
        return until if session.scalar(select(some)) else None

    def of_both(self, session: Session, one: int, other: int) -> Sequence[Any]:
        """The first few values of `one_per` for which both customers have a row, in order."""
        if self.one_per is None:
            return ()
        theirs = select(self.one_per).where(self.customer == other)
        both = select(self.one_per).where(self.customer == one, self.one_per.in_(theirs))
        return session.scalars(both.order_by(self.one_per).limit(FEW)).all()

    def held_by(self, session: Session, customer_ids: Sequence[int]) -> Mapping[int, Held]:
        """What each of these customers has, by id; customers without rows are included."""
        rows = session.execute(
            select(self.customer, self._number(), func.sum(self.amount))
            .where(self.customer.in_(customer_ids))
            .group_by(self.customer)
        )
        found = {key: Held(count, amount) for key, count, amount in rows}
        return {key: found.get(key, Held()) for key in customer_ids}

    def shared_by(self, session: Session, one: int, other: int) -> int:
        """The number of records of which both customers have parts."""
        if self.once_per is None:
            return 0
        theirs = select(self.once_per).where(self.customer == other)
        both = select(self._number()).where(self.customer == one, self.once_per.in_(theirs))
        return session.scalar(both) or 0

    def _number(self) -> ColumnElement[int]:
        each = self.model.id if self.once_per is None else self.once_per
        return func.count(each.distinct())

    def state_of(self, session: Session, customer_id: int) -> str:
        """A digest of the customer's rows; it changes as soon as one is added, deleted or changed."""
        row = func.concat_ws(":", self.model.id, self.model.version, self.amount)
        rows = func.string_agg(row, aggregate_order_by(literal(","), self.model.id))
        return str(session.scalar(select(func.md5(rows)).where(self.customer == customer_id)))

    def newest(self, session: Session, customer_id: int, limit: int) -> Sequence[Any]:
        """The customer's newest rows: `label`, `day` and `amount`."""
        label, day, amount, last = self.label, self.day, self.amount, self.model.id
        if self.once_per is not None:
            label, day, last = (func.max(value) for value in (label, day, last))
            amount = func.sum(amount)
        shown: Sequence[Any] = (label.label("label"), day.label("day"), amount.label("amount"))
        rows = select(*shown)
        if self.once_per is not None:
            rows = rows.group_by(self.once_per)
        mine = rows.where(self.customer == customer_id)
        return session.execute(mine.order_by(day.desc(), last.desc()).limit(limit)).all()

    def move(self, session: Session, ids: Sequence[int], to: int) -> None:
        """Move these rows, which the caller has locked, to another customer. Raises Locked."""
        values = {
            self.customer: to,
            self.model.version: self.model.version + 1,
            self.model.updated_at: func.now(),
        }
        moved = update(self.model).where(self.among(ids)).values(values)
        with refused_if_locked():
            session.execute(moved.execution_options(synchronize_session=False))

    def among(self, ids: Sequence[int]) -> ColumnElement[bool]:
        """The condition for these rows."""
        return self.model.id == any_(_array(ids))  # type: ignore[no-any-return]

    def locked(self, session: Session, owner: int) -> list[int]:
        """The ids of the rows of `owner`, locked in id order."""
        rows = select(self.model.id).where(self.customer == owner).order_by(self.model.id)
        return list(session.scalars(rows.with_for_update(key_share=True)))


def _array(ids: Sequence[int]) -> ColumnElement[Any]:
    """The ids as one array parameter."""
    return literal(list(ids), ARRAY(BigInteger))


def owned_records() -> Sequence[OwnedRecord]:
    """Every kind of record that customers own, in the order of the domains."""
    return declared().owned_records
