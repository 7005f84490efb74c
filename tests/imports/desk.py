"""Importing in the browser, with the forms of the screens."""

import re
from dataclasses import dataclass
from html import unescape
from io import BytesIO
from typing import Any

from flask.testing import FlaskClient

ORDERS = "number,customer_code,account_manager_email,order_date,closing_date"
LINES = "order_number,kind,description,quantity,unit_price"


@dataclass
class Desk:
    """A user at the import screens."""

    client: FlaskClient
    key = 0

    def upload(self, kind: str, *files: str | bytes, names: tuple[str, ...] = ()) -> Any:
        """Send files; the response."""
        names = names or tuple(f"file-{number}.csv" for number in range(len(files)))
        encoded = [file.encode() if isinstance(file, str) else file for file in files]
        Desk.key += 1
        data = {
            "kind": kind,
            "idempotency_key": f"key-{Desk.key}",
            "files": [(BytesIO(file), name) for file, name in zip(encoded, names, strict=True)],
        }
        return self.client.post("/imports/new", data=data, content_type="multipart/form-data")

    def uploaded(self, kind: str, *files: str | bytes, names: tuple[str, ...] = ()) -> int:
        """Send valid files; the upload's id."""
        answer = self.upload(kind, *files, names=names)
        assert answer.status_code == 303, answer.text
        return int(re.search(r"/imports/(\d+)/columns", answer.location)[1])

    def suggestion(self, import_id: int) -> dict[str, str]:
        """The fields of the columns' form as it is shown."""
        return form_of(self.client.get(f"/imports/{import_id}/columns").text)

    def check(self, import_id: int, **changed: str) -> Any:
        """Confirm the columns, with some of them `changed`, and so dry-run; the response."""
        data = {**self.suggestion(import_id), "do": "check", **changed}
        return self.client.post(f"/imports/{import_id}/columns", data=data)

    def checked(self, kind: str, *files: str | bytes, **changed: str) -> int:
        """Upload and dry-run files; the upload's id."""
        import_id = self.uploaded(kind, *files)
        answer = self.check(import_id, **changed)
        assert answer.status_code == 303, said(answer)
        return import_id

    def page(self, import_id: int, query: str = "") -> str:
        """The text of an upload's page."""
        answer = self.client.get(f"/imports/{import_id}{query}")
        assert answer.status_code == 200, answer.status_code
        return words(answer.text)

    def apply(self, import_id: int, checks: int = 1, *, good_lines_only: bool = False) -> Any:
        """Press Import; the response."""
        data = {"checks": str(checks), **({"good_lines_only": "1"} if good_lines_only else {})}
        return self.client.post(f"/imports/{import_id}/apply", data=data)

    def failed(self, import_id: int) -> bytes:
        """The bad rows, as a file."""
        answer = self.client.get(f"/imports/{import_id}/failed.csv")
        assert answer.status_code == 200
        return answer.data


def form_of(html: str) -> dict[str, str]:
    """The fields of the columns' form: hidden ones, and what is selected."""
    fields = {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html)
    }
    for name, body in re.findall(
        r'<select[^>]*?name="([^"]+)"[^>]*>(.*?)</select>', html, re.DOTALL
    ):
        options = re.findall(r'<option([^>]*?)value="([^"]*)"([^>]*)>', body)
        selected = [v for before, v, after in options if "selected" in before + after]
        fields[name] = unescape((selected or [value for _, value, _ in options])[0])
    return fields


def words(html: str) -> str:
    """The text of a page's main part."""
    main = html.split("<main", 1)[-1].split("</main>", 1)[0]
    text = re.sub(r"<(script|style|select).*?</\1>", " ", main, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def said(answer: Any) -> str:
    """The words of an answer."""
    return words(answer.text)
