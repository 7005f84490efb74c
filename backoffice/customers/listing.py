"""The list of customers: its own columns, and those that other domains add."""

from collections.abc import Callable
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, select

from ..base import N_, counted
from ..lists import Column, List, Search, containing
from ..records.listing import column_of
from ..web.additions import columns_of
from .fields import CITY, CODE, CONTACT, COUNTRY, FIELDS, NAME, PHONE
from .models import Customer
from .queries import narrowed_to


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(Customer).where(Customer.merged_into_id.is_(None))


def _record(row: Any) -> str:
    return url_for("customers.record", code=row.code)


_OWN = (
    column_of(NAME, link=_record, classes="cell-name"),
    column_of(CODE, classes="cell-key"),
    column_of(CONTACT),
    column_of(PHONE),
    column_of(CITY),
    column_of(COUNTRY, is_shown=False),
)

_LAST_CHANGE = Column(
    "updated_at", N_("Last change"), Customer.updated_at, kind="moment", is_shown=False
)

_SEARCH = Search(
    "q",
    N_("Search"),
    containing(*(field.column for field in FIELDS)),
    placeholder=N_("Code, name, contact, phone or place"),
)


def of_customer(is_among: Callable[[Select[int]], ColumnElement[bool]]) -> Search:
    """The filter of a list by customer (`narrowed_to`); `is_among` answers the condition for rows of customer ids."""
    return Search(
        "customer", N_("Customer"), lambda text: is_among(narrowed_to(text)), is_quiet=True
    )


def page_of_customer(row: Any) -> str | None:
    """The address of the customer of a row with the `customer_columns`."""
    return url_for("customers.record", code=row.customer_code) if row.customer_code else None


def customer_columns(code: str = "customer_code", **more: Any) -> tuple[Column, Column]:
    """A customer's name and code in another record's list; `more` are further arguments of the name's column."""
    return (
        Column("customer", N_("Customer"), Customer.name, code=code, classes="cell-name", **more),
        Column(code, N_("Customer code"), Customer.code, is_shown=False),
    )


def customers_for(user: Any) -> List:
    """The list as `user` may see it: its columns count only rows that are visible to the user."""
    theirs = columns_of(Customer, user)
    return List(
        "customers",
        N_("Customers"),
        "customers.index",
        export="customers.export",
        rows=_rows,
        key=Customer.id,
        columns=(*_OWN, *theirs, _LAST_CHANGE),
        filters=(_SEARCH,),
        default_sort="name",
        counted=counted("%(num)s customer", "%(num)s customers"),
        new=("customers.new", N_("New customer")),
        nothing_yet=(
            N_("No customers yet"),
            N_("Customers are entered here, or come with the import."),
        ),
        nothing_fits=(
            N_("No customer fits that"),
            N_("Search for a part of the code, of the name or of the place."),
        ),
        classes="customers-table",
    )
