"""The balances of months: screens as declared."""

from flask import Blueprint

from ..records.screens import Screens
from .records import MONTH

bp = Blueprint("gas_months", __name__, url_prefix="/gas/months")

screens = Screens(MONTH, "gas/months.html")
screens.add_to(bp)
