"""The list of meters, with the customer and the balance of each."""

from dataclasses import replace
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, and_, case, exists, literal, select
from sqlalchemy.orm import aliased

from ...base import N_, counted
from ...customers.listing import customer_columns, of_customer, page_of_customer
from ...customers.models import Customer
from ...lists import Choice, Column, List, Search, containing
from ...records.listing import column_of
from ..models import Meter, MeterAssignment
from ..rules import METER_STATES
from .fields import DESCRIPTION, NUMBER

TONES = {"active": "good", "inactive": "neutral", "unassigned": "warning"}

SUMS = ("invoiced", "adjusted", "paid")
BALANCES = ("balance", "overpayment")
"""The figures of a meter: the sums of its documents, and the balances from them."""


def _rows(_user: Any) -> Select[Any]:
    """Meters with their active assignment, if there is one."""
    active = and_(MeterAssignment.meter_id == Meter.id, MeterAssignment.is_active)
    joined = select().select_from(Meter).outerjoin(MeterAssignment, active)
    return joined.outerjoin(Customer, Customer.id == MeterAssignment.customer_id)


def _was_assigned(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    assignment = aliased(MeterAssignment)
    return exists().where(assignment.meter_id == Meter.id, *conditions)


def _of_these(customers: Select[int]) -> ColumnElement[bool]:
    """The meters that are or were assigned to one of the customers."""
    is_theirs = MeterAssignment.customer_id.in_(customers)
    return Meter.id.in_(select(MeterAssignment.meter_id).where(is_theirs))


def _state() -> ColumnElement[str]:
    return case(
        (MeterAssignment.id.is_not(None), literal("active")),
        (_was_assigned(), literal("inactive")),
        else_=literal("unassigned"),
    )


def _record(row: Any) -> str:
    return url_for("meters.record", number=row.number)


def _sum(name: str) -> Column:
    column = getattr(Meter, name)
    return Column(name, column.info["label"], column, kind="money", total=True, classes="cell-part")


def _owed(name: str) -> Column:
    """A column of a balance, linked to its calculation."""

    def calculation(row: Any) -> str | None:
        if not getattr(row, name):
            return None
        return url_for("meters.calculation_of", number=row.number, column=name)

    place = "cell-lead" if name == "balance" else "cell-detail"
    return replace(_sum(name), link=calculation, classes=f"cell-total {place}")


METERS = List(
    "meters",
    N_("Meters"),
    "meters.index",
    export="meters.export",
    rows=_rows,
    key=Meter.id,
    columns=(
        column_of(NUMBER, link=_record, classes="cell-key"),
        column_of(DESCRIPTION),
        *customer_columns(link=page_of_customer, empty=N_("No customer")),
        Column(
            "state",
            N_("Status"),
            _state(),
            words=METER_STATES,
            tones=TONES,
            is_sortable=False,
            classes="cell-word",
        ),
        *map(_sum, SUMS),
        *map(_owed, BALANCES),
        Column("updated_at", N_("Last change"), Meter.updated_at, kind="moment", is_shown=False),
    ),
    filters=(
        Search(
            "q",
            N_("Search"),
            containing(Meter.number, Meter.description, Customer.code, Customer.name),
            placeholder=N_("Number, description or customer"),
        ),
        Choice(
            "owed",
            N_("What is owed"),
            {
                "owing": (N_("Owing"), Meter.balance > 0),
                "overpaid": (N_("Overpaid"), Meter.overpayment > 0),
                "clear": (N_("Settled"), and_(Meter.balance == 0, Meter.overpayment == 0)),
            },
        ),
        Choice(
            "assigned",
            N_("Assignment"),
            {
                "active": (N_("Active"), MeterAssignment.id.is_not(None)),
                "unassigned": (N_("No customer"), MeterAssignment.id.is_(None)),
            },
        ),
        of_customer(_of_these),
    ),
    default_sort="number",
    counted=counted("%(num)s meter", "%(num)s meters"),
    new=("meters.new", N_("New meter")),
    nothing_yet=(N_("No meters yet"), N_("Meters are entered here, or come with the import.")),
    nothing_fits=(
        N_("No meter fits that"),
        N_("Take something out of the filter, or search for a part of the number."),
    ),
    classes="meters-table compact",
)


def meters_of(customer: Customer) -> List:
    """The meters that are or were assigned to one customer; only active assignments count for it."""
    assigned = select(MeterAssignment.meter_id).where(MeterAssignment.customer_id == customer.id)
    is_active = Meter.id.in_(assigned.where(MeterAssignment.is_active))
    state = case((is_active, literal("active")), else_=literal("inactive"))
    words = {"active": METER_STATES["active"], "inactive": N_("Inactive, not counted")}
    return List(
        "meters_of_customer",
        N_("Meters"),
        "customers.record",
        rows=lambda _user: select().select_from(Meter).where(Meter.id.in_(assigned)),
        key=Meter.id,
        columns=(
            METERS.column("number"),
            METERS.column("description"),
            Column("state", N_("Status"), state, words=words, tones=TONES, classes="cell-word"),
            *(replace(METERS.column(name), total=False) for name in (*SUMS, *BALANCES)),
        ),
        default_sort="state",
        counted=METERS.counted,
        classes="meters-table compact",
    )
