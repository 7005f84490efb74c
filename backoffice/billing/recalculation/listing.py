"""The list of recalculations, and the list of the customers whom one of them has changed."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Numeric, Select, cast, func, select
from sqlalchemy.orm import aliased

from ...base import N_, counted
from ...customers.models import Customer
from ...lists import Choice, Column, List, Moments, Search, containing
from ...runs.listing import PERSON, REQUESTER, STATUS, WITH_STATUS, runs
from ...runs.models import Run
from ...web import record_links as subjects
from ...web.record_links import Place
from ..figures import customer_balance
from .report import AMOUNTS, changed_by
from .runs import RECALCULATE

_APPLICATION = aliased(Run)


def _runs(user: Any) -> Select[Any]:
    return runs(user).where(Run.kind == RECALCULATE.name)


def _count(name: str, label: str) -> Column:
    value = Run.result["customers"][name].as_integer()
    return Column(name, label, value, kind="number", is_sortable=False)


def _difference(name: str, label: str) -> Column:
    reported = cast(Run.result["totals"][name]["difference"].astext, Numeric)
    return Column(
        f"{name}_difference", label, reported, kind="money", is_sortable=False, is_shown=False
    )


def _applied_by() -> ColumnElement[Any]:
    """The run that applies what a dry run has found."""
    return (
        select(func.max(_APPLICATION.id))
        .where(_APPLICATION.follows == Run.id, _APPLICATION.kind == RECALCULATE.apply_as)
        .correlate(Run)
        .scalar_subquery()
    )


def _application(row: Any) -> str | None:
    return url_for("runs.record", run_id=row.applied_by) if row.applied_by else None


RECALCULATIONS = List(
    "recalculations",
    N_("Recalculations"),
    "billing.recalculations",
    export="billing.export_recalculations",
    rows=_runs,
    key=Run.id,
    also=REQUESTER,
    columns=(
        Column(
            "number",
            N_("Run"),
            Run.id,
            kind="number",
            link=lambda row: url_for("billing.recalculation", run_id=row.key),
            write=lambda row: str(row.key),
        ),
        Column(
            "dry_run",
            N_("What"),
            Run.dry_run,
            words={True: N_("Preview"), False: N_("Recalculation")},
        ),
        Column("created_at", N_("When"), Run.created_at, kind="moment"),
        PERSON,
        STATUS,
        _count("processed", N_("Customers")),
        _count("balances_changed", N_("Balances changed")),
        _difference("balance", N_("Difference of the balances")),
        _count("overpayments_changed", N_("Overpayments changed")),
        _difference("overpayment", N_("Difference of the overpayments")),
        Column("failed", N_("Failed"), Run.failed, kind="number"),
        Column(
            "applied_by",
            N_("Applied by run"),
            _applied_by(),
            kind="number",
            link=_application,
            write=lambda row: str(row.applied_by or ""),
            is_sortable=False,
        ),
    ),
    filters=(
        Choice(
            "kind",
            N_("What"),
            {
                "preview": (N_("Preview"), Run.dry_run.is_(True)),
                "recalculation": (N_("Recalculation"), Run.dry_run.is_(False)),
            },
        ),
        Choice(
            "status",
            N_("Status"),
            WITH_STATUS,
        ),
        Moments("since", "until", N_("From"), N_("to"), Run.created_at),
    ),
    default_sort="-number",
    counted=counted("%(num)s recalculation", "%(num)s recalculations"),
    nothing_yet=(
        N_("No recalculation yet"),
        N_("Recalculate all customers: first you see what would change, then you apply it."),
    ),
    classes="recalculations-table",
)

_LABELS = {
    "balance": (
        N_("Balance before"), N_("Balance after"), N_("Balance difference"),
    ),
    "overpayment": (
        N_("Overpayment before"), N_("Overpayment after"), N_("Overpayment difference"),
    ),
}  # fmt: skip


def calculation_url(customer_id: int, code: str, name: str) -> str | None:
    """Where it is shown how a customer's amount was calculated."""
    place = Place(customer_id, {"id": customer_id}, code)
    return subjects.calculation_url(customer_balance.name, place, name)


def _amounts(name: str, values: Any, difference: Any) -> tuple[Column, ...]:
    before, after, apart = _LABELS[name]
    return (
        *(
            Column(
                f"{name}_{when}",
                label,
                values[f"{name}_{when}"],
                kind="money",
                total=True,
                classes="cell-detail",
            )
            for when, label in (("before", before), ("after", after))
        ),
        Column(
            f"{name}_difference",
            apart,
            difference,
            kind="money",
            total=True,
            classes="cell-detail",
            link=lambda row: (
                calculation_url(row.key, row.code or "", name)
                if getattr(row, f"{name}_difference") is not None
                else None
            ),
        ),
    )


def _changes_columns(rows: Any, apart: Mapping[str, Any], size: Any) -> tuple[Column, ...]:
    return (
        Column(
            "code",
            N_("Customer"),
            Customer.code,
            link=lambda row: url_for("customers.record", code=row.code) if row.code else None,
        ),
        Column("name", N_("Name"), Customer.name, classes="cell-name"),
        *(column for name in AMOUNTS for column in _amounts(name, rows.c, apart[name])),
        Column("size", N_("Size"), size, kind="money", is_shown=False),
        Column("id", N_("Number"), rows.c.customer_id, kind="number", is_shown=False),
    )


def changes_of(run_id: int, above: Decimal) -> List:
    """The customers whom a run has changed, or would, the greatest change first.

    An amount that is right is left empty. `above`: a greater difference is significant.
    """
    rows = changed_by(run_id)
    apart, size = {name: rows.c[f"{name}_difference"] for name in AMOUNTS}, rows.c.size
    types = {"balance": N_("Balance"), "overpayment": N_("Overpayment")}
    return List(
        f"recalculation-{run_id}",
        N_("Changed customers"),
        "billing.recalculation_changes",
        export="billing.export_recalculation",
        rows=lambda _user: (
            select().select_from(rows).outerjoin(Customer, Customer.id == rows.c.customer_id)
        ),
        key=rows.c.customer_id,
        columns=_changes_columns(rows, apart, size),
        filters=(
            Search("q", N_("Search"), containing(Customer.code, Customer.name)),
            Choice("type", N_("What"), {n: (types[n], apart[n].is_not(None)) for n in AMOUNTS}),
            Choice("significant", N_("Changes"), {"1": (N_("Significant"), size > above)}),
        ),
        default_sort="-size",
        counted=counted("%(num)s customer", "%(num)s customers"),
        nothing_yet=(
            N_("No customer changes"),
            N_("What every customer owes and has overpaid is what their meters say."),
        ),
        classes="changes-table compact",
    )
