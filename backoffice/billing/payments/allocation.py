"""What of an amount goes to which invoice: plain arithmetic over plain values, exact to the last unit.

Amounts are in the deployment's currency. Whatever is split here adds up to what was split.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

ZERO = Decimal(0)


@dataclass(frozen=True)
class Target:
    """An open invoice as an allocation sees it: whose meter it is on, and what of it is still open."""

    invoice_id: int
    meter_id: int
    open: Decimal


@dataclass(frozen=True)
class Part:
    """A part of a receipt: on an invoice and its meter, on a meter alone, or, without either, on neither.

    Where it names an invoice, its meter is the invoice's, whatever `meter_id` says.
    """

    amount: Decimal
    invoice_id: int | None = None
    meter_id: int | None = None


class HasAmount(Protocol):
    """A part of a receipt, stored or about to be."""

    @property
    def amount(self) -> Decimal:
        """So much of the receipt."""

    @property
    def invoice_id(self) -> int | None:
        """The invoice that it names."""


def oldest_first(
    amount: Decimal, targets: Iterable[Target], fixed: Mapping[int, Decimal] | None = None
) -> dict[int, Decimal]:
    """What of `amount` each invoice gets, by its id: as much as is open, in the order of `targets`.

    `fixed` are those that a user has decided, which stay as they are, whatever they come to; the
    others share what is left. An invoice that gets nothing is there with 0. Never gives an invoice
    that is not fixed more than is open, nor more than there is.
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
    """What of `amount` no invoice takes; below zero where the invoices get more than there is."""
    return amount - sum(allocated.values(), ZERO)


def excess_of(amount: Decimal, allocated: Mapping[int, Decimal]) -> Decimal:
    """What the invoices get more than `amount`."""
    return -rest_of(amount, allocated)


def open_for(still_open: Decimal, own: Decimal) -> Decimal:
    """What of an invoice is open for a payment that has `own` on it: that may stay, even where it was overpaid."""
    return max(still_open + own, own)


def left_of(still_open: Decimal, given: Decimal) -> Decimal:
    """What stays open of an invoice that gets so much."""
    return still_open - given


def total_of(parts: Iterable[HasAmount]) -> Decimal:
    """What the parts of a receipt come to."""
    return sum((part.amount for part in parts), ZERO)


def by_invoice(parts: Iterable[HasAmount]) -> dict[int, Decimal]:
    """What the parts put on each invoice that they name, by its id."""
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
    """The meter on which the rest is proposed to stay: of the customer's, the one with the newest invoice.

    `newest_first` are the customer's meters in that order. Who has none leaves it on the meter of the
    newest invoice that is open; where there is none either it is on no meter.
    """
    if newest_first:
        return newest_first[0]
    return targets[-1].meter_id if targets else None
