"""What readings come to: screens as declared."""

from flask import Blueprint

from ..records.screens import Screens
from .records import CALCULATION

bp = Blueprint("gas_calculations", __name__, url_prefix="/gas/calculations")

screens = Screens(CALCULATION, "gas/calculations.html")
screens.add_to(bp)
