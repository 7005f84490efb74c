"""Screens of deposits, as declared."""

from flask import Blueprint, url_for

from ..records.screens import Screens
from .records import DEPOSIT

bp = Blueprint("deposits", __name__, url_prefix="/gas/deposits")

screens = Screens(
    DEPOSIT, "gas/deposits.html",
    saved_to=lambda _form, row: url_for("gas.statement", code=row.customer.code),
)  # fmt: skip
screens.add_to(bp)
