"""Step 3: checks over the whole book, each a SELECT of the rows that fail it; each row becomes an item.

A check selects `owner` (the id of the row), `amount`, and optionally `about`: what to compare it with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Numeric,
    Select,
    String,
    Table,
    bindparam,
    cast,
    exists,
    func,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ...base import N_, periods, table_of
from ...customers.models import Customer
from ...runs.work import Asked, Chunk, Work
from ..models import Meter, MeterAdjustment, MeterAssignment
from ..payments.matching import may_cover
from ..rules import POSTED, VOID, counts_ahead
from . import preview, report
from .documents import INVOICES, PAYMENTS
from .report import ERROR, INFO, WARNING, Case, as_item

METERS, ASSIGNMENTS = table_of(Meter), table_of(MeterAssignment)
ADJUSTMENTS, CUSTOMERS = table_of(MeterAdjustment), table_of(Customer)

TODAY: ColumnElement[Any] = bindparam("today", callable_=periods.today, type_=Date, unique=True)
"""Today in the business time zone."""


@dataclass(frozen=True)
class Check:
    """One check: the case of its items, and the SELECT of the rows that fail it."""

    case: Case
    table: Table
    rows: Callable[[], Select[Any]]

    @property
    def name(self) -> str:
        """The name of the check and of its items."""
        return self.case.name


def _check(
    name: str, title: str, severity: str, table: Table, why: str, cure: str
) -> Callable[[Callable[[], Select[Any]]], Check]:
    """A decorator that makes a check of a function returning its SELECT."""
    return partial(
        Check, Case(f"billing.check-{name}", title, table.name, why, cure, severity), table
    )


def _findings(table: Table, amount: Any, about: Any = None) -> Select[Any]:
    reported = cast(null() if about is None else about, String).label("about")
    return select(table.c.id.label("owner"), cast(amount, Numeric).label("amount"), reported)


def _is_posted(table: Table) -> ColumnElement[bool]:
    return table.c.status == POSTED


def _number_of(meter_id: Any) -> Any:
    return select(METERS.c.number).where(METERS.c.id == meter_id).scalar_subquery()


_NET = Meter.net_balance


@_check(
    "meter-of-nobody", N_("Meters that never had a customer"), ERROR, METERS,
    N_("It has documents or a balance, and was never assigned to a customer."),
    N_("Assign the meter to its customer, or void its documents."),
)  # fmt: skip
def _unassigned_meters() -> Select[Any]:
    theirs = exists().where(ASSIGNMENTS.c.meter_id == METERS.c.id)
    documents = (
        exists().where(table.c.meter_id == METERS.c.id, _is_posted(table))
        for table in (INVOICES, PAYMENTS, ADJUSTMENTS)
    )
    has_any = _NET != 0
    for one in documents:
        has_any |= one
    return _findings(METERS, _NET).where(~theirs, has_any)


@_check(
    "meter-without-active", N_("Meters with a balance and no customer"), WARNING, METERS,
    N_("Something is owed for it, or was overpaid, and none of its assignments is active: it counts for no customer."),
    N_("Activate the assignment of whoever owes it, or settle the meter."),
)  # fmt: skip
def _meters_without_active() -> Select[Any]:
    theirs = exists().where(ASSIGNMENTS.c.meter_id == METERS.c.id)
    active = exists().where(ASSIGNMENTS.c.meter_id == METERS.c.id, ASSIGNMENTS.c.is_active)
    return _findings(METERS, _NET).where(theirs, ~active, _NET != 0)


def _without_meter(table: Table) -> Select[Any]:
    return _findings(table, table.c.amount).where(_is_posted(table), table.c.meter_id.is_(None))


@_check(
    "invoice-without-meter", N_("Invoices without a meter"), ERROR, INVOICES,
    N_("It counts nowhere until it has a meter."), N_("Open the invoice and say which meter it is for."),
)  # fmt: skip
def _invoices_without_meter() -> Select[Any]:
    return _without_meter(INVOICES)


@_check(
    "payment-without-meter", N_("Payments without a meter"), ERROR, PAYMENTS,
    N_("It counts nowhere until it has a meter."), N_("Match it under Unmatched payments."),
)  # fmt: skip
def _payments_without_meter() -> Select[Any]:
    return _without_meter(PAYMENTS)


@_check(
    "invoice-overpaid", N_("Payments past their invoice"), WARNING, INVOICES,
    N_("The payments that name it come to more than its amount."),
    N_("Move what is too much to another invoice, or leave it on the meter alone."),
)  # fmt: skip
def _invoices_overpaid() -> Select[Any]:
    paid = (
        select(PAYMENTS.c.invoice_id, func.sum(PAYMENTS.c.amount).label("amount"))
        .where(_is_posted(PAYMENTS), PAYMENTS.c.invoice_id.is_not(None))
        .group_by(PAYMENTS.c.invoice_id)
        .subquery("paid")
    )
    return (
        _findings(INVOICES, paid.c.amount - INVOICES.c.amount)
        .join_from(INVOICES, paid, paid.c.invoice_id == INVOICES.c.id)
        .where(_is_posted(INVOICES), paid.c.amount > INVOICES.c.amount)
    )


@_check(
    "payment-on-another-meter", N_("Payments on another meter than their invoice"), ERROR, PAYMENTS,
    N_("It stands on one meter, and the invoice that it names on another."),
    N_("Move the payment to its invoice's meter, or take the invoice out of it."),
)  # fmt: skip
def _payments_on_another_meter() -> Select[Any]:
    return (
        _findings(PAYMENTS, PAYMENTS.c.amount, INVOICES.c.number)
        .join_from(PAYMENTS, INVOICES, INVOICES.c.id == PAYMENTS.c.invoice_id)
        .where(
            _is_posted(PAYMENTS), _is_posted(INVOICES), PAYMENTS.c.meter_id != INVOICES.c.meter_id
        )
    )


@_check(
    "invoice-of-void-paid", N_("Void invoices that payments name"), ERROR, INVOICES,
    N_("It is void, and a payment that is not void names it still."),
    N_("Move the payment to the invoice that took its place, or void the payment too."),
)  # fmt: skip
def _void_invoices_paid() -> Select[Any]:
    paid = exists().where(PAYMENTS.c.invoice_id == INVOICES.c.id, _is_posted(PAYMENTS))
    return _findings(INVOICES, INVOICES.c.amount).where(INVOICES.c.status == VOID, paid)


def _duplicates(table: Table, called: Any, *same: Any) -> Select[Any]:
    """Documents that equal an earlier one under another number."""
    first = func.first_value(called).over(partition_by=same, order_by=table.c.id).label("first")
    seen = (
        select(table.c.id, table.c.amount, called.label("called"), first)
        .where(_is_posted(table), table.c.amount != 0)
        .subquery("seen")
    )
    reported = select(seen.c.id.label("owner"), seen.c.amount, seen.c.first.label("about"))
    return reported.where(seen.c.called != seen.c.first)


@_check(
    "payment-twice", N_("Payments that look entered twice"), WARNING, PAYMENTS,
    N_("An earlier receipt has the same customer, day, amount, meter and invoice."),
    N_("Compare the two receipts; void the one that is too many."),
)  # fmt: skip
def _payments_twice() -> Select[Any]:
    c = PAYMENTS.c
    return _duplicates(
        PAYMENTS, c.reference, c.customer_id, c.paid_on, c.amount, c.meter_id, c.invoice_id
    )


@_check(
    "invoice-twice", N_("Invoices that look entered twice"), WARNING, INVOICES,
    N_("An earlier invoice has the same customer, meter, day and amount."),
    N_("Compare the two invoices; void the one that is too many."),
)  # fmt: skip
def _invoices_twice() -> Select[Any]:
    c = INVOICES.c
    return _duplicates(INVOICES, c.number, c.customer_id, c.meter_id, c.issued_on, c.amount)


def _unassigned_documents(table: Table, day: Any, *, ever: bool) -> Select[Any]:
    """Documents of a customer who had the meter on other days (`ever`), or never."""
    theirs = (
        ASSIGNMENTS.c.customer_id == table.c.customer_id, ASSIGNMENTS.c.meter_id == table.c.meter_id,
    )  # fmt: skip
    had = exists().where(*theirs)
    owner = (had, ~exists().where(*theirs, may_cover(day))) if ever else (~had,)
    found = _findings(table, table.c.amount, _number_of(table.c.meter_id))
    return found.where(_is_posted(table), table.c.meter_id.is_not(None), *owner)


_MOVE = N_("Correct the days of the assignment, or move it to the meter that it is for.")
_SAY = N_(
    "Assign the meter to the customer for those days, or move it to the meter that it is for."
)


@_check(
    "invoice-outside", N_("Invoices outside the days of their assignment"), WARNING, INVOICES,
    N_("The customer had this meter, but not on that day."), _MOVE,
)  # fmt: skip
def _invoices_outside() -> Select[Any]:
    return _unassigned_documents(INVOICES, INVOICES.c.issued_on, ever=True)


@_check(
    "payment-outside", N_("Payments outside the days of their assignment"), WARNING, PAYMENTS,
    N_("The customer had this meter, but not on that day."), _MOVE,
)  # fmt: skip
def _payments_outside() -> Select[Any]:
    return _unassigned_documents(PAYMENTS, PAYMENTS.c.paid_on, ever=True)


@_check(
    "adjustment-outside", N_("Adjustments outside the days of their assignment"), WARNING, ADJUSTMENTS,
    N_("The customer had this meter, but not on that day."), _MOVE,
)  # fmt: skip
def _adjustments_outside() -> Select[Any]:
    return _unassigned_documents(ADJUSTMENTS, ADJUSTMENTS.c.adjusted_on, ever=True)


@_check(
    "invoice-of-stranger", N_("Invoices of a customer who never had the meter"), ERROR, INVOICES,
    N_("The customer on it never had the meter that it is for."), _SAY,
)  # fmt: skip
def _invoices_of_strangers() -> Select[Any]:
    return _unassigned_documents(INVOICES, INVOICES.c.issued_on, ever=False)


@_check(
    "payment-of-stranger", N_("Payments of a customer who never had the meter"), ERROR, PAYMENTS,
    N_("The customer on it never had the meter that it is for."), _SAY,
)  # fmt: skip
def _payments_of_strangers() -> Select[Any]:
    return _unassigned_documents(PAYMENTS, PAYMENTS.c.paid_on, ever=False)


@_check(
    "adjustment-of-stranger", N_("Adjustments of a customer who never had the meter"), ERROR, ADJUSTMENTS,
    N_("The customer on it never had the meter that it is for."), _SAY,
)  # fmt: skip
def _adjustments_of_strangers() -> Select[Any]:
    return _unassigned_documents(ADJUSTMENTS, ADJUSTMENTS.c.adjusted_on, ever=False)


def _assignments(*conditions: ColumnElement[bool]) -> Select[Any]:
    owner = select(CUSTOMERS.c.name).where(CUSTOMERS.c.id == ASSIGNMENTS.c.customer_id)
    none: Any = null()
    return _findings(ASSIGNMENTS, none, owner.scalar_subquery()).where(*conditions)


@_check(
    "active-but-ended", N_("Active assignments that have ended"), WARNING, ASSIGNMENTS,
    N_("It counts still, though its last day is over."),
    N_("Deactivate the assignment, or take its last day away."),
)  # fmt: skip
def _active_but_ended() -> Select[Any]:
    return _assignments(ASSIGNMENTS.c.is_active, ASSIGNMENTS.c.assigned_to < TODAY)


@_check(
    "active-ahead", N_("Active assignments that are still to come"), WARNING, ASSIGNMENTS,
    N_("It counts already, though its first day is still to come."),
    N_("Deactivate the assignment until then, or correct its first day."),
)  # fmt: skip
def _active_ahead() -> Select[Any]:
    return _assignments(counts_ahead(ASSIGNMENTS.c.is_active, ASSIGNMENTS.c.assigned_from, TODAY))


@_check(
    "inactive-without-end", N_("Inactive assignments without a last day"), WARNING, ASSIGNMENTS,
    N_("It is not active, and its last day is not known: documents of any day may belong to it."),
    N_("Give the assignment its last day."),
)  # fmt: skip
def _inactive_without_end() -> Select[Any]:
    is_to_come = func.coalesce(ASSIGNMENTS.c.assigned_from > TODAY, False)
    return _assignments(~ASSIGNMENTS.c.is_active, ASSIGNMENTS.c.assigned_to.is_(None), ~is_to_come)


@_check(
    "adjustments", N_("Manual adjustments"), INFO, ADJUSTMENTS,
    N_("A person adjusted what is owed; it is listed so that a user has seen it."),
    N_("Nothing has to be done."),
)  # fmt: skip
def _adjustments() -> Select[Any]:
    return _findings(ADJUSTMENTS, ADJUSTMENTS.c.amount, ADJUSTMENTS.c.reason).where(
        _is_posted(ADJUSTMENTS)
    )


CHECKS = {
    check.name: check
    for check in (
        _unassigned_meters,
        _meters_without_active,
        _invoices_without_meter,
        _payments_without_meter,
        _invoices_overpaid,
        _payments_on_another_meter,
        _void_invoices_paid,
        _payments_twice,
        _invoices_twice,
        _invoices_outside,
        _payments_outside,
        _adjustments_outside,
        _invoices_of_strangers,
        _payments_of_strangers,
        _adjustments_of_strangers,
        _active_but_ended,
        _active_ahead,
        _inactive_without_end,
        _adjustments,
    )
}
"""Name → check, in the order in which they are shown."""


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A chunk per check, sized by the table that it reads."""
    tables = dict.fromkeys(check.table for check in CHECKS.values())
    sizes = {t: connection.scalar(select(func.count()).select_from(t)) or 0 for t in tables}
    for name, check in CHECKS.items():
        yield Chunk({"check": name}, sizes[check.table])


def work(work: Work) -> None:
    """List the rows that fail the check, in one statement."""
    check = CHECKS[work.payload["check"]]
    with work.transaction(is_last=True) as step:
        report.list_rows(step, items(check, work.asked))


def items(check: Check, asked: Asked) -> Any:
    """The findings of a check as items of a run; in a preview, over the result of the other steps."""
    found = check.rows().subquery("found")
    about = func.jsonb_strip_nulls(
        func.jsonb_build_object("about", found.c.about, type_=JSONB), type_=JSONB
    )
    listed = as_item(check.case, asked.id, found.c.owner, concerns=found.c.amount, details=about)
    return preview.over(select(*listed).select_from(found).order_by(found.c.owner), asked)


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The report: the findings of each check, and their number by severity."""
    reported = report.of_items(connection, asked.id)
    found = reported[report.LEFT]
    reported["passed"] = len(CHECKS.keys() - found.keys())
    reported["severities"] = {
        severity: sum(found[name]["rows"] for name in found if _severity(name) == severity)
        for severity in (ERROR, WARNING, INFO)
    }
    return reported


def _severity(name: str) -> str:
    return CHECKS[name].case.severity if name in CHECKS else WARNING
