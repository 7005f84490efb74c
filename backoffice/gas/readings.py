"""What meters have counted: screens as declared."""

from flask import Blueprint

from ..records.screens import Screens
from .records import READING

bp = Blueprint("readings", __name__, url_prefix="/gas/readings")

screens = Screens(READING, "gas/readings.html")
screens.add_to(bp)
