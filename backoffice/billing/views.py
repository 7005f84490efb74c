"""The blueprint of billing; its screens stand in the modules named after what they show."""

from flask import Blueprint

bp = Blueprint("billing", __name__, url_prefix="/billing")
