"""The kinds of documents that may lack a meter: their sure meters, and why others have none.

Payments follow the rule of `matching`; an invoice belongs on the one meter that was
assigned to its customer on the day it was issued.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    any_,
    literal,
    select,
)

from ...base import N_, table_of
from ..models import Invoice, MeterAssignment, Payment
from ..payments import matching
from ..rules import POSTED
from .report import Case

INVOICES, PAYMENTS = table_of(Invoice), table_of(Payment)

INVOICE_BY_DAY = Case(
    "billing.invoice-by-assignment", N_("Invoices, by the day they were issued"), "invoices",
    N_("It is the one meter that was assigned to the customer on the day of the invoice."),
)  # fmt: skip
PAYMENT_BY_INVOICE = Case(
    "billing.payment-by-invoice", N_("Payments, from their invoice"), "payments",
    N_("It is the meter of the invoice that the payment names."),
)  # fmt: skip
PAYMENT_BY_DAY = Case(
    "billing.payment-by-assignment", N_("Payments, by the day they were paid"), "payments",
    N_("It is the one meter that was assigned to the customer on the day of the payment."),
)  # fmt: skip
INVOICE_OF_SEVERAL = Case(
    "billing.invoice-several-assignments", N_("Invoices: several meters that day"), "invoices",
    N_("More than one meter may have been assigned to the customer on the day of the invoice."),
    N_("Open the invoice and say which meter it is for."),
)  # fmt: skip
INVOICE_OF_NONE = Case(
    "billing.invoice-no-assignment", N_("Invoices: no meter that day"), "invoices",
    N_("No meter was surely assigned to the customer on the day of the invoice."),
    N_("Complete the days of the customer's meters, or say which meter the invoice is for."),
)  # fmt: skip
PAYMENT_OF_SEVERAL = Case(
    "billing.payment-several-assignments", N_("Payments: several meters that day"), "payments",
    N_("More than one meter may have been assigned to the customer on the day of the payment."),
    N_("Match it under Unmatched payments."),
)  # fmt: skip
PAYMENT_OF_NONE = Case(
    "billing.payment-no-assignment", N_("Payments: no meter that day"), "payments",
    N_("No meter was surely assigned to the customer on the day of the payment."),
    N_("Complete the days of the customer's meters, or match it under Unmatched payments."),
)  # fmt: skip
PAYMENT_WAITS = Case(
    "billing.payment-invoice-without-meter", N_("Payments: their invoice has no meter"), "payments",
    N_("The invoice that the payment names has no meter itself."),
    N_("Give the invoice its meter; the payment follows it."),
)  # fmt: skip


INVOICE_FAILED = Case(
    "billing.invoice-not-placed",
    N_("Invoices that could not be given their meter"),
    "invoices",
    "",
)
PAYMENT_FAILED = Case(
    "billing.payment-not-placed",
    N_("Payments that could not be given their meter"),
    "payments",
    "",
)

CASES = (
    INVOICE_BY_DAY,
    PAYMENT_BY_INVOICE,
    PAYMENT_BY_DAY,
    INVOICE_OF_SEVERAL,
    INVOICE_OF_NONE,
    PAYMENT_OF_SEVERAL,
    PAYMENT_OF_NONE,
    PAYMENT_WAITS,
    INVOICE_FAILED,
    PAYMENT_FAILED,
)


def sure_invoices() -> Select[Any]:
    """(invoice_id, meter_id, why) of every posted invoice without a meter that has a sure one.

    Narrow it by a condition on Invoice.
    """
    sure = matching.assigned_meter()
    why = literal(matching.ASSIGNMENT).label("why")
    return _with_candidates(sure.label("meter_id"), why).having(sure.is_not(None))


def unsure_invoices() -> Select[Any]:
    """(invoice_id, why) of every other posted invoice without a meter."""
    why = matching.why_none_is_assigned().label("why")
    return _with_candidates(why).having(matching.assigned_meter().is_(None))


def _with_candidates(*columns: ColumnElement[Any]) -> Select[Any]:
    of_customer = and_(
        MeterAssignment.customer_id == Invoice.customer_id, matching.may_cover(Invoice.issued_on)
    )
    return (
        select(Invoice.id.label("invoice_id"), *columns)
        .select_from(Invoice)
        .outerjoin(MeterAssignment, of_customer)
        .where(Invoice.meter_id.is_(None), Invoice.status == POSTED)
        .group_by(Invoice.id)
    )


@dataclass(frozen=True)
class DocumentKind:
    """A kind of documents that may lack a meter, with the rules of their sure meters and the cases of the report."""

    table: Table
    sure: Callable[[], Select[Any]]
    unsure: Callable[[], Select[Any]]
    cases: Mapping[str, Case]
    failed: Case

    @property
    def name(self) -> str:
        """The name in a chunk's payload: that of the table."""
        return self.table.name

    @property
    def names(self) -> list[str]:
        """The names of their items."""
        return [*(case.name for case in self.cases.values()), self.failed.name]

    @property
    def waiting(self) -> ColumnElement[bool]:
        """The condition that a document is posted and has no meter."""
        return and_(self.table.c.meter_id.is_(None), self.table.c.status == POSTED)

    def among(self, rule: Select[Any], ids: Sequence[int]) -> Select[Any]:
        """A rule restricted to these documents."""
        return rule.where(self.table.c.id == any_of(ids))


DOCUMENT_KINDS = (
    DocumentKind(
        INVOICES, sure_invoices, unsure_invoices,
        {
            matching.ASSIGNMENT: INVOICE_BY_DAY,
            matching.SEVERAL_ASSIGNMENTS: INVOICE_OF_SEVERAL,
            matching.NO_ASSIGNMENT: INVOICE_OF_NONE,
        },
        INVOICE_FAILED,
    ),
    DocumentKind(
        PAYMENTS, matching.sure_matches, matching.unsure_matches,
        {
            matching.INVOICE: PAYMENT_BY_INVOICE,
            matching.ASSIGNMENT: PAYMENT_BY_DAY,
            matching.INVOICE_WITHOUT_METER: PAYMENT_WAITS,
            matching.SEVERAL_ASSIGNMENTS: PAYMENT_OF_SEVERAL,
            matching.NO_ASSIGNMENT: PAYMENT_OF_NONE,
        },
        PAYMENT_FAILED,
    ),
)  # fmt: skip
"""In the order in which they get their meters."""

BY_NAME = {documents.name: documents for documents in DOCUMENT_KINDS}


def any_of(ids: Sequence[int]) -> Any:
    """`ANY` of these ids, for a comparison."""
    return any_(literal(list(ids), ARRAY(BigInteger)))


def is_left_to_do(connection: Connection) -> bool:
    """Whether any document has a sure meter to be given now."""
    return any(
        connection.execute(documents.sure().limit(1)).first() is not None
        for documents in DOCUMENT_KINDS
    )
