"""Verbs that change customers. Nothing here commits: every verb works in the caller's transaction."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal, Stale
from ..base.upserts import Upserted, upsert
from .models import Customer
from .owned_records import BELONGINGS, Belonging


class CodeTaken(Refusal):
    """Two customers cannot have one code; that of a merged one still leads to its survivor."""

    sentence = N_("There is already a customer %(code)s. Choose another code.")


class CustomerChanged(Stale):
    """Somebody saved the customer after it was opened for editing."""

    sentence = N_(
        "Somebody else has saved customer %(code)s since you opened it. "
        "Look at what they changed, then save again."
    )


class CustomerGone(Refusal):
    """The customer was deleted after it was opened."""

    sentence = N_("This customer has been deleted in the meantime.")
    status = 404


class CustomerMerged(Stale):
    """The customer was merged into another one after it was opened."""

    sentence = N_("Customer %(code)s has been merged into another one in the meantime.")


class CustomerKept(Refusal):
    """Something belongs to the customer. `held`: how many of what."""

    sentence = N_(
        "Customer %(code)s cannot be deleted, because something belongs to it. "
        "Merge it into another customer instead."
    )

    def __init__(self, code: str, held: dict[Belonging, int]) -> None:
        super().__init__(code=code)
        self.held = held


class CustomerHasDuplicates(Refusal):
    """Others were merged into the customer: their codes lead to it."""

    sentence = N_(
        "Customer %(code)s cannot be deleted, because others were merged into it. Undo those merges first."
    )


@dataclass(frozen=True)
class CustomerEntry:
    """What somebody enters about a customer; its fields are `rules.FACTS`."""

    code: str
    name: str
    contact_name: str = ""
    phone: str = ""
    city: str = ""
    country: str = ""

    @classmethod
    def of(cls, customer: Customer) -> "CustomerEntry":
        """The customer as it is stored."""
        return cls(**{name: getattr(customer, name) for name in cls.__dataclass_fields__})

    def facts(self) -> dict[str, str]:
        """Each fact by its name."""
        return asdict(self)


def create(session: Session, entry: CustomerEntry) -> Customer:
    """Add a customer. Raises CodeTaken."""
    customer = Customer(**entry.facts())
    session.add(customer)
    _flush(session, entry.code)
    return customer


def update(session: Session, customer_id: int, entry: CustomerEntry, version: int) -> Customer:
    """Change a customer to `entry`, if it is still at `version`; saving what is stored changes nothing.

    Raises:
        CustomerGone, CustomerMerged, CustomerChanged: somebody else was faster.
        CodeTaken: another customer has the code.
    """
    customer = locked(session, [customer_id], key_share=True)[customer_id]
    _check_is_at(customer, version)
    for name, value in entry.facts().items():
        setattr(customer, name, value)
    if session.is_modified(customer):
        customer.version += 1
        customer.updated_at = func.now()
    _flush(session, entry.code)
    return customer


def delete(session: Session, customer_id: int, version: int) -> None:
    """Remove a customer to whom nothing belongs. The audit trail keeps what it was.

    Raises:
        CustomerGone, CustomerMerged, CustomerChanged: somebody else was faster.
        CustomerKept, CustomerHasDuplicates: something belongs to it.
    """
    customer = locked(session, [customer_id])[customer_id]
    _check_is_at(customer, version)
    held = held_by(session, customer)
    if held:
        raise CustomerKept(customer.code, held)
    if session.scalar(select(Customer.id).where(Customer.merged_into_id == customer.id).limit(1)):
        raise CustomerHasDuplicates(code=customer.code)
    session.delete(customer)
    session.flush()


def held_by(session: Session, customer: Customer) -> dict[Belonging, int]:
    """What belongs to the customer, and how many of it; nothing is left out."""
    counts = {b: b.held_by(session, [customer.id])[customer.id].count for b in BELONGINGS}
    return {belonging: count for belonging, count in counts.items() if count}


def locked(session: Session, ids: list[int], *, key_share: bool = False) -> dict[int, Customer]:
    """These customers, locked in id order, as they are now.

    With `key_share` orders may be booked on them meanwhile; without, whoever books one waits.
    Raises CustomerGone.
    """
    rows = session.scalars(
        select(Customer)
        .where(Customer.id.in_(ids))
        .order_by(Customer.id)
        .with_for_update(key_share=key_share)
        .execution_options(populate_existing=True)
    )
    found = {customer.id: customer for customer in rows}
    if len(found) < len(set(ids)):
        raise CustomerGone()
    return found


def upsert_customers(session: Session, rows: Select[Any]) -> Upserted:
    """Create and update the customers that `rows` names by code; columns it lacks stay."""
    changed = {"version": Customer.__table__.c.version + 1, "updated_at": func.now()}
    return upsert(session, Customer, rows, "code", on_change=changed)


def _check_is_at(customer: Customer, version: int) -> None:
    if customer.merged_into_id is not None:
        raise CustomerMerged(code=customer.code)
    if customer.version != version:
        raise CustomerChanged(code=customer.code)


def _flush(session: Session, code: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        diagnostics = getattr(error.orig, "diag", None)
        if getattr(diagnostics, "constraint_name", None) == "uq_customers_code":
            raise CodeTaken(code=code) from error
        raise
