"""How customers are named where other records refer to them."""

from ..base import N_
from ..records import Named
from . import queries
from .models import Customer

OFFERED = 200

CUSTOMERS = Named(
    Customer.code,
    meant=queries.meant_by,
    label=queries.label,
    none=N_("No customer is called that. Type a code or a part of the name."),
    several=N_("Several customers fit that. Choose one from the list."),
    offered=lambda session: queries.search(session, "", limit=OFFERED),
    options="customers.options",
    page="customers.record",
)
