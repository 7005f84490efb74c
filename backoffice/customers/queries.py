"""Reads of customers."""

from collections.abc import Collection

from sqlalchemy import Select, Subquery, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from ..base.matching import SEPARATOR, by_code_or_name, holding
from ..base.spelling import look, looks_like
from .models import Customer

MOST_STEPS = 100
"""The most merges that a code is followed through, so that a cycle, which no merge creates, ends too."""


def by_code(session: Session, code: str) -> Customer | None:
    """The customer with exactly that code."""
    return session.scalars(select(Customer).where(Customer.code == code)).one_or_none()


def narrowed_to(text: str) -> Select[int]:
    """The ids of the customers that a list is filtered by.

    The customer with exactly that code, so that a link shows exactly their rows, and the survivor of its merges; if
    there is none, those whose code looks like it; and if there is none either, those with the text in their name.
    """
    other = aliased(Customer)
    is_alike = looks_like(Customer.code, text)
    has_code = select(other.id).where(other.code == text).exists()
    has_alike = select(other.id).where(looks_like(other.code, text)).exists()
    is_named = holding(text, Customer.name)
    return select(Customer.id).where(
        or_(Customer.id.in_(reached_from(text)), is_alike & ~has_code, is_named & ~has_alike)
    )


def reached_from(code: str) -> Select[int]:
    """The ids of the customer with exactly that code, and of the survivors of its merges."""
    first = select(Customer.id, Customer.merged_into_id, literal(1).label("steps"))
    found = first.where(Customer.code == code).cte(recursive=True)
    found = found.union_all(
        select(Customer.id, Customer.merged_into_id, found.c.steps + 1).where(
            Customer.id == found.c.merged_into_id, found.c.steps < MOST_STEPS
        )
    )
    return select(found.c.id)


def survivor_of(session: Session, customer: Customer) -> Customer:
    """The customer itself; for a merged duplicate, the final survivor."""
    for _step in range(MOST_STEPS):
        if customer.merged_into_id is None:
            break
        customer = session.get_one(Customer, customer.merged_into_id)
    return customer


def booked_customers() -> Subquery:
    """(code, id) of every customer; for a merged one, the id of the final survivor."""
    followed = (
        select(Customer.id, Customer.merged_into_id.label("leads_to"), literal(1).label("steps"))
        .where(Customer.merged_into_id.is_not(None))
        .cte("followed", recursive=True)
    )
    followed = followed.union_all(
        select(followed.c.id, Customer.merged_into_id, followed.c.steps + 1)
        .join(Customer, Customer.id == followed.c.leads_to)
        .where(Customer.merged_into_id.is_not(None), followed.c.steps < MOST_STEPS)
    )
    survivors = (
        select(followed.c.id, followed.c.leads_to)
        .join(Customer, Customer.id == followed.c.leads_to)
        .where(Customer.merged_into_id.is_(None))
        .subquery("survivors")
    )
    return (
        select(Customer.code, func.coalesce(survivors.c.leads_to, Customer.id).label("id"))
        .outerjoin(survivors, survivors.c.id == Customer.id)
        .subquery("booked_customers")
    )


def booked_on(session: Session, codes: Collection[str]) -> dict[str, Customer]:
    """The customer that rows with each of these codes are booked on, by code; unknown codes are left out."""
    booked = booked_customers()
    found = select(booked.c.code, Customer).join(booked, booked.c.id == Customer.id)
    rows = session.execute(found.where(booked.c.code == func.any(list(codes))))
    return {row.code: row.Customer for row in rows}


def matching(text: str) -> Select[Customer]:
    """Customers with `text` in their code or name, in any case; the best match first, then by code.

    All of them when `text` is blank, without merged ones. The order is total, so that it can be paged.
    """
    rows = select(Customer).where(Customer.merged_into_id.is_(None))
    return by_code_or_name(rows, Customer.code, Customer.name, text).order_by(Customer.id)


def label(customer: Customer) -> str:
    """The customer's text in a list of choices, code and name; `named` reads it back."""
    return f"{customer.code}{SEPARATOR}{customer.name}"


def named(session: Session, text: str, *, limit: int = 20) -> list[Customer]:
    """The customers that `text` names: the one with exactly that label or code, else those that match.

    The label or code of a merged duplicate names its survivor.
    """
    typed = text.strip()
    parts = typed.split(SEPARATOR)  # a code or a name may contain the separator too
    codes = [SEPARATOR.join(parts[:count]).strip() for count in range(1, len(parts) + 1)]
    reached = session.scalars(
        select(Customer).where(Customer.code.in_(codes)).order_by(Customer.id)
    )
    exact = [customer for customer in reached if typed in (customer.code, label(customer))]
    meant = dict.fromkeys(survivor_of(session, customer) for customer in exact)
    return [*meant] or search(session, text, limit=limit)


def meant_by(session: Session, text: str) -> list[Customer]:
    """The customers that a typed text can mean: those that it names exactly by code or name, else all that match."""
    found = named(session, text)
    exact = [c for c in found if look(text) in (look(c.code), look(c.name))]
    return exact or found


def search(session: Session, text: str, *, limit: int = 20, offset: int = 0) -> list[Customer]:
    """At most `limit` customers that match `text`, the best first."""
    return list(session.scalars(matching(text).limit(limit).offset(offset)))
