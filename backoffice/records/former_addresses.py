"""Old addresses of renamed records lead to the present ones."""

from typing import Any, NoReturn

from flask import abort, request, url_for
from flask_login import current_user
from werkzeug.routing import RequestRedirect

from ..app.extensions import db
from .declaration import Record
from .listing import row_once_named


def leave_for_present(record: Record, name: str) -> NoReturn:
    """Redirect to the row that was called so before, at the same page of it; else 404.

    Only what is read: a form that was opened under the old name is sent again by hand.
    """
    row = row_once_named(db.session(), record, current_user, name)
    if row is None or request.method != "GET" or request.endpoint is None:
        abort(404)
    named: dict[str, Any] = {**request.args.to_dict(), **(request.view_args or {})}
    raise RequestRedirect(
        url_for(request.endpoint, **named | {record.argument: record.name_of(row)})
    )
