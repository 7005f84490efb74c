"""How a customer's balance was calculated from their meters; the meters' own pages show the documents."""

from flask import Response, abort, url_for
from sqlalchemy import select

from .. import figures
from ..app.extensions import db
from ..customers import queries as customers
from ..customers.models import Customer
from ..drift.marks import marks
from ..records.calculations import Wording
from ..security.permissions import requires
from ..web.htmx import render
from .figures import customer_balance
from .meters.listing import BALANCES
from .models import Meter, MeterAssignment
from .views import bp


@bp.get("/customers/<path:code>/calculation/<name>")
@requires("billing.read")
def customer_calculation(code: str, name: str) -> Response:
    """How a customer's balance or overpayment was calculated from their meters."""
    customer = customers.by_code(db.session(), code)
    if customer is None or customer.merged_into_id is not None or name not in BALANCES:
        abort(404)
    explanation = figures.explain(db.session(), customer_balance, customer.id) or abort(404)
    column = explanation.of(name)
    return render(
        "billing/customer_calculation.html",
        customer=customer,
        name=name,
        marks=marks({customer_balance: [customer.id]}),
        explained=column,
        corrections=explanation.corrections_of(name),
        wording=Wording(db.session(), explanation),
        inactive=_inactive_meters_of(customer),
        link_of_row=lambda row: url_for(
            "meters.calculation_of", number=row.values["number"], column=name
        ),
    )


def _inactive_meters_of(customer: Customer) -> list[Meter]:
    """The meters that are or were assigned to a customer and do not count in their balance."""
    assigned = select(MeterAssignment.meter_id).where(MeterAssignment.customer_id == customer.id)
    return list(
        db.session.scalars(
            select(Meter)
            .where(
                Meter.id.in_(assigned), Meter.id.not_in(assigned.where(MeterAssignment.is_active))
            )
            .order_by(Meter.number)
        )
    )
