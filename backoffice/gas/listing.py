"""The lists of gas: readings, prices, deposits, calculated readings, and monthly balances of all customers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask import url_for
from sqlalchemy import BigInteger, Date, Select, case, cast, func, literal, select
from sqlalchemy.orm import Session

from ..base import N_, counted
from ..base.codes import month_code
from ..base.periods import Month
from ..customers.listing import customer_columns, of_customer, page_of_customer
from ..customers.models import Customer
from ..lists import Buttons, Choice, Column, Days, List, Reference, Search, containing
from ..lists.declaration import Kind
from ..records.listing import column_of
from ..web.formats import month_filter
from .fields import (
    CORRECTION_FACTOR,
    DEPOSIT_AMOUNT,
    DEPOSITED_ON,
    EFFECTIVE_FROM,
    METERED_VOLUME,
    NOTE,
    PRICE_PER_SM3,
    READ_ON,
)
from .models import Deposit, GasPrice, MonthlyCustomerBalance, Reading, TransactionCalculation
from .queries import CALCULATIONS, MONTHS, is_unpriced, months_in

_list = partial(
    List,
    nothing_fits=(
        N_("Nothing fits that"),
        N_("Take something out of the filter, or search for a part of the customer."),
    ),
    classes="gas-list compact",
)


CUSTOMER_COLUMNS = customer_columns(link=page_of_customer)


def _filters(owner: Any, day: Any, *texts: Any) -> Sequence[Any]:
    """The filters that all of these lists have."""
    found = containing(Customer.code, Customer.name, *texts)
    return (
        Search("q", N_("Search"), found, placeholder=N_("Customer")),
        Days("since", "until", N_("From"), N_("to"), day),
        of_customer(owner.in_),
    )


def _rows(model: Any) -> Callable[[Any], Select[Any]]:
    return lambda _user: select().select_from(model).outerjoin(model.customer)


def _record(endpoint: str) -> Callable[[Any], str]:
    return lambda row: url_for(endpoint, id=row.key)


READINGS = _list(
    "readings", N_("Readings"), "readings.index", export="readings.export",
    rows=_rows(Reading), key=Reading.id,
    columns=(
        column_of(READ_ON, link=_record("readings.record"), classes="cell-key"),
        *CUSTOMER_COLUMNS,
        Column(
            "state", N_("State"), case((is_unpriced(), "unpriced")), words={"unpriced": N_("No price")},
            tones={"unpriced": "warning"}, classes="cell-word", is_sortable=False,
        ),
        column_of(METERED_VOLUME, total=True, classes="cell-total cell-lead"),
    ),
    filters=(
        *_filters(Reading.customer_id, Reading.read_on),
        Choice(
            "state", N_("State"),
            {"unpriced": (N_("No price on the day"), is_unpriced()), "priced": (N_("Priced"), ~is_unpriced())},
        ),
    ),
    default_sort="-read_on",
    new=("readings.new", N_("New reading")),
    counted=counted("%(num)s reading", "%(num)s readings"),
    nothing_yet=(N_("No readings yet"), N_("What meters have counted is entered, imported, or sent by a program.")),
)  # fmt: skip

PRICES = _list(
    "gas_prices", N_("Gas prices"), "gas_prices.index", export="gas_prices.export",
    rows=_rows(GasPrice), key=GasPrice.id,
    columns=(
        column_of(EFFECTIVE_FROM, link=_record("gas_prices.record"), classes="cell-key"),
        *CUSTOMER_COLUMNS,
        column_of(CORRECTION_FACTOR, classes="cell-part"),
        column_of(PRICE_PER_SM3, classes="cell-total cell-lead"),
    ),
    filters=_filters(GasPrice.customer_id, GasPrice.effective_from),
    default_sort="-effective_from",
    bulk="gas_prices.bulk",
    buttons=Buttons(
        N_("Change selected"), N_("Change all that match"), N_("Change all %(count)s that match"), icon="pricing"
    ),
    new=("gas_prices.new", N_("New gas price")),
    counted=counted("%(num)s gas price", "%(num)s gas prices"),
    nothing_yet=(N_("No gas prices yet"), N_("A reading is priced by what is in force on its day.")),
)  # fmt: skip

DEPOSITS = _list(
    "deposits", N_("Deposits"), "deposits.index", export="deposits.export",
    rows=_rows(Deposit), key=Deposit.id,
    columns=(
        column_of(DEPOSITED_ON, link=_record("deposits.record"), classes="cell-key"),
        *CUSTOMER_COLUMNS,
        column_of(NOTE, classes="cell-wide"),
        column_of(DEPOSIT_AMOUNT, total=True, classes="cell-total cell-lead"),
    ),
    filters=_filters(Deposit.customer_id, Deposit.deposited_on, Deposit.note),
    default_sort="-deposited_on",
    new=("deposits.new", N_("New deposit")),
    counted=counted("%(num)s deposit", "%(num)s deposits"),
    nothing_yet=(N_("No deposits yet"), N_("What customers pay in advance is entered or imported.")),
)  # fmt: skip


# What is derived


def _derived(rows: Any, model: Any) -> Callable[[Any], Select[Any]]:
    """The rows of all customers, each joined with its stored row, which is marked where it is wrong."""
    owner, stored = Customer.id == rows.c.customer_id, model.id == rows.c.id
    return lambda _user: (
        select().select_from(rows).outerjoin(Customer, owner).outerjoin(model, stored)
    )


def derived_column(
    model: Any, rows: Any, name: str, kind: Kind = "money", *, link: Any = None, **more: Any
) -> Column:
    """A derived column, stored or computed; with a `link`, which is asked for the column's calculation."""
    held, value = getattr(model, name), rows.c[name]
    if link is not None:
        more |= {"link": partial(link, column=name), "is_sortable": False}
    given = {"kind": kind, "classes": "cell-part", **more}
    return Column(name, held.info["label"], func.coalesce(held, value, type_=value.type), **given)


