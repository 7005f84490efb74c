"""The charges that make up an invoice's amount, and the validation of them and of the invoice's days."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from ... import figures
from ...base import money
from ...base.refusals import Refusal
from ..figures import invoice_amount
from ..models import Invoice
from .refusals import (
    ChargeWithoutUnits,
    DueBeforeIssued,
    NegativeCharge,
    NothingOwed,
    RateMissing,
    TooLarge,
    UnitsMissing,
)

_UNSAVED = -1


@dataclass(frozen=True)
class Charges:
    """Units × rate and a fixed charge, or without units an entered amount.

    With `units` the `amount` is ignored: it is a figure then.
    """

    units: Decimal | None = None
    rate: Decimal | None = None
    fixed_charge: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Charges":
        """The charges among the values of an invoice."""
        fixed_charge, amount = (values.get(n) or Decimal(0) for n in ("fixed_charge", "amount"))
        return cls(values.get("units"), values.get("rate"), fixed_charge, amount)

    @property
    def is_entered(self) -> bool:
        """Whether the amount is entered as a whole."""
        return self.units is None

    @property
    def error_field(self) -> str:
        """The field that shows errors of the amount."""
        return "amount" if self.is_entered else "units"

    def values(self) -> dict[str, Decimal | None]:
        """As values of an invoice: an amount that follows from units is None."""
        return asdict(self) | ({} if self.is_entered else {"amount": None})


def compute(session: Session, charges: Charges) -> Decimal:
    """The amount of an invoice with these charges. Writes nothing and locks nothing."""
    row = asdict(charges) | {"id": _UNSAVED}
    if charges.rate is None and charges.units is not None:
        row["rate"] = Decimal(0)
    preview = figures.preview(session, [invoice_amount], {Invoice: [row]})
    amount: Decimal = preview.row(Invoice, _UNSAVED)["amount"]
    return amount


def usage_of(session: Session, charges: Charges) -> Decimal:
    """Units × rate of these charges, without the fixed charge."""
    return compute(session, replace(charges, fixed_charge=Decimal(0)))


def problems_of_days(issued_on: date | None, due_on: date | None) -> dict[str, Refusal]:
    """The errors of these days by field: an invoice is not due before it is issued."""
    is_early = issued_on is not None and due_on is not None and due_on < issued_on
    return {"due_on": DueBeforeIssued()} if is_early else {}


def problems_of(charges: Charges, amount: Decimal) -> dict[str, Refusal]:
    """The errors of these charges, which come to `amount`, by field."""
    return dict(_problems(charges, amount))


def _problems(charges: Charges, amount: Decimal) -> Iterator[tuple[str, Refusal]]:
    for name in ("units", "rate", "fixed_charge"):
        if (getattr(charges, name) or 0) < 0:
            yield name, NegativeCharge()
    if charges.units is None and charges.rate is not None:
        yield "units", UnitsMissing()
    if charges.units is not None and charges.rate is None:
        yield "rate", RateMissing()
    if charges.is_entered and charges.fixed_charge:
        yield "fixed_charge", ChargeWithoutUnits()
    if amount <= 0:
        yield charges.error_field, NothingOwed()
    elif amount > money.max_amount():
        yield charges.error_field, TooLarge()
