"""The demo company's billing by meter: forty of its customers, a year and a half up to today.

Northwind has none, so this data is invented: the same for every load on the same day, with dates relative to today, so
that overdue amounts look realistic. It is imported like files; manual corrections use the actions behind the screens.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..base import money, periods
from ..base.periods import Month
from ..billing.adjustments.records import ADJUSTMENT
from ..billing.invoices import actions as invoice_actions
from ..billing.models import Invoice, Meter
from ..customers.models import Customer
from ..imports.importing import import_files
from ..imports.kinds import KINDS
from ..imports.report import Problem
from ..records.actions import create
from .fitting import LinesAsFile, fit

CUSTOMERS = 40
MONTHS = 18
SEASON = (128, 122, 112, 100, 90, 84, 82, 84, 90, 100, 112, 124)
"""Consumption in each month of a year, in percent of the average."""

PLACES = ("Cold store", "Kitchen", "Shop floor", "Warehouse", "Office")
RATES = ("0.1480", "0.1525")
"""Dollars per kWh, until a year ago and since; every amount here is converted by `fit`."""

FIXED_CHARGE = "12.50"
DUE = timedelta(days=30)

WITH_TWO_METERS = (2, 8, 14, 20, 26, 32)
HANDED_OVER = 4
"""This customer's meter was reassigned to the next customer half a year ago."""
MOVED_OUT = 11
"""This customer's meter is unassigned since five months ago, and the last invoice was never paid."""

LATE = (3, 13, 24, 33)
"""These customers pay two months at a time, a month late."""
IN_PART = (6, 16, 30)
"""These customers pay three fifths, and the rest seven weeks later."""
STOPPED = (7, 23)
"""These customers have not paid for some months."""
PAID_TWICE = 19
UNREFERENCED = 4
"""The number of customers with two meters who have paid an invoice without naming it."""
UNMATCHED = ((26, 20, "200.00"), (45, 33, "75.00"))
"""Payments for no invoice: customer, days ago, dollars; the last customer has no meter."""
METHODS = ("transfer", "transfer", "mobile", "cash")


@dataclass(frozen=True)
class _Assignment:
    """The assignment of a meter to a customer, and its days."""

    meter: str
    customer: int
    place: str
    begins: date | None = None
    ends: date | None = None


def load(session: Session) -> Problem | None:
    """Import the data; answers the first problem, of which there should be none. Never commits."""
    today, chance = periods.today(), Random(1996)  # noqa: S311 (the same book for everybody)
    codes = list(session.scalars(select(Customer.code).order_by(Customer.code)))
    meters = list(_meters(Month.of(today)))
    for kind, lines in (
        ("meters", (_meter_line(assignment, codes) for assignment in meters)),
        ("invoices", _invoices(meters, codes, today, chance)),
        ("payments", _payments(session, codes, today, chance)),
    ):
        report = import_files(session, KINDS[kind], [LinesAsFile(kind, list(lines))])
        if report.problems:
            return report.problems[0]
    _correct(session, today)
    return None


def _meters(now: Month) -> Iterator[_Assignment]:
    number = 1000
    for customer in range(CUSTOMERS):
        for _ in range(2 if customer in WITH_TWO_METERS else 1):
            number += 1
            meter, place = f"NM-{number}", PLACES[number % len(PLACES)]
            if customer == HANDED_OVER:
                handed_over = (now - 6).first
                ends = handed_over - timedelta(days=1)
                yield _Assignment(meter, customer, place, ends=ends)
                yield _Assignment(meter, customer + 1, place, begins=handed_over)
            elif customer == MOVED_OUT:
                yield _Assignment(meter, customer, place, ends=(now - 6).last)
            else:
                yield _Assignment(meter, customer, place)


def _meter_line(assignment: _Assignment, codes: Sequence[str]) -> Mapping[str, object]:
    return {
        "meter_number": assignment.meter,
        "customer_code": codes[assignment.customer],
        "is_active": "no" if assignment.ends else "yes",
        "assigned_from": assignment.begins or "",
        "assigned_to": assignment.ends or "",
        "description": assignment.place,
    }


