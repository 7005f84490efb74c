"""What the form of an invoice fills in by itself: the only meter, its last rates, the due date.

What somebody typed stays: a hidden `proposed_…` field holds what was last filled in for a field.
"""

from datetime import date
from decimal import Decimal

from wtforms import Field

from ...app.extensions import db
from ...base import periods
from ...customers import queries as customers
from ...customers.models import Customer
from ...web.idempotency import new_key
from ...web.typed_fields import AmountField
from .. import queries
from ..models import Meter
from .forms import DAYS_TO_PAY, InvoiceForm
from .queries import last_rates_of


def new_form(
    customer: Customer | None,
    meter: Meter | None,
    issued_on: date | None = None,
    due_on: date | None = None,
) -> InvoiceForm:
    """A form for a new invoice with all that can be proposed; without days it is issued today."""
    if customer is not None and meter is None:
        meter = _only_meter_of(customer)
    issued_on = issued_on or periods.today()
    rate, fixed_charge = _last_rates_of(meter)
    data = {
        "customer": customers.label(customer) if customer else "",
        "meter": meter.number if meter else "",
        "issued_on": issued_on,
        "due_on": due_on or issued_on + DAYS_TO_PAY,
        "proposed_due": (issued_on + DAYS_TO_PAY).isoformat(),
        "rate": rate,
        "fixed_charge": fixed_charge,
        "version": "0",
        "idempotency_key": new_key(),
    }
    form = InvoiceForm(None, formdata=None, data=data)
    form.proposed_rate.data = _written(form.rate, rate)
    form.proposed_fixed_charge.data = _written(form.fixed_charge, fixed_charge)
    return form


def proposals(form: InvoiceForm, after: str) -> dict[str, str]:
    """What to fill in after the customer, the meter or the day of issue was changed, by field."""
    customer, issued_on = form.typed_customer(), form.issued_on.data
    if after == "customer" and customer is not None:
        if form.meter.data in {meter.number for meter in form.meters()}:
            return {}
        meter = _only_meter_of(customer)
        return {"meter": meter.number if meter else ""} | _rates(form, meter)
    if after == "meter":
        return _rates(form, queries.meter_of(db.session(), form.meter.data))
    if after == "issued_on" and issued_on is not None:
        due_on = (issued_on + DAYS_TO_PAY).isoformat()
        return _unless_typed(form.due_on, form.proposed_due, due_on)
    return {}


def _rates(form: InvoiceForm, meter: Meter | None) -> dict[str, str]:
    """Rate and fixed charge of the meter's last invoice; an invoice that is stored keeps its own."""
    if form.version.data != "0":
        return {}
    rate, fixed_charge = _last_rates_of(meter)
    return _unless_typed(form.rate, form.proposed_rate, _written(form.rate, rate)) | _unless_typed(
        form.fixed_charge, form.proposed_fixed_charge, _written(form.fixed_charge, fixed_charge)
    )


def is_typed(field: Field, proposed: Field) -> bool:
    """Whether the posted field holds something else than what was filled in."""
    return _text_of(field) not in ("", proposed.data)


def _unless_typed(field: Field, proposed: Field, now: str) -> dict[str, str]:
    if is_typed(field, proposed) or _text_of(field) == now:
        return {}
    return {field.name: now, proposed.name: now}


def _text_of(field: Field) -> str:
    return str((field.raw_data or [""])[0])


def _written(field: AmountField, value: Decimal | None) -> str:
    return "" if value is None else field.write(value)


def _last_rates_of(meter: Meter | None) -> tuple[Decimal | None, Decimal | None]:
    """Rate and fixed charge of the meter's last invoice; none, too, for a fixed charge of nothing."""
    rate, fixed_charge = (last_rates_of(db.session(), meter.id) if meter else None) or (None, None)
    return rate, fixed_charge or None


def _only_meter_of(customer: Customer) -> Meter | None:
    """The meter that an invoice of this customer is for, where there can be no doubt."""
    active = queries.active_meters_of(db.session(), customer.id)
    return active[0] if len(active) == 1 else None
