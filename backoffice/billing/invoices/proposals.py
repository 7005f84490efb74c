"""The values that the form of an invoice fills in once a customer, a meter or a day is chosen.

Typed values are kept: a hidden `proposed_…` field holds what was last filled in for a field.
"""

from wtforms import Field

from ...app.extensions import db
from ...web.forms import Stamp
from .. import queries
from ..models import Meter
from .forms import (
    DAYS_TO_PAY,
    InvoiceForm,
    as_typed_amount,
    as_typed_rate,
    is_typed,
    only_meter_of,
    rates_of,
    text_of,
)


def proposals(form: InvoiceForm, after: str) -> dict[str, str]:
    """The values to fill in after the customer, the meter or the day of issue has changed, by field."""
    customer_id, issued_on = form.customer.data, form.issued_on.data
    if after == "customer" and customer_id is not None:
        if text_of(form.meter) in {meter.number for meter in form.meters()}:
            return {}
        meter = only_meter_of(customer_id)
        return {"meter": meter.number if meter else ""} | _rates(form, meter)
    if after == "meter":
        return _rates(form, queries.meter_of(db.session(), text_of(form.meter)))
    if after == "issued_on" and issued_on is not None:
        due_on = (issued_on + DAYS_TO_PAY).isoformat()
        return _unless_typed(form.due_on, form.proposed_due, due_on)
    return {}


def _rates(form: InvoiceForm, meter: Meter | None) -> dict[str, str]:
    """Rate and fixed charge of the meter's last invoice; a stored invoice keeps its own."""
    if Stamp.read(form.version.data).record_id > 0:
        return {}
    rate, fixed_charge = rates_of(meter)
    return _unless_typed(form.rate, form.proposed_rate, as_typed_rate(rate)) | _unless_typed(
        form.fixed_charge, form.proposed_fixed_charge, as_typed_amount(fixed_charge)
    )


def _unless_typed(field: Field, proposed: Field, now: str) -> dict[str, str]:
    if is_typed(field, proposed) or text_of(field) == now:
        return {}
    return {field.name: now, proposed.name: now}
