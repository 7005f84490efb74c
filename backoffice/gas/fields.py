"""What a user enters of a reading, a price and a deposit, in the order of the form."""

from decimal import Decimal

from ..base import N_, periods
from ..customers.naming import CUSTOMERS
from ..records import NOT_TO_COME, Amount, Day, Factor, Law, Pick, Quantity, Text, UnitPrice
from .models import Deposit, GasPrice, Reading
from .rules import MAX_FACTOR, MAX_PRICE, MAX_VOLUME, NOTE_LENGTH


def customer_of(column: object) -> Pick:
    """The customer that a column names."""
    return Pick(column, N_("Customer"), of=CUSTOMERS, required=N_("Choose a customer."))  # type: ignore[arg-type]


READ_ON = Day(
    Reading.read_on, N_("Read on"), required=N_("Enter the day of the reading."), usual=periods.today,
    unique_by=(Reading.customer_id,), laws=(NOT_TO_COME,),
    taken=N_("This customer has a reading of that day already. Change that one, or choose another day."),
)  # fmt: skip
METERED_VOLUME = Quantity(
    Reading.metered_volume, N_("Metered volume (m³)"), required=N_("Enter a volume; nothing used is 0."),
    laws=(Law(lambda volume: volume <= MAX_VOLUME, N_("A reading is of at most 999,999.999 m³.")),),
    help=N_("What the meter counted since the reading before."),
)  # fmt: skip
READING_FIELDS = (customer_of(Reading.customer_id), READ_ON, METERED_VOLUME)

PRICE_CUSTOMER = customer_of(GasPrice.customer_id)
EFFECTIVE_FROM = Day(
    GasPrice.effective_from, N_("Effective from"), required=N_("Enter the first day of the price."),
    usual=periods.today, unique_by=(GasPrice.customer_id,),
    taken=N_("This customer has a price from that day already. Change that one, or choose another day."),
)  # fmt: skip
PRICE_PER_SM3 = UnitPrice(
    GasPrice.price_per_sm3, N_("Price per Sm³"), required=N_("Enter a price."),
    laws=(Law(lambda price: price <= MAX_PRICE, N_("A price is at most 99,999.9999.")),),
)  # fmt: skip
CORRECTION_FACTOR = Factor(
    GasPrice.correction_factor, N_("Correction factor"), required=N_("Enter a factor; without correction it is 1."),
    usual=Decimal(1),
    laws=(Law(lambda factor: 0 < factor <= MAX_FACTOR, N_("A factor is above 0 and at most 99.999999.")),),
    help=N_("Metered m³ times this are standard cubic metres (Sm³)."),
)  # fmt: skip
PRICE_FIELDS = (EFFECTIVE_FROM, PRICE_PER_SM3, CORRECTION_FACTOR)
"""The fields of a stored price; its customer never changes, because all their months would lose the price."""

DEPOSITED_ON = Day(
    Deposit.deposited_on, N_("Deposited on"), required=N_("Enter the day of the deposit."), usual=periods.today,
    laws=(NOT_TO_COME,),
)  # fmt: skip
DEPOSIT_AMOUNT = Amount(
    Deposit.amount, N_("Amount"), minimum=None, required=N_("Enter an amount."),
    laws=(Law(lambda amount: amount != 0, N_("A deposit of nothing moves nothing. Enter an amount.")),),
    help=N_("Below zero: what was paid back to the customer."),
)  # fmt: skip
NOTE = Text(Deposit.note, N_("Note"), longest=NOTE_LENGTH)
DEPOSIT_FIELDS = (customer_of(Deposit.customer_id), DEPOSITED_ON, DEPOSIT_AMOUNT, NOTE)
