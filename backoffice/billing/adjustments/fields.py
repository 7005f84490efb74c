"""The fields of an adjustment, in the order of the form."""

from ...base import N_, periods
from ...base.identifiers import NUMBER_SAYS
from ...customers.naming import CUSTOMERS
from ...records import NOT_TO_COME, Amount, Day, Law, Notes, Pick, Text
from ..meters.naming import METERS
from ..models import MeterAdjustment
from ..rules import NUMBER_LENGTH, REASON_LENGTH, is_number
from .actions import number_for

OF_NOTHING = N_("An adjustment of 0 changes nothing. Enter what is to be owed in addition or less.")

FIELDS = (
    Pick(MeterAdjustment.meter_id, N_("Meter"), of=METERS, required=N_("Choose a meter.")),
    Amount(
        MeterAdjustment.amount, N_("Amount"), minimum=None, required=N_("Enter an amount."),
        laws=(Law(lambda amount: amount != 0, OF_NOTHING),),
        help=N_("An amount above zero is owed in addition; one below zero is owed less."),
    ),
    Notes(
        MeterAdjustment.reason, N_("Reason"), longest=REASON_LENGTH, required=N_("Say why, in a few words."),
        attributes={"rows": "2"},
    ),
    Day(
        MeterAdjustment.adjusted_on, N_("Day"), required=N_("Enter a day."), usual=periods.today,
        laws=(NOT_TO_COME,),
    ),
    Pick(
        MeterAdjustment.customer_id, N_("Customer"), of=CUSTOMERS,
        help=N_("Leave it empty for the customer who had the meter on that day."),
    ),
    Text(
        MeterAdjustment.number, N_("Number"), longest=NUMBER_LENGTH, laws=(Law(is_number, NUMBER_SAYS),),
        taken=N_("There is already an adjustment %(number)s. Choose another number."),
        help=N_("Leave it empty for the next one."), given=number_for, attributes={"spellcheck": "false"},
    ),
)  # fmt: skip
