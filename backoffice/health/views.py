"""Probes: whether the process is alive, and whether it is ready for requests."""

import structlog
from flask import Blueprint, Response, jsonify, make_response, request

from ..app.protection import limiter
from ..security.permissions import stateless
from .checks import readiness

bp = Blueprint("health", __name__)
log = structlog.get_logger("backoffice.health")


@bp.get("/healthz")
@limiter.exempt
@stateless
def alive() -> Response:
    """Whether this process answers; does not use the database."""
    return jsonify(status="ok")


@bp.get("/readyz")
@limiter.exempt
@stateless
def ready() -> Response:
    """Whether this process can serve: the database answers, is migrated, and knows this process's key.

    With ?deep=1 also whether the database has the triggers and definitions of this version.
    """
    state = readiness(deep=request.args.get("deep", "") not in ("", "0"))
    if not state.is_ready:
        log.error("not ready", **state.found)
    body = {name: sentence or "ok" for name, sentence in state.found.items()}
    status, word = (200, "ready") if state.is_ready else (503, "not ready")
    return make_response(jsonify(status=word, checks=body), status)
