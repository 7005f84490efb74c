"""The form of an invoice: its live preview, its questions, and its validation beyond the single fields."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from wtforms import Field, HiddenField, ValidationError

from ...app.extensions import db
from ...base import money, periods
from ...base.periods import read_day
from ...base.refusals import Refusal
from ...customers import queries as customers
from ...records.forms import OfRecord, Question
from ...web.formats import in_words, money_filter
from ...web.preferences import number_format
from .. import queries
from ..models import Meter
from .actions import payments_naming
from .charges import Charges, compute, problems_of, problems_of_days, usage_of
from .fields import PLACED
from .queries import invoices_like, last_rates_of, meters_of

DAYS_TO_PAY = timedelta(days=30)
"""From the day of an invoice to the day that is proposed as its due date."""

OFFERED = 200
"""Customers in a form's list from the start; beyond that it follows what is typed."""


@dataclass(frozen=True)
class Preview:
    """The amount of the typed charges; None where one of them cannot be read.

    `usage` is units × rate, None too where no units are typed. `note` is the sentence under the
    amount; `problems` says why an amount that is known could not be saved.
    """

    amount: Decimal | None
    usage: Decimal | None
    note: str
    problems: dict[str, Refusal]


class InvoiceForm(OfRecord):
    """An invoice: customer, meter, days, and units × rate + fixed charge or one amount.

    The hidden `proposed_…` hold what was last filled in for a field, so that typed values are kept.
    """

    inputs_page = "billing/invoice_inputs.html"
    outputs = "billing/invoice_outputs.html"
    classes = "order-form"
    placed = PLACED

    proposed_due = HiddenField()
    proposed_rate = HiddenField()
    proposed_fixed_charge = HiddenField()

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        """Proposed values for the customer, the meter and the days in the URL."""
        asked, session = request.args, db.session()
        customer = customers.by_code(session, asked.get("customer", ""))
        meter = queries.meter_of(session, asked.get("meter", ""))
        if customer is not None and meter is None:
            meter = only_meter_of(customer.id)
        issued_on = read_day(asked.get("issued_on", "")) or periods.today()
        rate, fixed_charge = rates_of(meter)
        return {
            "customer": customer.id if customer else None,
            "meter": meter.id if meter else None,
            "issued_on": issued_on,
            "due_on": read_day(asked.get("due_on", "")) or issued_on + DAYS_TO_PAY,
            "proposed_due": (issued_on + DAYS_TO_PAY).isoformat(),
            "rate": rate,
            "proposed_rate": as_typed_rate(rate),
            "fixed_charge": fixed_charge,
            "proposed_fixed_charge": as_typed_amount(fixed_charge),
        }

    # Entered values

    def charges(self) -> Charges:
        """The charges: units and rate, or the typed amount alone where the user chose that it holds.

        A choice made for other amounts than these is ignored.
        """
        computed, typed = self._two_amounts()
        if (
            typed is not None
            and computed != typed
            and self.holds.data == f"typed {computed} {typed}"
        ):
            return Charges(amount=typed)
        return self.usage()

    def usage(self) -> Charges:
        """Units, rate and fixed charge as typed; empty or unreadable values are 0, but empty units are None."""
        is_unreadable = self.units.data is None and self.units.process_errors
        typed = {name: self[name].data for name in ("units", "rate", "fixed_charge", "amount")}
        return Charges.of(typed | ({"units": Decimal(0)} if is_unreadable else {}))

    def values(self) -> dict[str, Any]:
        """The entered values; an empty due date gets its default, and an empty number keeps the stored one."""
        values = super().values() | self.charges().values()
        values["number"] = values["number"] or (self.row.number if self.row else "")
        values["due_on"] = values["due_on"] or values["issued_on"] + DAYS_TO_PAY
        return values

    # Validation

    def validate_meter(self, field: Field) -> None:
        """The meter is or was assigned to the customer; only an invoice without a meter may stay so."""
        present = self.row.meter_id if self.row else None
        if field.data is None and not field.errors and (self.row is None or present is not None):
            raise ValidationError(_("Choose a meter: without one the invoice would count nowhere."))
        if field.data is None or self.customer.data is None or field.data == present:
            return
        theirs = {meter.id: meter for meter in self.meters()}
        if field.data not in theirs:
            number = db.session.get_one(Meter, field.data).number
            said = _(
                "%(meter)s is not a meter of this customer. Choose one of theirs, or assign it to them first.",
                meter=number,
            )
            raise ValidationError(said)

    def validate_due_on(self, field: Field) -> None:
        """An invoice is not due before it is issued."""
        for refusal in problems_of_days(self.issued_on.data, field.data).values():
            raise ValidationError(in_words(refusal))

    def problems(self) -> Mapping[str, Refusal]:
        """The errors of the charges, by field."""
        return self.preview().problems

    def meters(self) -> Sequence[Meter]:
        """The meters to choose from: the typed customer's, those that are theirs now first."""
        return meters_of(db.session(), self.customer.data) if self.customer.data else []

    # Questions

    def questions(self) -> Iterator[Question]:
        """Which of two amounts holds, and whether an invoice like another is recorded anyway."""
        computed, typed = self._two_amounts()
        if computed != typed:
            words = {
                f"computed {computed} {typed}": _(
                    "%(amount)s, computed from units, rate and fixed charge",
                    amount=money_filter(computed, symbol=True),
                ),
                f"typed {computed} {typed}": _(
                    "%(amount)s, as typed; units, rate and fixed charge are then not kept",
                    amount=money_filter(typed, symbol=True),
                ),
            }
            yield Question("holds", _("Which amount holds?"), words)
        if numbers := self._numbers_like_it():
            yield Question(
                "anyway",
                _("There is already invoice"),
                {" / ".join(numbers): _("Record anyway")},
                help=_("It is of the same meter, the same month and the same amount."),
                about={number: url_for("invoices.record", number=number) for number in numbers},
            )

    def _two_amounts(self) -> tuple[Decimal | None, Decimal | None]:
        """The computed and the typed amount; both None where one of them is missing or unreadable."""
        typed, charges = self.amount.data, self.usage()
        is_whole = None not in (typed, charges.units, charges.rate)
        if not is_whole or any(
            self[name].process_errors for name in ("units", "rate", "fixed_charge")
        ):
            return None, None
        return compute(db.session(), charges), typed

    def _numbers_like_it(self) -> Sequence[str]:
        """The numbers of posted invoices like the entered one; none if it already was like them when stored."""
        values, stored = self.values(), self.row
        amount, day = compute(db.session(), self.charges()), values["issued_on"]
        if stored is not None:
            was = stored.meter_id, stored.amount, stored.issued_on.replace(day=1)
            if was == (values["meter"], amount, day.replace(day=1)):
                return ()
        besides = stored.id if stored else 0
        return invoices_like(db.session(), values["meter"], amount, day, besides)

    # Display

    def live(self) -> dict[str, Any]:
        """The amount."""
        return {"preview": self.preview()}

    def beside(self) -> dict[str, Any]:
        """Customers to choose from, the field with the initial focus, and how many payments name the invoice."""
        offered = customers.search(db.session(), "", limit=OFFERED)
        named_by = len(payments_naming(db.session(), self.row.id)) if self.row else 0
        first = "" if self.is_submitted() else self._first()
        return {"offered": offered, "OFFERED": OFFERED, "first": first, "named_by": named_by}

    def _first(self) -> str:
        if self.row is not None:
            return "amount" if self.row.units is None else "units"
        return next((name for name in ("customer", "meter") if not self[name].data), "units")

    def preview(self) -> Preview:
        """The amount of the typed values, computed as it is when they are saved."""
        charges, session = self.charges(), db.session()
        unreadable = list(self._unreadable())
        amount = compute(session, charges)
        problems = {} if unreadable else problems_of(charges, amount)
        notes = unreadable or [self._at(name, in_words(p)) for name, p in problems.items()]
        is_another = not charges.is_entered and self.amount.data not in (None, amount)
        if is_another and not notes and not self.holds.data:
            notes = [_("Another amount is typed as well. Saving asks which of the two holds.")]
        is_begun = any(self[name].data is not None for name in ("units", "amount")) or (
            is_typed(self.rate, self.proposed_rate)
            or is_typed(self.fixed_charge, self.proposed_fixed_charge)
        )
        return Preview(
            amount=None if unreadable else amount,
            usage=None if unreadable or charges.is_entered else usage_of(session, charges),
            note=notes[0] if notes and (unreadable or is_begun) else "",
            problems=problems,
        )

    def _unreadable(self) -> Iterator[str]:
        """A sentence for each number that cannot be read and would count."""
        names = ["units", "rate", "fixed_charge"]
        if self.units.data is None and not self.units.process_errors:
            names.append("amount")
        for name in names:
            yield from (self._at(name, message) for message in self[name].process_errors)

    def _at(self, name: str, problem: str) -> str:
        return str(_("%(field)s: %(problem)s", field=self[name].label.text, problem=problem))


def is_typed(field: Field, proposed: Field) -> bool:
    """Whether the posted field holds another value than the proposed one."""
    return text_of(field) not in ("", proposed.data)


def text_of(field: Field) -> str:
    """What was typed."""
    return str((field.raw_data or [""])[0])


def as_typed_rate(rate: Decimal | None) -> str:
    """A rate as the user would type it."""
    return "" if rate is None else money.format_unit_price(rate, number_format())


def as_typed_amount(amount: Decimal | None) -> str:
    """An amount as the user would type it."""
    return "" if amount is None else money.format_amount(amount, number_format())


def rates_of(meter: Meter | None) -> tuple[Decimal | None, Decimal | None]:
    """Rate and fixed charge of the meter's last invoice; a fixed charge of 0 is None."""
    rate, fixed_charge = (last_rates_of(db.session(), meter.id) if meter else None) or (None, None)
    return rate, fixed_charge or None


def only_meter_of(customer_id: int) -> Meter | None:
    """The customer's active meter, if there is exactly one."""
    active = queries.active_meters_of(db.session(), customer_id)
    return active[0] if len(active) == 1 else None
