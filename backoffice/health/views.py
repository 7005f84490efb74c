"""Probes: whether the process is alive, and whether it is ready for requests."""

from typing import Any, cast

import structlog
from flask import Blueprint, Response, current_app, jsonify, make_response, request, session
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from ..app.extensions import db
from ..app.protection import limiter
from ..security.bearer import program_for
from ..security.permissions import allowed, stateless
from .checks import Readiness, readiness
from .sharing import Shared

bp = Blueprint("health", __name__)
SHARED = 5.0
"""Seconds for which strangers get the same examination, which takes a processor 60 ms."""

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

    With ?deep=1 also whether the database has the triggers and definitions of this version. Whoever may read /metrics
    sees what is wrong, as it is now; all others see which check failed, and share an examination for some seconds.
    """
    if request.args.get("deep", "") in ("", "0"):
        return _answer(_examined(), is_named=True)
    shared: Shared = current_app.extensions.setdefault("readiness", Shared())
    is_named = _may_read_metrics()
    state = shared.get(0 if is_named else SHARED, lambda: _examined(deep=True))
    return _answer(state, is_named=is_named)


def _examined(*, deep: bool = False) -> Readiness:
    state = readiness(deep=deep)
    if not state.is_ready:
        log.error("not ready", **state.found)
    return state


def _answer(state: Readiness, *, is_named: bool) -> Response:
    failed = {name: sentence if is_named else "failed" for name, sentence in state.found.items()}
    body = {name: failed[name] if sentence else "ok" for name, sentence in state.found.items()}
    status, word = (200, "ready") if state.is_ready else (503, "not ready")
    return make_response(jsonify(status=word, checks=body), status)


def _may_read_metrics() -> bool:
    """Whether the caller has what opens /metrics: a token of its scope, or the sign-in of an administrator.

    Raises TokenRefused for another token.
    """
    own: Any = session
    try:
        if program_for("metrics", "metrics.read") is not None:
            return True
        own.start_over()  # it was given up, because no probe needs it
        user = cast(Any, current_user)
        return bool(user.is_authenticated) and allowed(user, "metrics.read")
    except SQLAlchemyError:
        return False  # the database does not answer, which the probe reports
    finally:
        own.give_up()
        db.session.rollback()  # returns the connection to the pool
