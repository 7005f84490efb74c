"""Reading the screens of targets as a browser does."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from tests.orders.pages import _read


def fields_of(html: str, form_id: str) -> MultiDict[str, str]:
    """The fields that a browser would send if the form were submitted unchanged."""
    return _read(html, form_id).fields


def filled(client: FlaskClient, path: str, form_id: str, **changes: Any) -> MultiDict[str, str]:
    """The form at `path` with some fields replaced."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    typed = fields_of(page.text, form_id)
    for name, value in changes.items():
        typed[name] = value
    return typed
