"""Adjustments: list, form, files and voiding as declared; their head shows the amount and the meter."""

from flask import Blueprint, url_for

from ...records.screens import Screens
from .records import ADJUSTMENT

bp = Blueprint("adjustments", __name__, url_prefix="/billing/adjustments")

screens = Screens(
    ADJUSTMENT, "billing/adjustments.html", frame="billing/adjustment.html",
    saved_to=lambda _form, adjustment: url_for("meters.record", number=adjustment.meter.number),
)  # fmt: skip
screens.add_to(bp)
