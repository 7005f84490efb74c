"""Screens of calculated readings: list, exports and pages."""

from flask import Blueprint

from .months import DerivedScreens
from .records import CALCULATION

bp = Blueprint("gas_calculations", __name__, url_prefix="/gas/calculations")

screens = DerivedScreens(CALCULATION, "gas/calculations.html")
screens.add_to(bp)
