"""The gas section of a customer's page, and the rows that block a customer's deletion and follow a merge."""

from typing import Any, cast

from sqlalchemy import Date, func

from ..app.extensions import db
from ..base import N_, counted
from ..customers.models import Customer
from ..customers.owned_records import OwnedRecord
from ..records.listing import list_for
from ..security.rights import allowed
from ..web.additions import Addition
from .models import AcceptedMonth, Deposit, GasPrice, Reading
from .queries import has_rows
from .records import DEPOSIT, PRICE, READING, CustomerRecord

_FIRST = func.to_date(AcceptedMonth.year_month, "YYYY-MM", type_=Date)


def _owned(record: CustomerRecord, amount: Any, both_have: str = "") -> OwnedRecord:
    """Rows that users enter for a customer and a day; `both_have` is the refusal where a day may have only one."""
    of_day, listing, model = record.dated, list_for(record, None), cast(Any, record.model)
    return OwnedRecord(
        record.domain, record.many, listing.counted, record.model,
        customer=model.customer_id, label=of_day, day=of_day, amount=amount,
        endpoint=listing.path, is_lockable=True,
        one_per=of_day if both_have else None, both_have=both_have,
    )  # fmt: skip


OWNED = (
    _owned(
        READING, Reading.metered_volume,
        N_(
            "Both customers have a reading of the same day: %(days)s. One customer has one of a day: delete one of the "
            "two, then merge."
        ),
    ),
    _owned(
        PRICE, GasPrice.price_per_sm3,
        N_(
            "Both customers have a price from the same day: %(days)s. One customer has one from a day: delete one of "
            "the two, then merge."
        ),
    ),
    _owned(DEPOSIT, Deposit.amount),
    OwnedRecord(
        "gas_accepted_months", N_("Accepted months"), counted("%(num)s accepted month", "%(num)s accepted months"),
        AcceptedMonth, customer=AcceptedMonth.customer_id, label=AcceptedMonth.year_month, day=_FIRST,
        amount=AcceptedMonth.closing_balance, endpoint="gas_months.index", is_lockable=True,
    ),
)  # fmt: skip

SHOWN = 12
"""Months on a customer's own page, the newest ones."""


def _part(customer: Customer, user: Any, _number: int) -> dict[str, Any] | None:
    """The newest months; None without the permission, or where nothing of gas is entered."""
    entered = (Reading, GasPrice, Deposit)
    if not allowed(user, "gas.read") or not has_rows(db.session(), customer.id, *entered):
        return None
    from .statements.views import about  # late: listing the parts must not import the screens

    return about(customer) | {"SHOWN": SHOWN}


PARTS = (Addition(Customer, "gas/of_customer.html", _part),)
