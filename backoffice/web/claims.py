"""One effect per posted form, on the web side: claim its key, or send the browser where it was sent before."""

from typing import Any

from flask import Response, request
from flask_login import current_user

from ..app.extensions import db
from .htmx import hx_redirect
from .idempotency import once, remember


class Claim:
    """The key that a form was sent with, claimed for an action; see `idempotency.once`.

    `answer` is what the form was answered the first time; None: do the work, and answer `complete`.
    """

    def __init__(self, action: str) -> None:
        """Claim the key of the posted form for `action`."""
        self._names: dict[str, Any] = {
            "user_id": current_user.id,
            "action": action,
            "key": request.form.get("idempotency_key", ""),
        }
        earlier = once(db.session, **self._names, body=request.form)
        self.answer = None if earlier is None else hx_redirect(earlier["location"])

    def complete(self, location: str) -> Response:
        """Send the browser to `location`, and every repetition of the form too."""
        remember(db.session, **self._names, response={"location": location})
        return hx_redirect(location)
