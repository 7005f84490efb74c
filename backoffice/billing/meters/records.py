"""The declaration of meters: how they are entered, listed and rendered in histories."""

from ...audit.tables import Recorded
from ...base import N_
from ...records import Record
from ..figures import meter_balance, meter_totals
from ..models import Meter, MeterAdjustment, MeterAssignment
from .fields import FIELDS
from .history import parts_rendered
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
    fields=FIELDS,
    parts=(MeterAssignment.meter_id, MeterAdjustment.meter_id),
    rendering=parts_rendered,
    figures=(meter_totals, meter_balance),
    recalculated="meter",
)

RECORDS = (METER,)
RECORDED = (
    Recorded(
        N_("Assignment of a meter"), MeterAssignment, part_of=MeterAssignment.meter_id, labels=LABELS,
    ),
)  # fmt: skip
