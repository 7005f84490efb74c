"""One effect per posted form, on the web side: claim its key, or repeat the first redirect."""

from typing import Any

from flask import Response, abort, request
from flask_login import current_user

from ..app.extensions import db
from .htmx import hx_redirect
from .idempotency import once, remember


class Claim:
    """The idempotency key of a form, claimed for an action: do the work, then return `complete`.

    If the form was submitted before, the request ends here with the first response; see `idempotency.once`.
    """

    def __init__(self, action: str) -> None:
        self._names: dict[str, Any] = {
            "user_id": current_user.id,
            "action": action,
            "key": request.form.get("idempotency_key", ""),
        }
        earlier = once(db.session, **self._names, body=request.form)
        if earlier is not None:
            abort(hx_redirect(earlier["location"]))

    def complete(self, location: str) -> Response:
        """Redirect the browser to `location`, now and on every repetition of the form."""
        remember(db.session, **self._names, response={"location": location})
        return hx_redirect(location)
