"""Step 6: independent proof of the totals, by SQL that does not use the declarations of the figures.

Expected amounts of every invoice, meter and customer are computed here from the documents alone. The
tie-out table compares all documents with the meters' balances, and those with the customers'.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Connection,
    Numeric,
    Select,
    String,
    Table,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ...base import N_, money, table_of
from ...customers.models import Customer
from ...drift.amounts import gross_of, leading_of
from ...runs.work import Asked, Chunk, Work
from ..models import Meter, MeterAdjustment, MeterAssignment
from ..rules import VOID
from . import preview, report
from .documents import INVOICES, PAYMENTS
from .report import ERROR, Case, as_item

METERS, ASSIGNMENTS = table_of(Meter), table_of(MeterAssignment)
ADJUSTMENTS, CUSTOMERS = table_of(MeterAdjustment), table_of(Customer)

_AMOUNT = Numeric(30, 2)


@dataclass(frozen=True)
class Proof:
    """A table of stored amounts, and the SELECT of the expected ones: `id`, and each amount, the leading one first."""

    case: Case
    table: Table
    expected: Any

    def differences(self, run_id: int) -> Select[Any]:
        """The rows with another stored amount than expected, as items of a run."""
        right = self.expected().subquery("expected")
        names = [column.name for column in right.c if column.name != "id"]
        should = {name: cast(func.coalesce(right.c[name], 0), _AMOUNT) for name in names}
        stored = {name: self.table.c[name] for name in names}
        pairs = [(stored[name], should[name]) for name in names]
        before, after = leading_of(pairs), leading_of([(b, a) for a, b in pairs])
        listed = as_item(
            self.case, run_id, self.table.c.id, before=_reported(stored), after=_reported(should),
            amount_before=before, amount_after=after, amount=after - before,
            gross=gross_of(pairs),
        )  # fmt: skip
        return (
            select(*listed)
            .join_from(self.table, right, right.c.id == self.table.c.id, isouter=True)
            .where(or_(*(stored[name].is_distinct_from(should[name]) for name in names)))
            .order_by(self.table.c.id)
        )


def _reported(values: dict[str, Any]) -> Any:
    pairs = (
        part for name, value in values.items() for part in (literal(name), cast(value, String))
    )
    return func.jsonb_build_object(*pairs, type_=JSONB)


def _invoice_amounts() -> Select[Any]:
    c = INVOICES.c
    computed = func.round(c.units * c.rate, money.minor_unit()) + c.fixed_charge
    return select(c.id, case((c.units.is_(None), c.amount), else_=computed).label("amount"))


def _summed(table: Table, by: Any) -> Any:
    """The sums of the documents that are not void."""
    counts = select(by.label("id"), func.sum(table.c.amount).label("amount"))
    return counts.where(table.c.status != VOID, by.is_not(None)).group_by(by).subquery()


def _paid_on_invoices() -> Select[Any]:
    paid = _summed(PAYMENTS, PAYMENTS.c.invoice_id)
    return select(paid.c.id, paid.c.amount.label("paid"))


def _meters() -> Select[Any]:
    invoiced, adjusted, paid = (
        _summed(table, table.c.meter_id) for table in (INVOICES, ADJUSTMENTS, PAYMENTS)
    )
    sums = {
        name: func.coalesce(part.c.amount, 0)
        for name, part in (("invoiced", invoiced), ("adjusted", adjusted), ("paid", paid))
    }
    owed = sums["invoiced"] + sums["adjusted"] - sums["paid"]
    columns = [
        case((owed > 0, owed), else_=0).label("balance"),
        case((owed < 0, -owed), else_=0).label("overpayment"),
        *(value.label(name) for name, value in sums.items()),
    ]
    joined: Any = METERS
    for part in (invoiced, adjusted, paid):
        joined = joined.outerjoin(part, part.c.id == METERS.c.id)
    return select(METERS.c.id, *columns).select_from(joined)


def _customers() -> Select[Any]:
    """The expected amounts of customers, from the documents of their active meters."""
    meters = _meters().subquery("meters")
    active = (ASSIGNMENTS.c.meter_id == meters.c.id) & ASSIGNMENTS.c.is_active
    sums = (func.sum(meters.c[name]).label(name) for name in ("balance", "overpayment"))
    return (
        select(ASSIGNMENTS.c.customer_id.label("id"), *sums)
        .join_from(ASSIGNMENTS, meters, active)
        .group_by(ASSIGNMENTS.c.customer_id)
    )


_CURE = N_(
    "Look at Health → Drift: the figure was changed past the app, or an outside program's writes wait."
)


def _proof(name: str, title: str, table: Table, why: str, expected: Any) -> Proof:
    case_ = Case(f"billing.proof-{name}", title, table.name, why, _CURE, ERROR)
    return Proof(case_, table, expected)


PROOFS = {
    proof.case.name: proof
    for proof in (
        _proof(
            "invoice", N_("Invoices whose amount is not units × rate + fixed charge"), INVOICES,
            N_("The amount is not what its units, rate and fixed charge come to."), _invoice_amounts,
        ),
        _proof(
            "paid", N_("Invoices whose payments come to something else"), INVOICES,
            N_("What is stored as paid is not the sum of the payments that name it."), _paid_on_invoices,
        ),
        _proof(
            "meter", N_("Meters whose documents come to something else"), METERS,
            N_("What is stored is not the sum of the meter's documents."), _meters,
        ),
        _proof(
            "customer", N_("Customers whose meters come to something else"), CUSTOMERS,
            N_("What is stored is not the sum of the documents of the customer's meters."), _customers,
        ),
    )
}  # fmt: skip
"""Name of the items → proof."""


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A chunk per proof, sized by its table."""
    for name, proof in PROOFS.items():
        size = connection.scalar(select(func.count()).select_from(proof.table)) or 0
        yield Chunk({"proof": name}, size)


