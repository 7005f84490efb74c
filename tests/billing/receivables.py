"""A receivables book in plain Python: whole cents, no line of the product, no floating point.

What each meter and each customer owes is summed from the documents every time anew; the tests
compare the product's stored figures with it.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "receivables"


def cents(amount: str) -> int:
    """The whole cents that an amount with a point and two decimals says."""
    whole, _point, fraction = amount.partition(".")
    assert len(fraction) == 2, amount
    return int(whole) * 100 + int(fraction)


@dataclass
class Assignment:
    """The customer of a meter, and the days of the assignment; None is unbounded."""

    meter: str
    customer: str
    is_active: bool
    begins: date | None = None
    ends: date | None = None

    def covers(self, day: date) -> bool:
        """Whether the meter was the customer's on that day."""
        return (self.begins or day) <= day <= (self.ends or day)


@dataclass
class Document:
    """An invoice, an adjustment (owed) or a payment (paid): on which meter, of how many cents."""

    customer: str
    meter: str | None
    day: date
    amount: int
    invoice: str | None = None
    is_void: bool = False


@dataclass
class Receivables:
    """Everything that was entered, by number and reference."""

    assignments: list[Assignment] = field(default_factory=list)
    invoices: dict[str, Document] = field(default_factory=dict)
    payments: dict[str, Document] = field(default_factory=dict)
    adjustments: dict[str, Document] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Receivables":
        """The book from the files."""
        book = cls()
        for row in rows("meters"):
            assert row["is_active"] == "yes"
            book.assignments.append(Assignment(row["meter_number"], row["customer_code"], True))
        for row in rows("invoices"):
            day, amount = date.fromisoformat(row["issued_on"]), cents(row["amount"])
            document = Document(row["customer_code"], row["meter_number"], day, amount)
            book.invoices[row["number"]] = document
        for row in rows("payments"):
            assert not row["meter_number"]
            book.payments[row["reference"]] = Document(
                row["customer_code"],
                None,
                date.fromisoformat(row["paid_on"]),
                cents(row["amount"]),
                row["invoice_number"] or None,
            )
        return book

    def backfill(self) -> int:
        """Each payment gets the meter of its invoice, else the only one of its customer on its day.

        Nothing is sure of an assignment that ended on an unknown day.
        """
        found = 0
        for payment in self.payments.values():
            if payment.meter is None and not payment.is_void:
                payment.meter = self._meter_of(payment)
                found += payment.meter is not None
        return found

    def _meter_of(self, payment: Document) -> str | None:
        if payment.invoice and not self.invoices[payment.invoice].is_void:
            return self.invoices[payment.invoice].meter
        own = (a for a in self.assignments if a.customer == payment.customer)
        on_the_day = [a for a in own if a.covers(payment.day)]
        meters = {a.meter for a in on_the_day}
        is_sure = any(a.is_active or a.ends for a in on_the_day)
        return meters.pop() if len(meters) == 1 and is_sure else None

    def owed(self) -> dict[str, int]:
        """What is owed for each meter; what was paid beyond it is negative."""
        owed = {assignment.meter: 0 for assignment in self.assignments}
        for sign, documents in ((1, self.invoices), (1, self.adjustments), (-1, self.payments)):
            for document in documents.values():
                if document.meter is not None and not document.is_void:
                    owed[document.meter] += sign * document.amount
        return owed

    def meters(self) -> dict[str, tuple[int, int]]:
        """The balance and the overpayment of each meter."""
        return {meter: (max(owed, 0), max(-owed, 0)) for meter, owed in self.owed().items()}

    def customers(self) -> dict[str, tuple[int, int]]:
        """The balance and the overpayment of each customer."""
        meters = self.meters()
        found = {row["code"]: (0, 0) for row in rows("customers")}
        for assignment in self.assignments:
            if assignment.is_active:
                balance, overpayment = found[assignment.customer]
                more = meters[assignment.meter]
                found[assignment.customer] = (balance + more[0], overpayment + more[1])
        return found


def rows(name: str) -> Iterator[dict[str, str]]:
    """The lines of a file of the data."""
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
