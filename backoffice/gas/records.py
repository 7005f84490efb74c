"""Declarations of the records of gas: entered ones, and the derived ones."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import date
from functools import partial
from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from ..audit.tables import Recorded
from ..base import N_
from ..base.periods import Month
from ..base.refusals import Refusal
from ..book.queries import refusal_of
from ..lists import List
from ..records import Deletion, Record, Text, Values
from ..web.formats import day_filter, month_filter
from ..web.paging import PAGE_SIZE
from .fields import DEPOSIT_FIELDS, PRICE_CUSTOMER, PRICE_FIELDS, READING_FIELDS, customer_of
from .figures import calculation, monthly
from .listing import CALCULATED, DEPOSITS, MONTHS_LIST, PRICES, READINGS
from .models import (
    AMOUNTS,
    AcceptedMonth,
    Deposit,
    GasPrice,
    MonthlyCustomerBalance,
    Reading,
    TransactionCalculation,
)
from .pricing.effects import NewPrice, effect_of


class TakesBack(Refusal):
    """A change of a deposit that reverses accepted differences of closed months."""

    sentence = N_(
        "This deposit takes back what was accepted of closed months, so it is not changed. Delete it, and those "
        "months are accepted no more."
    )
    status = 409


@dataclass(frozen=True, eq=False)
class CustomerRecord(Record):
    """A record of a customer and a day or month, in the column `dated`; its pages are titled by both."""

    _: KW_ONLY
    dated: InstrumentedAttribute[Any]

    def label_of(self, row: Any) -> str:
        """The customer's name, and the day or the month."""
        when = getattr(row, self.dated.key)
        is_day = isinstance(when, date)
        written = day_filter(when) if is_day else month_filter(Month.parse(when).first)
        return f"{row.customer.name} · {written}"


def _check_open(dated: InstrumentedAttribute[Any], session: Session, row: Any) -> None:
    """Raises Locked for a row of a locked day."""
    if (refusal := refusal_of(session, getattr(row, dated.key))) is not None:
        raise refusal


def _entered(
    model: Any, listing: List, deletion: Mapping[str, Any] | None = None, **reported: Any
) -> CustomerRecord:
    """A record that users enter."""
    return CustomerRecord(
        model, name=model.id, many=listing.title, listing=lambda _user: listing,
        reads="gas.read", writes="gas.write", loads=(joinedload(model.customer),),
        saved=N_("It is saved."),
        verbs=(
            Deletion(
                question=N_("Delete %(label)s?"), done=N_("It is deleted."),
                refuses=partial(_check_open, reported["dated"]), **(deletion or {}),
            ),
        ),
        **reported,
    )  # fmt: skip


READING = _entered(
    Reading, READINGS, domain="readings", title=N_("Reading"), new=N_("New reading"),
    fields=READING_FIELDS, dated=Reading.read_on,
    url="/gas/readings", list_page="gas/readings.html", screens="backoffice.gas.screens:ReadingScreens",
)  # fmt: skip


def _without(session: Session, price: GasPrice) -> dict[str, Any]:
    """The context of the deletion page: what deleting the price changes of every month."""
    return {"effect": effect_of(session, NewPrice.gone(price)), "SHOWN": PAGE_SIZE}


PRICE = _entered(
    GasPrice, PRICES, {"template": "gas/price_delete.html", "effect": _without},
    domain="gas_prices", title=N_("Gas price"), new=N_("New gas price"),
    fields=PRICE_FIELDS, new_fields=(PRICE_CUSTOMER,), kept=(PRICE_CUSTOMER,),
    dated=GasPrice.effective_from, form="backoffice.gas.pricing.forms:PriceForm",
)  # fmt: skip


def refuse_change(session: Session, deposit: Deposit | None, _values: Values) -> None:
    """Raises TakesBack."""
    if deposit is None:
        return
    if session.scalar(
        select(AcceptedMonth.id).where(AcceptedMonth.deposit_id == deposit.id).limit(1)
    ):
        raise TakesBack()


DEPOSIT = _entered(
    Deposit, DEPOSITS, domain="deposits", title=N_("Deposit"), new=N_("New deposit"),
    fields=DEPOSIT_FIELDS, dated=Deposit.deposited_on, refuses=refuse_change,
    url="/gas/deposits", list_page="gas/deposits.html",
    saved_to=lambda _form, row: url_for("gas.statement", code=row.customer.code),
)  # fmt: skip


def _calculated(model: Any, **reported: Any) -> CustomerRecord:
    """A record of derived rows."""
    return CustomerRecord(
        model, reads="gas.read",
        append_only=True, loads=(joinedload(model.customer),),
        screens="backoffice.gas.screens:DerivedScreens", **reported,
    )  # fmt: skip


CALCULATION = _calculated(
    TransactionCalculation, many=CALCULATED.title, listing=lambda _user: CALCULATED,
    name=TransactionCalculation.reading_id,
    domain="gas_calculations", title=N_("Calculated reading"), figures=(calculation,),
    fields=(customer_of(TransactionCalculation.customer_id),),
    dated=TransactionCalculation.transaction_date, main="total_price",
    url="/gas/calculations", list_page="gas/calculations.html",
)  # fmt: skip
MONTH = _calculated(
    MonthlyCustomerBalance, many=MONTHS_LIST.title, listing=lambda _user: MONTHS_LIST,
    name=MonthlyCustomerBalance.code, has_path=True,
    domain="gas_months", title=N_("Monthly balance"), figures=(monthly,),
    fields=(
        customer_of(MonthlyCustomerBalance.customer_id),
        Text(MonthlyCustomerBalance.year_month, N_("Month")),
    ),
    dated=MonthlyCustomerBalance.year_month, main="closing_balance",
    url="/gas/months", list_page="gas/months.html",
)  # fmt: skip

RECORDS = (READING, PRICE, DEPOSIT, CALCULATION, MONTH)

RECORDED = (
    Recorded(
        N_("Accepted months of gas"), AcceptedMonth, part_of=AcceptedMonth.customer_id,
        labels={"year_month": N_("Month"), "deposit_id": N_("Deposit")}
        | {name: MonthlyCustomerBalance.__table__.c[name].info["label"] for name in (*AMOUNTS, "calculation_details")},
    ),
)  # fmt: skip
