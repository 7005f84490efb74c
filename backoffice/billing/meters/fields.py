"""The fields of a meter, in the order of the form."""

from ...base import N_
from ...base.identifiers import NUMBER_SAYS
from ...records import Law, Text
from ..models import Meter
from ..rules import NUMBER_LENGTH, is_number

FIELDS = (
    Text(
        Meter.number, N_("Number"), longest=NUMBER_LENGTH, required=N_("Enter the number of the meter."),
        laws=(Law(is_number, NUMBER_SAYS),),
        taken=N_("There is already a meter %(number)s. Choose another number."),
        help=N_("Invoices and payments refer to the meter by it."), attributes={"spellcheck": "false"},
    ),
    Text(Meter.description, N_("Description"), help=N_("Where it is, or what one knows it by.")),
)  # fmt: skip

NUMBER, DESCRIPTION = FIELDS
