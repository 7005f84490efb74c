"""Allocation of an amount to invoices: plain arithmetic over plain values, exact to the last unit.

Amounts are in the deployment's currency. Whatever is split here adds up to what was split.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

ZERO = Decimal(0)


@dataclass(frozen=True)
class Target:
    """An open invoice in an allocation: its meter, and its open amount."""

    invoice_id: int
    meter_id: int
    open: Decimal


@dataclass(frozen=True)
class Part:
    """A part of a receipt: on an invoice and its meter, on a meter alone, or on neither.

    Where it names an invoice, the invoice's meter counts, whatever `meter_id` is.
    """

    amount: Decimal
    invoice_id: int | None = None
    meter_id: int | None = None


class HasAmount(Protocol):
    """A part of a receipt, stored or about to be."""

    @property
    def amount(self) -> Decimal:
        """The amount of the part."""

    @property
    def invoice_id(self) -> int | None:
        """The invoice that it pays, if it names one."""


def oldest_first(
    amount: Decimal, targets: Iterable[Target], fixed: Mapping[int, Decimal] | None = None
) -> dict[int, Decimal]:
    """Allocate `amount` to invoices, by id: each gets what is open of it, in the order of `targets`.

    `fixed` amounts, which a user has entered, are kept whatever their sum; the others share what is
    left. An invoice that gets nothing has 0. An invoice that is not fixed never gets more than is open
    of it, nor more than is left.
    """
    decided = fixed or {}
    targets = list(targets)
    left = max(amount - sum((decided.get(t.invoice_id, ZERO) for t in targets), ZERO), ZERO)
    allocated: dict[int, Decimal] = {}
    for target in targets:
        given = decided.get(target.invoice_id)
        if given is None:
            given = min(left, max(target.open, ZERO))
            left -= given
        allocated[target.invoice_id] = given
    return allocated


def rest_of(amount: Decimal, allocated: Mapping[int, Decimal]) -> Decimal:
    """The rest of `amount` that no invoice takes; below zero where the invoices get more than there is."""
    return amount - sum(allocated.values(), ZERO)


def excess_of(amount: Decimal, allocated: Mapping[int, Decimal]) -> Decimal:
    """How much more than `amount` the invoices get."""
    return -rest_of(amount, allocated)


def open_for(still_open: Decimal, own: Decimal) -> Decimal:
    """The open amount for a payment that has `own` on the invoice; `own` may stay even where it was overpaid."""
    return max(still_open + own, own)


def left_of(still_open: Decimal, given: Decimal) -> Decimal:
    """The open amount of an invoice after `given` is paid."""
    return still_open - given


def total_of(parts: Iterable[HasAmount]) -> Decimal:
    """The total of a receipt's parts."""
    return sum((part.amount for part in parts), ZERO)


def by_invoice(parts: Iterable[HasAmount]) -> dict[int, Decimal]:
    """The total of the parts on each invoice that they name, by its id."""
    found: dict[int, Decimal] = {}
    for part in parts:
        if part.invoice_id is not None:
            found[part.invoice_id] = found.get(part.invoice_id, ZERO) + part.amount
    return found


def parts_of(
    amount: Decimal, allocated: Mapping[int, Decimal], rest_on: int | None
) -> tuple[Part, ...]:
    """The parts of a receipt: one per invoice that gets something, and the rest on the meter `rest_on`.

    Raises ValueError where the invoices get more than there is.
    """
    rest = rest_of(amount, allocated)
    if rest < 0:
        raise ValueError(f"The parts come to {-rest} more than {amount}.")
    parts = [Part(given, invoice_id=key) for key, given in allocated.items() if given]
    if rest:
        parts.append(Part(rest, meter_id=rest_on))
    return tuple(parts)


def meter_for_rest(newest_first: Sequence[int], targets: Sequence[Target]) -> int | None:
    """The proposed meter for the rest: the customer's meter with the newest invoice.

    `newest_first` are the customer's meters in that order. Without any, it is the meter of the newest
    open invoice; without one of those either, None.
    """
    if newest_first:
        return newest_first[0]
    return targets[-1].meter_id if targets else None