def work(work: Work) -> None:
    """List the rows that differ from their expected amounts, in one statement and so in one snapshot."""
    proof = PROOFS[work.payload["proof"]]
    with work.transaction(is_last=True) as step:
        report.list_rows(step, preview.over(proof.differences(work.asked.id), work.asked))


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The report: the differences, and the tie-out table of documents, meters and customers."""
    reported = report.of_items(connection, asked.id)
    reported["passed"] = len(PROOFS.keys() - reported[report.LEFT].keys())
    reported["totals"] = {name: str(amount) for name, amount in totals(connection, asked).items()}
    return reported


TOTALS = {
    "invoices": N_("Invoices"),
    "adjustments": N_("+ Adjustments"),
    "payments": N_("− Payments"),
    "documents": N_("= All documents"),
    "without_meter": N_("− Documents without a meter"),
    "meters": N_("= Balances − overpayments of all meters"),
    "meters_difference": N_("Difference"),
    "unassigned": N_("− Meters without a customer"),
    "customers": N_("= Balances − overpayments of all customers"),
    "customers_difference": N_("Difference"),
}
"""The lines of the tie-out table, in order."""


def totals(connection: Connection, asked: Asked) -> dict[str, Decimal]:
    """The tie-out of all documents, meters and customers, in one statement and so in one snapshot.

    In the preview of a whole migration as they will be when its other steps are done.
    """
    sums = {
        "invoices": _total(INVOICES, INVOICES.c.amount, INVOICES.c.status != VOID),
        "adjustments": _total(ADJUSTMENTS, ADJUSTMENTS.c.amount, ADJUSTMENTS.c.status != VOID),
        "payments": _total(PAYMENTS, PAYMENTS.c.amount, PAYMENTS.c.status != VOID),
        "lost_invoices": _total(INVOICES, INVOICES.c.amount, *_lost(INVOICES)),
        "lost_payments": _total(PAYMENTS, PAYMENTS.c.amount, *_lost(PAYMENTS)),
        "meters": _total(METERS, METERS.c.balance - METERS.c.overpayment),
        "unassigned": _total(METERS, METERS.c.balance - METERS.c.overpayment, ~_is_assigned()),
        "customers": _total(CUSTOMERS, CUSTOMERS.c.balance - CUSTOMERS.c.overpayment),
    }
    named = (value.label(name) for name, value in sums.items())
    found = connection.execute(preview.over(select(*named), asked)).mappings().one()
    documents = found["invoices"] + found["adjustments"] - found["payments"]
    lost = found["lost_invoices"] - found["lost_payments"]
    derived = {
        "documents": documents,
        "without_meter": lost,
        "meters_difference": found["meters"] - (documents - lost),
        "customers_difference": found["customers"] - (found["meters"] - found["unassigned"]),
    }
    return {name: derived[name] if name in derived else found[name] for name in TOTALS}


def _total(table: Table, amount: Any, *conditions: Any) -> Any:
    added = select(cast(func.coalesce(func.sum(amount), 0), _AMOUNT)).select_from(table)
    return added.where(*conditions).scalar_subquery()


def _lost(table: Table) -> tuple[Any, Any]:
    return table.c.status != VOID, table.c.meter_id.is_(None)


def _is_assigned() -> Any:
    return METERS.c.id.in_(select(ASSIGNMENTS.c.meter_id).where(ASSIGNMENTS.c.is_active))
