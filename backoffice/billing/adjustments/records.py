"""The declaration of adjustments: how they are entered, listed, voided and rendered in histories."""

from flask import url_for

from ...base import N_
from ...records import Record, Verb
from ..models import MeterAdjustment
from ..voiding import kept_of, reason_of, void_rendered
from . import actions
from .fields import FIELDS
from .forms import AdjustmentForm
from .listing import ADJUSTMENTS

VOID = Verb(
    "void",
    N_("Make void"),
    actions.void,
    question=N_("Make adjustment %(number)s void?"),
    explains=N_(
        "It no longer counts, and stays visible with the reason. Enter again what was right about it."
    ),
    done=N_("Adjustment %(number)s is void."),
    fields=(reason_of(MeterAdjustment),),
    refuses=actions.refuse_void,
    is_final=True,
)

ADJUSTMENT = Record(
    MeterAdjustment,
    name=MeterAdjustment.number,
    domain="adjustments",
    title=N_("Adjustment"),
    many=ADJUSTMENTS.title,
    new=N_("New adjustment"),
    called=N_("Adjustment %(number)s"),
    saved=N_("Adjustment %(number)s is posted."),
    listing=lambda _user: ADJUSTMENTS,
    reads="billing.read",
    writes="billing.write",
    url="/billing/adjustments",
    list_page="billing/adjustments.html",
    frame="billing/adjustment.html",
    saved_to=lambda _form, adjustment: url_for("meters.record", number=adjustment.meter.number),
    has_path=True,
    append_only=True,
    fields=FIELDS,
    kept=kept_of(MeterAdjustment),
    verbs=(VOID,),
    form=AdjustmentForm,
    create=actions.post,
    rendering=void_rendered,
)

RECORDS = (ADJUSTMENT,)
