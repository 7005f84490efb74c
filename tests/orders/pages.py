"""Reading a page as a browser does: the fields of its form, and the text of its outputs."""

from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict


class _Reader(HTMLParser):
    """Collects the successful controls of one form, the outputs by id, and all text."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.fields: MultiDict[str, str] = MultiDict()
        self.outputs: dict[str, str] = {}
        self.words: list[str] = []
        self._inside = False
        self._select: str | None = None
        self._first_option: str | None = None
        self._output: str | None = None
        self._textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = given.get("id") == self.form_id
        elif tag == "output":
            self._output = given.get("id") or ""
            self.outputs[self._output] = ""
        elif self._inside and tag == "input" and given.get("name"):
            if given.get("type") in ("radio", "checkbox") and "checked" not in given:
                return
            self.fields.add(str(given["name"]), given.get("value") or "")
        elif self._inside and tag == "select":
            self._select, self._first_option = given.get("name"), None
        elif self._inside and tag == "textarea" and given.get("name"):
            self._textarea = str(given["name"])
            self.fields.add(self._textarea, "")
        elif tag == "option" and self._select:
            if self._first_option is None:
                self._first_option = given.get("value") or ""
            if "selected" in given:
                self._first_option = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select" and self._select:
            self.fields.add(self._select, self._first_option or "")
            self._select = None
        elif tag == "output":
            self._output = None
        elif tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._textarea is not None:
            typed = (self.fields[self._textarea] + data).removeprefix("\n")
            self.fields[self._textarea] = typed.removeprefix("\r\n")
        if self._output is not None:
            self.outputs[self._output] = (self.outputs[self._output] + data).strip()


def _read(html: str, form_id: str = "order-form") -> _Reader:
    reader = _Reader(form_id)
    reader.feed(html)
    return reader


def fields_of(html: str) -> MultiDict[str, str]:
    """The fields that a browser would send if the order form in `html` were submitted unchanged."""
    return _read(html).fields


def outputs_of(html: str) -> dict[str, str]:
    """The text of every `<output>` by its id."""
    return _read(html).outputs


def text_of(html: str) -> str:
    """All text, white space collapsed."""
    return " ".join(" ".join(_read(html).words).split())


def filled(client: FlaskClient, path: str, **changes: Any) -> MultiDict[str, str]:
    """The form at `path` with some fields replaced; `lines=[("package", "A", "1", "10")]` adds lines."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    typed = fields_of(page.text)
    for kind, description, quantity, unit_price in changes.pop("lines", ()):
        index = sum(name.endswith("-kind") for name in typed)
        typed.add("itemised", kind)
        typed[f"lines-{index}-kind"] = kind
        typed[f"lines-{index}-description"] = description
        typed[f"lines-{index}-quantity"] = quantity
        typed[f"lines-{index}-unit_price"] = unit_price
    for name, value in changes.items():
        typed[name] = value
    return typed
