"""What somebody enters about an invoice, as plain values; and how two people's entries are merged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from ...web.conflicts import Difference, differences
from ..models import Invoice

Facts = Mapping[str, str]
"""Every entered fact by name, in a comparable form: equal facts are equal texts."""


@dataclass(frozen=True)
class Charges:
    """What an invoice's amount is made of: units × rate and a fixed charge, or an entered amount.

    With `units` the `amount` counts for nothing: it is a figure then.
    """

    units: Decimal | None = None
    rate: Decimal | None = None
    fixed_charge: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    @property
    def is_entered(self) -> bool:
        """Whether the amount is entered as a whole."""
        return self.units is None


@dataclass(frozen=True)
class InvoiceEntry:
    """An invoice as entered. Without a `number` it gets the next one. What is paid is no part of it."""

    number: str
    customer_id: int
    meter_id: int | None
    issued_on: date
    due_on: date
    charges: Charges

    @classmethod
    def of(cls, invoice: Invoice) -> "InvoiceEntry":
        """The stored invoice, as somebody would enter it."""
        return cls(
            number=invoice.number,
            customer_id=invoice.customer_id,
            meter_id=invoice.meter_id,
            issued_on=invoice.issued_on,
            due_on=invoice.due_on,
            charges=Charges(invoice.units, invoice.rate, invoice.fixed_charge, invoice.amount),
        )

    def facts(self) -> dict[str, str]:
        """Every entered fact by name; the amount is one only where it is entered."""
        charges = self.charges
        return {
            "number": self.number,
            "customer_id": str(self.customer_id),
            "meter_id": "" if self.meter_id is None else str(self.meter_id),
            "issued_on": self.issued_on.isoformat(),
            "due_on": self.due_on.isoformat(),
            "units": _plain(charges.units),
            "rate": _plain(charges.rate),
            "fixed_charge": _plain(charges.fixed_charge),
            "amount": _plain(charges.amount) if charges.is_entered else "",
        }


def merge(
    base: Facts | None, mine: InvoiceEntry, theirs: InvoiceEntry
) -> tuple[InvoiceEntry, list[Difference[str]]]:
    """My entry over their saved one, and where they had changed what I see differently."""
    found = differences(base, theirs.facts(), mine.facts(), none="")
    return _taking(mine, theirs, {d.name for d in found if d.taken}), found


def _taking(mine: InvoiceEntry, theirs: InvoiceEntry, taken: set[str]) -> InvoiceEntry:
    charges = {name: getattr(theirs.charges, name) for name in taken if hasattr(Charges(), name)}
    rest = {name: getattr(theirs, name) for name in taken - set(charges)}
    return replace(mine, **rest, charges=replace(mine.charges, **charges))


def _plain(value: Decimal | None) -> str:
    """`value` without trailing zeros, so that 5 and 5.00 are one fact; nothing for none."""
    if value is None:
        return ""
    return f"{value.normalize():f}" if value else "0"
