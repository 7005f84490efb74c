"""Customers that seem to be entered twice: with the same name, or with the same phone number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.orm import Session

from ..base import N_
from ..web.paging import PAGE_SIZE, Page
from .models import Customer

REASONS = {"name": N_("Same name"), "phone": N_("Same phone")}

MOST_ALIKE = 20
"""The most customers of one group that are shown; merging some of them makes room for the others."""


@dataclass(frozen=True)
class Alike:
    """Customers that have a key in common, the oldest first; `reason` is a key of `REASONS`."""

    reason: str
    customers: Sequence[Customer]


def groups_of(session: Session, number: int) -> Page[Alike]:
    """One page of the groups of two or more customers that seem to be the same; the largest first.

    Customers with the same name are not listed again because they have the same phone number as well.
    """
    groups = _groups().subquery("groups")
    total = session.scalar(select(func.count()).select_from(groups)) or 0
    number = max(1, min(number, -(-total // PAGE_SIZE)))
    wanted = (
        select(groups)
        .order_by(groups.c.size.desc(), groups.c.reason, groups.c.key)
        .limit(PAGE_SIZE)
        .offset((number - 1) * PAGE_SIZE)
    )
    rows = session.execute(wanted).all()
    return Page(_members(session, rows), number, PAGE_SIZE, total)


def _groups() -> Select[Any]:
    """Each key that several customers share: `reason`, `key` and `size`."""
    names = _having("name", Customer.name_key)
    without_name = func.count().filter(Customer.name_key.is_(None))  # each has its own name
    phones = _having("phone", Customer.phone_key).having(
        func.count(Customer.name_key.distinct()) + without_name > 1
    )
    both = union_all(names, phones).subquery("alike")
    return select(both.c.reason, both.c.key, both.c.size)


def _having(reason: str, key: Any) -> Select[Any]:
    return (
        select(literal(reason).label("reason"), key.label("key"), func.count().label("size"))
        .where(Customer.merged_into_id.is_(None), key.is_not(None))
        .group_by(key)
        .having(func.count() > 1)
    )


def _members(session: Session, rows: Sequence[Any]) -> list[Alike]:
    """The customers of these groups, read in two statements whatever the number of groups."""
    members: dict[tuple[str, str], list[Customer]] = {(row.reason, row.key): [] for row in rows}
    for reason, column in (("name", Customer.name_key), ("phone", Customer.phone_key)):
        keys = [row.key for row in rows if row.reason == reason]
        for customer in session.scalars(
            select(Customer)
            .where(Customer.merged_into_id.is_(None), column.in_(keys))
            .order_by(Customer.id)
        ):
            key = customer.name_key if reason == "name" else customer.phone_key
            members[reason, key or ""].append(customer)
    return [Alike(reason, found[:MOST_ALIKE]) for (reason, _key), found in members.items()]
