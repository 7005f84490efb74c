"""Changing many orders at once: the preview, and the change itself, of exactly the orders that were previewed.

An order that was written since the preview is skipped. PostgreSQL itself tracks this: the preview's
*mark* is the oldest transaction that was still running then, and every row holds the id of the
transaction that wrote it. This works for a million orders and for other programs' writes, and needs
no copy of what was shown; while a long transaction is running, more orders are skipped than necessary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from ...base import N_, table_of
from ...base.refusals import Refusal, Stale
from ...customers.models import Customer
from ...lists.queries import matching
from ...lists.state import State
from ...people.models import User
from ..models import Order
from ..queries import may_have_orders

MOST_ORDERS = 50_000
"""The most orders of one change: it bounds how long its user, and users who wait for its locks, have to wait."""

EXAMPLES = 10


class TooManyOrders(Refusal):
    """More orders than one transaction should change."""

    sentence = N_("At most %(most)s orders are changed at once. Narrow the filter.")


class PreviewOutdated(Stale):
    """The filter now matches orders that were not shown."""

    sentence = N_(
        "Other orders fit the filter than when you looked. Look at the new preview, then apply it."
    )


class ManagerGone(Refusal):
    """The user who was to be assigned to the orders is no longer an active account manager."""

    sentence = N_("%(name)s is no active account manager any more. Choose another one.")


@dataclass(frozen=True)
class Change:
    """Another account manager, another closing date, or both. `clears`: the closing date is removed."""

    manager_id: int | None = None
    closing_date: date | None = None
    clears: bool = False

    @property
    def values(self) -> dict[str, Any]:
        """The columns that are written."""
        manager = {} if self.manager_id is None else {"account_manager_id": self.manager_id}
        dated = self.clears or self.closing_date is not None
        return manager | ({"closing_date": self.closing_date} if dated else {})

    @property
    def differs(self) -> ColumnElement[bool]:
        """The condition for orders that the change would alter."""
        columns = table_of(Order).c
        return or_(
            false(), *(columns[name].is_distinct_from(new) for name, new in self.values.items())
        )

    @property
    def is_impossible(self) -> ColumnElement[bool]:
        """The condition for orders that would be closed before they were placed."""
        return false() if self.closing_date is None else Order.order_date > self.closing_date


@dataclass(frozen=True)
class Chosen:
    """The orders that a user chose: by hand, or all that a list shows this user."""

    user: Any
    state: State
    ids: tuple[int, ...] | None = None

    @property
    def rows(self) -> Select[Any]:
        """The chosen orders that the user may see."""
        if self.ids is None:
            return matching(self.user, self.state)
        return self.state.listing.rows(self.user).where(Order.id.in_(self.ids))


@dataclass(frozen=True)
class Mark:
    """What a preview showed: the number of orders, a digest of their stored rows, and the time."""

    count: int
    digest: int
    since: int


@dataclass(frozen=True)
class Share:
    """A subset of the orders: their number, and the sum of their grand totals."""

    count: int
    amount: Decimal


@dataclass(frozen=True)
class Preview:
    """What a change would do: how many orders it alters, and which are refused or need no change."""

    chosen: Share
    changed: Share
    same: Share
    refused: Share
    mark: Mark
    by_manager: Sequence[tuple[str, Share]] = ()
    refused_numbers: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of a change. `moved`: orders that another user has written or deleted since the preview."""

    changed: Share
    moved: int
    moved_numbers: Sequence[str] = ()


def preview(session: Session, chosen: Chosen, change: Change) -> Preview:
    """What `change` would do to the orders. Writes nothing and locks nothing."""
    possible = and_(change.differs, ~change.is_impossible)
    refused = and_(change.differs, change.is_impossible)
    since = func.pg_snapshot_xmin(func.pg_current_snapshot())
    row = session.execute(
        chosen.rows.with_only_columns(
            *_share(None), *_share(possible), *_share(~change.differs), *_share(refused), _digest(),
            cast(cast(since, Text), BigInteger),
        )
    ).one()  # fmt: skip
    all_of_them, changed, same, refused_ones = (Share(*row[n : n + 2]) for n in range(0, 8, 2))
    return Preview(
        all_of_them,
        changed,
        same,
        refused_ones,
        mark=Mark(row[0], row[8], row[9]),
        by_manager=_by_manager(session, chosen, possible),
        refused_numbers=_numbers(session, chosen.rows.where(refused)),
    )


