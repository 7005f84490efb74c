"""The edge of a request: one commit, after the view and before the answer.

A view never commits. What it did is committed when its answer is no error; a commit that fails
(a law of the database, a lost connection) still becomes a proper answer. A safe request runs in a
transaction that PostgreSQL itself keeps read-only: no GET changes anything, by accident or otherwise.
"""

from flask import Flask, Response, request

from .extensions import db

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Backoffice(Flask):
    """Flask, with the commit at the edge."""

    def dispatch_request(self) -> Response:
        """Call the view, then commit what it did."""
        response = self.make_response(super().dispatch_request())
        if request.method in SAFE_METHODS:
            return response
        if response.status_code < 400:
            db.session.commit()
        else:
            db.session.rollback()
        return response


def begin() -> None:
    """Begin the request's transaction: read-only unless the method may change something."""
    if request.method in SAFE_METHODS and not db.session().in_transaction():
        db.session.connection(execution_options={"postgresql_readonly": True})
