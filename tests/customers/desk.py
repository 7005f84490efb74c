"""What tests of customers share: a form as a browser sends it, and the stored rows."""

from html.parser import HTMLParser
from typing import Any

import psycopg
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict


class _Form(HTMLParser):
    """Collects the successful controls of the form with the action `address`."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.fields: MultiDict[str, str] = MultiDict()
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = (given.get("action") or "").partition("?")[0] == self.address
        is_chosen = given.get("type") not in ("radio", "checkbox") or "checked" in given
        if self._inside and tag == "input" and given.get("name") and is_chosen:
            self.fields.add(str(given["name"]), given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def form(client: FlaskClient, page: str, address: str = "", **changes: Any) -> MultiDict[str, str]:
    """The fields that a browser would send of the form at `page` after these changes."""
    answer = client.get(page)
    assert answer.status_code == 200, answer.text
    return fields_of(answer.text, address or page, **changes)


def fields_of(html: str, address: str, **changes: Any) -> MultiDict[str, str]:
    """The same for a page that is already loaded."""
    reader = _Form(address)
    reader.feed(html)
    assert reader.fields, f"There is no form for {address}."
    for name, value in changes.items():
        reader.fields[name] = value
    return reader.fields


def business_rows(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """The rows of customers, orders and lines, without versions and times."""
    counting = "- 'version' - 'updated_at'"
    return {
        table: connection.execute(
            f"SELECT (to_jsonb(t) {counting})::text FROM {table} t ORDER BY id".encode()
        ).fetchall()
        for table in ("customers", "orders", "order_lines")
    }
