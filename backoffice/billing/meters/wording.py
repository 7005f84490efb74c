"""Recorded values of meters, assignments and adjustments, rendered for people."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...base import N_
from ...base.identifiers import whole_number
from ...base.refusals import Refusal
from ...customers.models import Customer
from ...customers.queries import label as customer_label
from ...drift.wording import cause_of_correction
from ...people.actors import Actors
from ...web.formats import day_filter, money_filter, recorded_day
from ...web.formats import in_words as sentence_of
from ..models import Meter
from ..voiding import STATUSES
from .actions import Days

LABELS = {
    "number": N_("Number"),
    "meter_id": N_("Meter"),
    "customer_id": N_("Customer"),
    "description": N_("Description"),
    "assigned_from": N_("From"),
    "assigned_to": N_("Until"),
    "is_active": N_("Active"),
    "adjusted_on": N_("Day"),
    "amount": N_("Amount"),
    "reason": N_("Reason"),
    "status": N_("Status"),
    "void_reason": N_("Why it is void"),
    "invoiced": N_("Invoiced"),
    "adjusted": N_("Adjustments"),
    "paid": N_("Paid"),
    "balance": N_("Balance"),
    "overpayment": N_("Overpayment"),
}
"""Column of a meter, an assignment or an adjustment → its name on screen."""

_AMOUNTS = ("amount", "invoiced", "adjusted", "paid", "balance", "overpayment")


@dataclass(frozen=True)
class MeterWord:
    """The balance status of a meter or customer: its label and tone."""

    label: str
    tone: str


_OWING = MeterWord(N_("Owing"), "warning")
_OVERPAID = MeterWord(N_("Overpaid"), "info")
_CLEAR = MeterWord(N_("Settled"), "good")


def word_of(owner: Meter | Customer) -> MeterWord:
    """The balance status of a meter or customer: owing, overpaid or settled."""
    if owner.balance > 0:
        return _OWING
    return _OVERPAID if owner.overpayment > 0 else _CLEAR


def in_words(refusal: Refusal) -> str:
    """The refusal's sentence, its days as the screens of meters write them."""
    values = {
        name: " – ".join(day_filter(day) or "…" for day in (value.first, value.last))
        if isinstance(value, Days)
        else value
        for name, value in refusal.values.items()
    }
    return sentence_of(type(refusal)(**values))


class MeterWording(Actors):
    """Renders recorded values; the names that it needs are read at once."""

    def __init__(
        self, session: Session, *, customers: Iterable[Any] = (), actors: Iterable[str] = ()
    ) -> None:
        super().__init__(session, actors)
        wanted = {whole_number(str(key)) for key in customers}
        found = session.scalars(select(Customer).where(Customer.id.in_(wanted))) if wanted else ()
        self._customers = {customer.id: customer_label(customer) for customer in found}

    def label(self, column: str) -> str:
        """The name of `column` on screen."""
        return str(_(LABELS.get(column, column)))

    def cause(self, cause: str) -> str:
        """Why a figure was corrected."""
        return cause_of_correction(cause)

    def in_order(self, columns: Iterable[str]) -> list[str]:
        """The columns in the order of the screens; those without a name there come last."""
        places = list(LABELS)
        return sorted(columns, key=lambda c: places.index(c) if c in LABELS else len(places))

    def value(self, column: str, value: Any) -> str:
        """A recorded value of `column`; a dash where there is none."""
        if column == "customer_id" and value is not None:
            return self._customers.get(whole_number(str(value)), f"#{value}")
        if value is None:
            return _OPEN.get(column, "–")
        return _WORDS.get(column, str)(value) if value != "" else "–"


def _money(value: Any) -> str:
    return money_filter(Decimal(str(value)))


def _status(value: Any) -> str:
    return str(_(STATUSES.get(value, value)))


_OPEN = {"assigned_from": "…", "assigned_to": "…"}
"""Column → the sign for an unbounded day."""

_WORDS: dict[str, Callable[[Any], str]] = {
    "assigned_from": recorded_day,
    "assigned_to": recorded_day,
    "adjusted_on": recorded_day,
    "is_active": lambda value: str(_("yes") if value else _("no")),
    "status": _status,
    **dict.fromkeys(_AMOUNTS, _money),
}
"""Column → how its recorded values are written."""
