"""Gas when customers are deleted and merged."""

from sqlalchemy import Date, func

from ..base import N_, counted
from ..customers.owned_records import Belonging
from .models import AcceptedMonth, Deposit, GasPrice, Reading

_FIRST = func.to_date(AcceptedMonth.year_month, "YYYY-MM", type_=Date)

OWNED = (
    Belonging(
        "readings", N_("Readings"), counted("%(num)s reading", "%(num)s readings"), Reading,
        customer=Reading.customer_id, label=Reading.read_on, day=Reading.read_on,
        amount=Reading.metered_volume, endpoint="readings.index", is_lockable=True, one_per=Reading.read_on,
        both_have=N_(
            "Both customers have a reading of the same day: %(days)s. One customer has one of a day: delete one of the "
            "two, then merge."
        ),
    ),
    Belonging(
        "gas_prices", N_("Gas prices"), counted("%(num)s gas price", "%(num)s gas prices"), GasPrice,
        customer=GasPrice.customer_id, label=GasPrice.effective_from, day=GasPrice.effective_from,
        amount=GasPrice.price_per_sm3, endpoint="gas_prices.index", is_lockable=True, one_per=GasPrice.effective_from,
        both_have=N_(
            "Both customers have a price from the same day: %(days)s. One customer has one from a day: delete one of "
            "the two, then merge."
        ),
    ),
    Belonging(
        "deposits", N_("Deposits"), counted("%(num)s deposit", "%(num)s deposits"), Deposit,
        customer=Deposit.customer_id, label=Deposit.deposited_on, day=Deposit.deposited_on,
        amount=Deposit.amount, endpoint="deposits.index", is_lockable=True,
    ),
    Belonging(
        "gas_accepted_months", N_("Accepted months"), counted("%(num)s accepted month", "%(num)s accepted months"),
        AcceptedMonth, customer=AcceptedMonth.customer_id, label=AcceptedMonth.year_month, day=_FIRST,
        amount=AcceptedMonth.closing_balance, endpoint="gas_months.index", is_lockable=True,
    ),
)  # fmt: skip
