"""The declaration of invoices: how they are entered, listed and rendered in histories."""

from typing import TYPE_CHECKING

from flask import current_app
from sqlalchemy.orm import Session, joinedload

from ...base import N_
from ...base.late import Late
from ...records import Record, Values
from ..figures import invoice_amount, invoice_paid
from ..models import Invoice
from ..voiding import kept_of, void_rendered
from . import actions
from .fields import FIELDS
from .forms import InvoiceForm
from .listing import INVOICES
from .verbs import VERBS

if TYPE_CHECKING:
    from ...approvals import actions as approvals
else:
    approvals = Late("backoffice.approvals.actions")


def _update(session: Session, invoice_id: int, values: Values, version: int) -> Invoice:
    """As `actions.update`; a change that needs approval above the limits cannot be made by editing."""
    return actions.update(
        session, invoice_id, values, version,
        waits=lambda act: approvals.waits(session, act, current_app.config),
    )  # fmt: skip


INVOICE = Record(
    Invoice,
    name=Invoice.number,
    domain="invoices",
    title=N_("Invoice"),
    many=INVOICES.title,
    new=N_("New invoice"),
    called=N_("Invoice %(number)s"),
    saved=N_("Invoice %(number)s is saved."),
    listing=lambda _user: INVOICES,
    reads="billing.read",
    writes="billing.write",
    has_path=True,
    fields=FIELDS,
    kept=kept_of(Invoice),
    rendering=void_rendered,
    loads=(joinedload(Invoice.customer), joinedload(Invoice.meter)),
    verbs=VERBS,
    form=InvoiceForm,
    answers={"holds": N_("Which amount holds?"), "anyway": N_("Record anyway")},
    create=actions.create,
    update=_update,
    is_current=actions.check_not_void,
    figures=(invoice_paid, invoice_amount),
    labels={"paid": N_("Paid")},
)

RECORDS = (INVOICE,)
