"""Old addresses of renamed records lead to the present ones, for those who read."""

from string import punctuation
from typing import Any, NoReturn
from urllib.parse import quote

from flask import abort, request, url_for
from flask_login import current_user
from werkzeug.routing import RequestRedirect

from ..app.extensions import db
from ..base import N_
from ..base.refusals import Refusal
from .declaration import Record, Row
from .listing import row_once_named

READING = ("GET", "HEAD")


class RecordRenamed(Refusal):
    """A write to a former name: the program may mean the next record of that name, or one that is gone."""

    sentence = N_("%(former)s is now %(present)s. Use the present name.")
    status = 404


def row_formerly_named(record: Record, program: Any, name: str) -> Row | None:
    """The row that was called so before, for a program that reads. Raises RecordRenamed for one that writes."""
    row = row_once_named(db.session(), record, program, name)
    if row is not None and request.method not in READING:
        raise RecordRenamed(former=name, present=record.name_of(row))
    return row


def leave_for_present(record: Record, name: str) -> NoReturn:
    """Redirect to the row that was called so before, at the same page of it; else 404.

    Only what is read: a form that was opened under the old name is sent again by hand.
    """
    row = row_once_named(db.session(), record, current_user, name)
    if row is None or request.method not in READING or request.endpoint is None:
        abort(404)
    named: dict[str, Any] = {**(request.view_args or {}), record.argument: record.name_of(row)}
    # The query as it was sent: as values of url_for, arguments such as `_external` would be its options.
    query = quote(request.query_string, safe=punctuation)
    raise RequestRedirect(url_for(request.endpoint, **named) + (query and f"?{query}"))
