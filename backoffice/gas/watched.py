"""Gas as the watch over figures knows it: what a wrong row is called, where it is shown, and whose it is."""

from typing import Any

from flask import url_for
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ..customers.models import Customer
from ..drift.recalculation import Owners, OwnersOf
from ..security.rights import allowed
from ..web.record_links import Place, Subject
from .figures import GAS_FIGURES
from .models import Deposit, MonthlyCustomerBalance, Reading, TransactionCalculation


def _owner(owner: Any) -> Any:
    return select(Customer.code).where(Customer.id == owner).scalar_subquery()


def _named(text: str) -> Any:
    return select(Customer.id).where((Customer.code == text) | (Customer.name == text))


def _reading(owner: Any, key: Any) -> Any:
    """The customer and the day of the reading; none where all of the customer's are meant."""
    day = (
        select(func.to_char(Reading.read_on, "YYYY-MM-DD"))
        .where(Reading.id == key["reading_id"].as_integer())
        .scalar_subquery()
    )
    return func.concat_ws(" · ", _owner(owner), day)


def _month(owner: Any, key: Any) -> Any:
    return func.concat_ws(" · ", _owner(owner), key["year_month"].astext)


def _of_reading(place: Place, view: str = "gas_calculations.record", **more: Any) -> str:
    reading = place.key.get("reading_id")
    return url_for(view, reading_id=reading, **more) if reading else ""


def _of_month(place: Place, view: str = "gas_months.record", **more: Any) -> str:
    month = place.key.get("year_month")
    return url_for(view, code=f"{place.owner}/{month}", **more) if month else ""


SUBJECTS = (
    Subject(
        TransactionCalculation.__tablename__, _reading, _of_reading,
        lambda place, column: _of_reading(place, "gas_calculations.calculation_of", column=column),
        _named,
    ),
    Subject(
        MonthlyCustomerBalance.__tablename__, _month, _of_month,
        lambda place, column: _of_month(place, "gas_months.calculation_of", column=column),
        _named,
    ),
)  # fmt: skip


def _of_customer(session: Session, user: Any, customer_id: int) -> Owners | None:
    """Every figure of gas of a customer, who has readings, deposits or months that are left of them."""
    if not allowed(user, "gas.read") or session.get(Customer, customer_id) is None:
        return None
    found = [
        select(1).where(model.customer_id == customer_id).exists()
        for model in (Reading, Deposit, TransactionCalculation, MonthlyCustomerBalance)
    ]
    mine = [customer_id] if session.scalar(select(or_(*found))) else []
    return {figure.name: mine for figure in GAS_FIGURES}


OWNERS = (OwnersOf("customer", _of_customer),)
