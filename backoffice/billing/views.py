"""The blueprint of billing; its views are in the modules named after what they show."""

from flask import Blueprint

bp = Blueprint("billing", __name__, url_prefix="/billing")
