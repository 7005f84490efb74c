"""Meters, as they are entered, listed and told."""

from ...audit.tables import Recorded
from ...base import N_
from ...base.identifiers import NUMBER_SAYS
from ...records import Law, Record, Text
from ..models import Meter, MeterAdjustment, MeterAssignment
from ..rules import NUMBER_LENGTH, is_number
from .history import parts_told
from .listing import METERS
from .wording import LABELS

METER = Record(
    Meter,
    name=Meter.number,
    domain="meters",
    title=N_("Meter"),
    many=METERS.title,
    new=N_("New meter"),
    called=N_("Meter %(number)s"),
    saved=N_("Meter %(number)s is saved."),
    listing=lambda _user: METERS,
    reads="billing.read",
    writes="billing.write",
    has_path=True,
    fields=(
        Text(
            Meter.number, LABELS["number"], longest=NUMBER_LENGTH, required=N_("Enter the number of the meter."),
            laws=(Law(is_number, NUMBER_SAYS),),
            taken=N_("There is already a meter %(number)s. Choose another number."),
            help=N_("Invoices and payments refer to the meter by it."), attributes={"spellcheck": "false"},
        ),
        Text(Meter.description, LABELS["description"], help=N_("Where it is, or what one knows it by.")),
    ),
    parts=(MeterAssignment.meter_id, MeterAdjustment.meter_id),
    telling=parts_told,
)  # fmt: skip

RECORDS = (METER,)
RECORDED = (
    Recorded(
        N_("Assignment of a meter"), MeterAssignment, part_of=MeterAssignment.meter_id, labels=LABELS,
    ),
    Recorded(
        N_("Adjustment"), MeterAdjustment, name=MeterAdjustment.number,
        endpoint="billing.adjustment", argument="number", labels=LABELS,
    ),
)  # fmt: skip
