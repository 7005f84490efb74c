"""`/metrics`: all metrics, for Prometheus and for administrators."""

from flask import Blueprint, Response, current_app, make_response

from ..app.domain import declared
from ..app.extensions import db
from ..app.protection import limiter
from ..security.permissions import requires

bp = Blueprint("metrics", __name__)

TEXT = "text/plain; version=0.0.4; charset=utf-8"


@bp.get("/metrics")
@limiter.exempt
@requires("metrics.read", scope="metrics")
def scrape() -> Response:
    """Every metric, in Prometheus' text format."""
    from .board import Board, reported
    from .machine import Machine

    db.session.rollback()  # returns the connection that authentication used to the pool
    known = current_app.extensions
    if "metrics" not in known:
        board = Board(db.engine, Machine(current_app.config["REDIS_URL"]), declared().measures)
        known.setdefault("metrics", board)
    response = make_response(reported(known["metrics"]))
    response.headers["Content-Type"] = TEXT
    return response
