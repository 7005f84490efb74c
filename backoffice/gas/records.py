"""Gas, as it is entered, listed, read and told; and what is calculated of it."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ..audit.tables import Recorded
from ..base import N_
from ..base.codes import month_code
from ..base.periods import Month
from ..base.refusals import Refusal
from ..records import Deletion, Record, Text
from ..records.actions import write
from ..web.formats import day_filter, month_filter
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


class TakesBack(Refusal):
    """A deposit that takes back what was accepted of closed months is as much as that."""

    sentence = N_(
        "This deposit takes back what was accepted of closed months, so it is not changed. Delete it, and those "
        "months are accepted no more."
    )
    status = 409


class Dated(Record):
    """What a customer has of a day: known by a number, called by both."""

    def label_of(self, row: Any) -> str:
        """The customer and the day."""
        [day] = (field.key for field in self.fields if field.kind == "day")
        return f"{row.customer.name} · {day_filter(getattr(row, day))}"


def _dated(model: Any, **reported: Any) -> Dated:
    return Dated(
        model, name=model.id, reads="gas.read", writes="gas.write", loads=(joinedload(model.customer),),
        saved=N_("It is saved."),
        verbs=(Deletion(question=N_("Delete it?"), done=N_("It is deleted.")),),
        **reported,
    )  # fmt: skip


READING = _dated(
    Reading, domain="readings", title=N_("Reading"), many=READINGS.title, new=N_("New reading"),
    listing=lambda _user: READINGS, fields=READING_FIELDS, url="/gas/readings", list_page="gas/readings.html",
)  # fmt: skip
PRICE = _dated(
    GasPrice, domain="gas_prices", title=N_("Gas price"), many=PRICES.title, new=N_("New gas price"),
    listing=lambda _user: PRICES, fields=PRICE_FIELDS,
    new_fields=(PRICE_CUSTOMER,), kept=(PRICE_CUSTOMER,),
    form="backoffice.gas.pricing.forms:PriceForm",
)  # fmt: skip


def change_deposit(session: Session, row_id: int, values: Any, version: int) -> Deposit:
    """Write what was changed of a deposit. Raises TakesBack, and what any record does."""
    if session.scalar(select(AcceptedMonth.id).where(AcceptedMonth.deposit_id == row_id).limit(1)):
        raise TakesBack()
    changed: Deposit = write(session, DEPOSIT, row_id, values, version)
    return changed


DEPOSIT = _dated(
    Deposit, domain="deposits", title=N_("Deposit"), many=DEPOSITS.title, new=N_("New deposit"),
    listing=lambda _user: DEPOSITS, fields=DEPOSIT_FIELDS,
    update=change_deposit,
)  # fmt: skip


class Calculations(Record):
    """What a reading comes to; the row comes and goes with the price of its day."""

    def name_of(self, row: TransactionCalculation) -> str:
        """The number of its reading."""
        return str(row.reading_id)

    def label_of(self, row: TransactionCalculation) -> str:
        """The customer and the day."""
        return f"{row.customer.name} · {day_filter(row.transaction_date)}"

    def main_column(self, _row: Any) -> str:
        """What is to be paid for it."""
        return "total_price"


class Months(Record):
    """A customer's month; the row comes and goes with what moved in it."""

    def name_of(self, row: MonthlyCustomerBalance) -> str:
        """The customer's number and the month."""
        return month_code(row.customer_id, Month.parse(row.year_month))

    def label_of(self, row: MonthlyCustomerBalance) -> str:
        """The customer and the month."""
        return f"{row.customer.name} · {month_filter(Month.parse(row.year_month).first)}"

    def main_column(self, _row: Any) -> str:
        """The balance after it."""
        return "closing_balance"


def _calculated(kind: type[Record], model: Any, listing: Any, **reported: Any) -> Record:
    return kind(
        model, many=listing.title, listing=lambda _user: listing, reads="gas.read",
        append_only=True, loads=(joinedload(model.customer),), **reported,
    )  # fmt: skip


CALCULATION = _calculated(
    Calculations, TransactionCalculation, CALCULATED, name=TransactionCalculation.reading_id,
    domain="gas_calculations", title=N_("Calculated reading"), figures=(calculation,),
    fields=(customer_of(TransactionCalculation.customer_id),),
    url="/gas/calculations", list_page="gas/calculations.html",
)  # fmt: skip
MONTH = _calculated(
    Months, MonthlyCustomerBalance, MONTHS_LIST, name=MonthlyCustomerBalance.code, has_path=True,
    domain="gas_months", title=N_("Monthly balance"), figures=(monthly,),
    url="/gas/months", list_page="gas/months.html",
    fields=(
        customer_of(MonthlyCustomerBalance.customer_id),
        Text(MonthlyCustomerBalance.year_month, N_("Month")),
    ),
)  # fmt: skip

RECORDS = (READING, PRICE, DEPOSIT, CALCULATION, MONTH)

RECORDED = (
    Recorded(
        N_("Accepted months of gas"), AcceptedMonth, part_of=AcceptedMonth.customer_id,
        labels={"year_month": N_("Month"), "deposit_id": N_("Deposit")}
        | {name: MonthlyCustomerBalance.__table__.c[name].info["label"] for name in (*AMOUNTS, "calculation_details")},
    ),
)  # fmt: skip