def _of_reading(row: Any, column: str) -> str:
    return url_for("gas_calculations.calculation_of", reading_id=row.key, column=column)


_line = partial(derived_column, TransactionCalculation, CALCULATIONS, link=_of_reading)

_C = CALCULATIONS.c
CALCULATED = _list(
    "gas_calculations", N_("Calculated readings"), "gas_calculations.index", export="gas_calculations.export",
    rows=_derived(CALCULATIONS, TransactionCalculation), key=_C.reading_id, is_computed=True,
    columns=(
        Column(
            "transaction_date", N_("Day"), _C.transaction_date, kind="day", classes="cell-key",
            link=_record("readings.record"),
        ),
        *CUSTOMER_COLUMNS,
        _line("metered_volume", "quantity"),
        _line("correction_factor", "quantity"),
        _line("volume_sm3", "quantity", total=True),
        _line("price_per_sm3", "unit_price"),
        _line("total_price", total=True, classes="cell-total cell-lead"),
    ),
    filters=_filters(_C.customer_id, _C.transaction_date),
    default_sort="-transaction_date",
    counted=counted("%(num)s calculated reading", "%(num)s calculated readings"),
    nothing_yet=(N_("Nothing is calculated yet"), N_("A reading is calculated as soon as its day has a price.")),
)  # fmt: skip

MOVEMENT = {"still": N_("No movement"), "incomplete": N_("Incomplete")}
TONES = {"still": "neutral", "incomplete": "warning"}


def movement_of(details: Any) -> tuple[Any, Any]:
    """The number of a month's unpriced readings, and its state: without a movement, or incomplete."""
    unpriced = details["unpriced"].as_integer()
    return unpriced, case((details.is_(None), "still"), (unpriced > 0, "incomplete"))


def _of_month(row: Any, column: str) -> str | None:
    if row.state == "still":
        return None  # it is the closing balance before it
    code = month_code(row.owner, row.month_name)
    return url_for("gas_months.calculation_of", code=code, column=column)


def _offered(session: Session, _user: Any) -> Sequence[tuple[int, str]]:
    """The months from the first with a movement to the current one, the newest first."""
    first = session.scalar(select(func.min(MONTHS.c.year_month)))
    months = Month.parse(first).through(Month.current()) if first else ()
    named = [(int(str(month).replace("-", "")), month_filter(month.first)) for month in months]
    return named[::-1]


def _of_one_month(values: Mapping[str, str]) -> List:
    """The list narrowed to one month, with every customer who has a balance by then; else the list itself."""
    since, until, month = (values.get(name, "") for name in ("since", "until", "month"))
    if not month and since[:7] == until[:7]:
        month = since[:7].replace("-", "")
    try:
        return _months_list(months_in(Month.parse(f"{month[:4]}-{month[4:]}")))
    except ValueError:
        return MONTHS_LIST


def _months_list(rows: Any) -> List:
    """The list of monthly balances over `rows`: months with a movement, or one month of all customers."""
    m = rows.c
    unpriced, state = movement_of(m.calculation_details)
    figure = partial(derived_column, MonthlyCustomerBalance, rows, link=_of_month)
    first = func.to_date(m.year_month, "YYYY-MM", type_=Date)
    number = cast(func.replace(m.year_month, "-", ""), BigInteger)
    return _list(
        "gas_months", N_("Balances by month"), "gas_months.index", export="gas_months.export",
        rows=_derived(rows, MonthlyCustomerBalance), is_computed=True,
        key=m.customer_id * literal(1_000_000, BigInteger) + number,
        columns=(
            Column("month", N_("Month"), first, kind="month", sorted_by=m.year_month, classes="cell-key"),
            *CUSTOMER_COLUMNS,
            Column(
                "state", N_("State"), state, words=MOVEMENT, tones=TONES, classes="cell-word", is_sortable=False,
            ),
            Column(
                "unpriced", N_("Readings without a price"), unpriced, kind="number", total=True,
                is_sortable=False, is_shown=False,
            ),
            figure("total_volume_sm3", "quantity", total=True),
            figure("opening_balance"),
            figure("total_deposits", total=True),
            figure("total_purchases", total=True),
            figure("closing_balance", classes="cell-total cell-lead"),
        ),
        filters=(
            *_filters(m.customer_id, first),
            Reference("month", N_("Month"), number, _offered, any_label=N_("Those with a movement")),
            Choice("state", N_("State"), {"incomplete": (N_("Incomplete"), unpriced > 0)}),
        ),
        default_sort="-month",
        also={"owner": m.customer_id, "month_name": m.year_month},
        counted=counted("%(num)s month", "%(num)s months"),
        nothing_yet=(N_("No months yet"), N_("A month appears with its first reading or deposit.")),
    )  # fmt: skip


MONTHS_LIST = replace(_months_list(MONTHS), narrowed=_of_one_month)
"""Every month with a movement."""
