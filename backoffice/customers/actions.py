"""Verbs that change customers. Nothing here commits: every verb works in the caller's transaction."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal, Stale
from ..base.upserts import Upserted, upsert
from .models import Customer
from .owned_records import OwnedRecord, owned_records


class CustomerMerged(Stale):
    """The customer was merged into another one after it was opened."""

    sentence = N_("Customer %(code)s has been merged into another one in the meantime.")


class CustomerKept(Refusal):
    """The customer owns records, so it cannot be deleted."""

    sentence = N_(
        "Customer %(code)s cannot be deleted, because something belongs to it. "
        "Merge it into another customer instead."
    )
    status = 409


class CustomerHasDuplicates(Refusal):
    """Duplicates were merged into the customer, and their codes refer to it, so it cannot be deleted."""

    sentence = N_("Customer %(code)s cannot be deleted, because others were merged into it.")


def check_not_merged(_session: Session, customer: Customer) -> None:
    """Raises CustomerMerged if the customer has been merged into another one."""
    if customer.merged_into_id is not None:
        raise CustomerMerged(code=customer.code)


def check_may_go(session: Session, customer: Customer) -> None:
    """Raises CustomerKept if the customer owns records, CustomerHasDuplicates if others were merged into it."""
    if held_by(session, customer):
        raise CustomerKept(code=customer.code)
    if session.scalar(select(Customer.id).where(Customer.merged_into_id == customer.id).limit(1)):
        raise CustomerHasDuplicates(code=customer.code)


def held_by(session: Session, customer: Customer) -> dict[OwnedRecord, int]:
    """The kinds of records that the customer owns, each with their number, whatever a user may see."""
    counts = {b: b.held_by(session, [customer.id])[customer.id].count for b in owned_records()}
    return {owned: count for owned, count in counts.items() if count}


def upsert_customers(session: Session, rows: Select[Any]) -> Upserted:
    """Create and update the customers that `rows` names by code; columns that it lacks are left unchanged."""
    changed = {"version": Customer.__table__.c.version + 1, "updated_at": func.now()}
    return upsert(session, Customer, rows, "code", on_change=changed)
