"""The list of customers: its own columns, and what other domains know of each."""

from typing import Any

from flask import url_for
from sqlalchemy import Select, select

from ..base import N_, counted
from ..lists import Column, List, Search, containing
from ..web.additions import columns_of
from .models import Customer
from .rules import FACTS


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(Customer).where(Customer.merged_into_id.is_(None))


def _record(row: Any) -> str:
    return url_for("customers.record", code=row.code)


LABELS = {
    "code": N_("Code"),
    "name": N_("Name"),
    "contact_name": N_("Contact"),
    "phone": N_("Phone"),
    "city": N_("City"),
    "country": N_("Country"),
}
"""Facts, and their names on screen."""


_OWN = (
    Column("name", LABELS["name"], Customer.name, link=_record, classes="cell-name"),
    Column("code", LABELS["code"], Customer.code, classes="cell-key"),
    Column("contact_name", LABELS["contact_name"], Customer.contact_name),
    Column("phone", LABELS["phone"], Customer.phone),
    Column("city", LABELS["city"], Customer.city),
    Column("country", LABELS["country"], Customer.country, is_shown=False),
)

_LAST_CHANGE = Column(
    "updated_at", N_("Last change"), Customer.updated_at, kind="moment", is_shown=False
)

_SEARCH = Search(
    "q",
    N_("Search"),
    containing(*(getattr(Customer, name) for name in FACTS)),
    placeholder=N_("Code, name, contact, phone or place"),
)


def customers_for(user: Any) -> List:
    """The list as `user` may see it: what they may not see of others adds nothing to its figures."""
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
