"""The screens of the trail: the list of events, and one event with all its changes."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, abort

from .. import lists
from ..app.extensions import db
from ..security.permissions import requires
from ..web.htmx import render
from . import rendering
from .chain.queries import chain_of, is_sealed
from .listing import AUDIT
from .models import AuditEvent

bp = Blueprint("audit", __name__, url_prefix="/audit")


def _beside() -> dict[str, Any]:
    """How events are shown, and the status of the chain."""
    session = db.session()
    return {
        "event_views": partial(rendering.event_views, session),
        "chain": partial(chain_of, session),
    }


lists.add_list(bp, "", "index", "audit.read", lambda: AUDIT, "audit/index.html", _beside)


@bp.get("/<int:event_id>")
@requires("audit.read")
def event(event_id: int) -> Response:
    """One event: who, when, and every field before and after."""
    session = db.session()
    found = session.get(AuditEvent, event_id) if event_id < 2**63 else None
    if found is None:
        abort(404)
    [view] = rendering.event_views(session, [found])
    return render(
        "audit/event.html",
        event=found,
        view=view,
        at=rendering.moment(found.at),
        is_sealed=is_sealed(session, found),
    )
