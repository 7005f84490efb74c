"""How drift findings of gas are named, linked and assigned to their customer."""

from collections.abc import Callable
from typing import Any

from flask import url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..base.codes import month_code
from ..customers.models import Customer
from ..drift.recalculation import Owners, OwnersOf
from ..records import Record
from ..security.rights import allowed
from ..web.record_links import Place, Subject
from .figures import GAS_FIGURES
from .models import Deposit, MonthlyCustomerBalance, Reading, TransactionCalculation
from .queries import has_rows
from .records import CALCULATION, MONTH


def _day(key: Any) -> Any:
    """The day of a reading."""
    day = func.to_char(Reading.read_on, "YYYY-MM-DD")
    return select(day).where(Reading.id == key["reading_id"].as_integer()).scalar_subquery()


def _code(place: Place) -> str:
    """The code of a month."""
    month = place.key.get("year_month")
    return month_code(place.owner, month) if month else ""


def _subject(record: Record, when: Callable[[Any], Any], name: Callable[[Place], Any]) -> Subject:
    """A record of derived rows, named by the customer and `when`; without an address where no single row is meant."""

    def called(owner: Any, key: Any) -> Any:
        code = select(Customer.code).where(Customer.id == owner).scalar_subquery()
        return func.concat_ws(" · ", code, when(key))

    def address(place: Place, view: str = "record", **more: Any) -> str:
        named: dict[str, Any] = {record.argument: name(place), **more}
        return url_for(f"{record.domain}.{view}", **named) if named[record.argument] else ""

    return Subject(
        record.model.__tablename__, called, address,
        lambda place, column: address(place, "calculation_of", column=column),
        lambda text: select(Customer.id).where((Customer.code == text) | (Customer.name == text)),
    )  # fmt: skip


SUBJECTS = (
    _subject(CALCULATION, _day, lambda place: place.key.get("reading_id")),
    _subject(MONTH, lambda key: key["year_month"].astext, _code),
)


def _of_customer(session: Session, user: Any, customer_id: int) -> Owners | None:
    """Every figure of gas with a customer who has readings, deposits, or stored rows left over from them."""
    if not allowed(user, "gas.read") or session.get(Customer, customer_id) is None:
        return None
    of_figures = (Reading, Deposit, TransactionCalculation, MonthlyCustomerBalance)
    owners = [customer_id] if has_rows(session, customer_id, *of_figures) else []
    return {figure.name: owners for figure in GAS_FIGURES}


OWNERS = (OwnersOf("customer", _of_customer),)