def _invoices(
    meters: Sequence[_Assignment], codes: Sequence[str], today: date, chance: Random
) -> Iterator[Mapping[str, object]]:
    """An invoice on the first of each month for the consumption of the month before; one of them twice."""
    averages = {
        meter: chance.randint(400, 2600) for meter in dict.fromkeys(m.meter for m in meters)
    }
    for ago in reversed(range(MONTHS)):
        month = Month.of(today) - ago
        used_in = month.previous
        for assignment in meters:
            begins, ends = assignment.begins or date.min, assignment.ends or date.max
            if not begins <= used_in.first <= ends:
                continue
            tenths = (
                averages[assignment.meter] * SEASON[used_in.month - 1] * chance.randint(92, 108)
            )
            line = {
                "number": f"INV-{month.year}{month.month:02}-{assignment.meter[3:]}",
                "customer_code": codes[assignment.customer],
                "meter_number": assignment.meter,
                "issued_on": month.first,
                "due_on": month.first + DUE,
                "amount": "",
                "units": Decimal(tenths // 1000).scaleb(-1),
                "rate": fit().rate(Decimal(RATES[ago < 12])),
                "fixed_charge": fit().price(Decimal(FIXED_CHARGE)),
            }
            yield line
            if (ago, assignment.customer) == (3, 9):
                yield line | {"number": f"{line['number']}-2"}


@dataclass(frozen=True)
class _Paid:
    """A payment of an invoice on a day."""

    day: date
    customer: int
    invoice: Invoice
    amount: Decimal
    together: str = ""
    """The key of the receipt that it shares with other payments; empty without one."""


def _payments(
    session: Session, codes: Sequence[str], today: date, chance: Random
) -> Iterator[Mapping[str, object]]:
    """All payments until today, by day."""
    places = {code: place for place, code in enumerate(codes)}
    owners = dict(session.execute(select(Customer.id, Customer.code)).all())
    invoices = list(session.scalars(select(Invoice).order_by(Invoice.issued_on, Invoice.number)))
    paid = [
        payment
        for invoice in invoices
        if not invoice.number.endswith("-2")
        for payment in _paid(places[owners[invoice.customer_id]], invoice, today, chance)
        if payment.day <= today
    ]
    unreferenced = _unreferenced(paid)
    receipts: dict[str, str] = {}
    for payment in sorted(paid, key=lambda one: (one.day, one.invoice.number)):
        key = payment.together or f"{payment.invoice.number} {payment.day} {payment.amount}"
        reference = receipts.setdefault(key, f"PAY-{len(receipts) + 1:05}")
        is_unreferenced = payment in unreferenced
        yield {
            "reference": reference,
            "customer_code": codes[payment.customer],
            "meter_number": "" if is_unreferenced or not payment.invoice.meter else payment.invoice.meter.number,
            "invoice_number": "" if is_unreferenced else payment.invoice.number,
            "paid_on": payment.day,
            "amount": money.round_amount(payment.amount),  # a column has two decimals, a yen has none
            "method": METHODS[payment.customer % len(METHODS)],
        }  # fmt: skip
    for number, (customer, days, amount) in enumerate(UNMATCHED, len(receipts) + 1):
        yield {
            "reference": f"PAY-{number:05}",
            "customer_code": codes[customer],
            "paid_on": today - timedelta(days=days),
            "amount": fit().price(Decimal(amount)),
            "method": METHODS[0],
        }


def _paid(customer: int, invoice: Invoice, today: date, chance: Random) -> Iterator[_Paid]:
    """The payments of this invoice, past and future, by this customer's habit."""
    soon = invoice.issued_on + timedelta(days=chance.randint(6, 27))
    issued = Month.of(invoice.issued_on)
    months = (today.year - issued.year) * 12 + today.month - issued.month
    if customer in STOPPED and months < 5 + customer % 4:
        return
    if customer == MOVED_OUT and months < 6:
        return
    if customer in LATE:
        first = issued if months % 2 else issued.previous
        day = (first + 1).first + timedelta(days=DUE.days + 12 + customer % 9)
        yield _Paid(day, customer, invoice, invoice.amount, f"{customer} {first}")
    elif customer in IN_PART:
        part = money.round_amount(invoice.amount * 3 / 5)
        yield _Paid(soon, customer, invoice, part)
        yield _Paid(soon + timedelta(days=49), customer, invoice, invoice.amount - part)
    else:
        yield _Paid(soon, customer, invoice, invoice.amount)
        if customer == PAID_TWICE and months == 2:
            yield _Paid(soon + timedelta(days=3), customer, invoice, invoice.amount)


def _unreferenced(paid: Sequence[_Paid]) -> set[_Paid]:
    """The newest payments of some customers with two meters, and of a customer with one meter."""
    newest = {one.customer: one for one in paid}
    return {
        newest[customer] for customer in (*WITH_TWO_METERS[:UNREFERENCED], 1) if customer in newest
    }


def _correct(session: Session, today: date) -> None:
    """Apply manual corrections: void the second of two equal invoices, add a fee and a reduction."""
    twice = session.scalars(select(Invoice).where(Invoice.number.like("INV-%-2"))).one()
    invoice_actions.void(session, twice.id, twice.version, "Issued twice")
    for number, days, amount, reason in (
        ("NM-1009", 20, "25.00", "Fee for late payment"),
        ("NM-1030", 75, "-18.50", "The reading was estimated too high"),
    ):
        meter = session.scalars(select(Meter).where(Meter.number == number)).one()
        entered = {
            "meter": meter.id, "adjusted_on": today - timedelta(days=days), "amount": fit().price(Decimal(amount)),
            "reason": reason, "customer": None, "number": "",
        }  # fmt: skip
        create(session, ADJUSTMENT, entered)