def apply(session: Session, chosen: Chosen, change: Change, seen: Mark) -> Outcome:
    """Change the previewed orders that have not been written since, in one statement.

    Raises:
        ManagerGone: the change may have waited for another user's approval.
        TooManyOrders: more than `MOST_ORDERS`.
        PreviewOutdated: the filter matches orders that were not shown.
    """
    _refuse_manager(session, change)
    _lock(session, chosen)
    untouched, count = _untouched(session, chosen, seen)
    moved = chosen.rows.where(~_is_untouched_since(seen.since))
    moved_numbers = () if chosen.ids is None or count == seen.count else _numbers(session, moved)
    orders = table_of(Order)
    wanted = untouched.where(change.differs, ~change.is_impossible).with_only_columns(Order.id)
    written = (
        update(orders)
        .where(orders.c.id.in_(wanted))
        .values(**change.values, version=orders.c.version + 1, updated_at=func.now())
        .returning(orders.c.grand_total)
        .cte("written")
    )
    total = func.coalesce(func.sum(written.c.grand_total), 0)
    changed = session.execute(select(func.count(), total).select_from(written)).one()
    session.expire_all()
    return Outcome(
        Share(changed[0], changed[1]), moved=seen.count - count, moved_numbers=moved_numbers
    )


def _refuse_manager(session: Session, change: Change) -> None:
    gone = select(User.name).where(User.id == change.manager_id, ~may_have_orders)
    if change.manager_id is not None and (name := session.scalar(gone)) is not None:
        raise ManagerGone(name=name)


def _lock(session: Session, chosen: Chosen) -> None:
    """Lock the orders in id order; their values are read afterwards, in a separate statement."""
    ids = chosen.rows.with_only_columns(Order.id).order_by(Order.id).limit(MOST_ORDERS + 1)
    locked = ids.with_for_update(key_share=True, of=Order).subquery()
    count = session.scalar(select(func.count()).select_from(locked)) or 0
    if count > MOST_ORDERS:
        raise TooManyOrders(most=MOST_ORDERS)


def _untouched(session: Session, chosen: Chosen, seen: Mark) -> tuple[Select[Any], int]:
    """The orders that were shown and have not been written since, and their number. Raises PreviewOutdated.

    If the digest is unchanged, all rows are unchanged, whatever `since` is: a long import or another program that
    was writing at the time of the preview makes `since` older than it.
    """
    shown = seen.count, seen.digest

    def counted(rows: Select[Any]) -> tuple[int, int]:
        count, digest = session.execute(rows.with_only_columns(func.count(), _digest())).one()
        return count, digest

    if counted(chosen.rows) == shown:
        return chosen.rows, seen.count
    untouched = chosen.rows.where(_is_untouched_since(seen.since))
    found = counted(untouched)
    if found != shown and _may_let_in_others(session, chosen, seen):
        raise PreviewOutdated()
    return untouched, found[0]


def _is_untouched_since(mark: int) -> ColumnElement[bool]:
    """Whether the transaction that wrote the row had ended when `mark` was taken.

    `age` counts back from this transaction's own id, so an id must be assigned to it.
    """
    own = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    return func.age(literal_column("orders.xmin")) > own - mark


def _may_let_in_others(session: Session, chosen: Chosen, seen: Mark) -> bool:
    """Whether the filter may match orders that were not shown, although they have not been written.

    Only a customer's new name can cause that: the other filters depend on the order alone.
    """
    if chosen.ids is not None or not {"q", "customer"} & set(chosen.state.values):
        return False
    own = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    is_touched = func.age(literal_column("customers.xmin")) <= own - seen.since
    return bool(session.scalar(select(exists().where(is_touched).select_from(Customer))))


def _share(condition: ColumnElement[bool] | None) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    count, amount = func.count(), func.sum(Order.grand_total)
    if condition is None:
        return count, func.coalesce(amount, 0)
    return count.filter(condition), func.coalesce(amount.filter(condition), 0)


def _digest() -> ColumnElement[int]:
    """A digest that changes as soon as other orders are among them, or one of them is written."""
    written_by = cast(cast(literal_column("orders.xmin"), Text), BigInteger)
    return func.coalesce(func.bit_xor(func.hashint8extended(Order.id, written_by)), 0)


def _by_manager(
    session: Session, chosen: Chosen, condition: ColumnElement[bool]
) -> Sequence[tuple[str, Share]]:
    rows = session.execute(
        chosen.rows.where(condition)
        .with_only_columns(User.name, *_share(None))
        .group_by(User.id, User.name)
        .order_by(User.name, User.id)
    )
    return [(name, Share(count, amount)) for name, count, amount in rows]


def _numbers(session: Session, rows: Select[Any]) -> Sequence[str]:
    return session.scalars(
        rows.with_only_columns(Order.number).order_by(Order.number).limit(EXAMPLES)
    ).all()
