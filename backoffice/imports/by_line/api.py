"""The API for files that a run processes: sent with `Prefer: respond-async`, polled by number."""

from io import BytesIO
from typing import Any

from flask import Response, jsonify, request, url_for
from sqlalchemy import select

from ...app.extensions import db
from ...base.refusals import Invalid
from ...records.api import RecordNotFound, guarded
from ...records.openapi import JSON, LARGEST_ID, TEXT, operation
from .. import actions, wording
from ..files.layout import Layout
from ..files.reading import CsvFile
from ..files.uploads import PackedFile, Upload
from ..importing import header_problems
from ..kinds import KINDS, ImportKind
from ..models import Import
from . import actions as by_line
from .queries import counts_of
from .reports import results_file

COUNTED = ("lines", "done", "already", "refused")

UPLOAD: dict[str, Any] = {
    "type": "object",
    "required": ["id", "kind", "state", "run", *COUNTED, "url", "results"],
    "properties": {
        "id": {"type": "integer"}, "kind": TEXT, "state": {"enum": ["applying", "applied"]},
        "run": {"type": "integer"}, **{name: {"type": "integer"} for name in COUNTED}, "url": TEXT, "results": TEXT,
    },
}  # fmt: skip
"""The schema of an upload's progress: how many lines there are, were done, had been done before, or were refused."""

NUMBER = {
    "name": "number", "in": "path", "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
}  # fmt: skip


def prefers_async() -> bool:
    """Whether the client prefers an asynchronous response (RFC 7240)."""
    preferences = request.headers.get("Prefer", "").split(",")
    return any(one.partition(";")[0].strip().lower() == "respond-async" for one in preferences)


def start(kind: ImportKind, sent: PackedFile) -> Response:
    """Store the file, and request a run that processes it. Raises Invalid for a wrong header."""
    layout = Layout(encoding=sent.encoding)
    file = CsvFile(sent.as_stored, kind.columns, layout)
    if problems := header_problems([file]):
        raise Invalid([(p.column, wording.sentence(p.message, p.params)) for p in problems])
    files = [Upload(sent.name, BytesIO(request.get_data()))]
    upload = actions.upload(db.session(), user_id=None, kind=kind.name, files=files)
    by_line.request_run(db.session(), upload)
    answer = jsonify(_reported(upload))
    answer.status_code, answer.headers["Location"] = 202, _address(upload)
    return answer


def _address(upload: Import) -> str:
    return url_for("api.imports_upload", number=upload.id)


def _reported(upload: Import) -> dict[str, Any]:
    counts = counts_of(db.session(), upload.id)
    return {
        "id": upload.id, "kind": upload.kind, "state": upload.state, "run": upload.run_id,
        **{name: getattr(counts, name) for name in COUNTED},
        "url": _address(upload), "results": url_for("api.imports_results", number=upload.id),
    }  # fmt: skip


class UploadEndpoints:
    """The API endpoints of uploads of one domain that a run processes."""

    def __init__(self, domain: str) -> None:
        self.domain = domain

    def add_to(self, bp: Any) -> None:
        """Register the endpoints on `bp`."""
        for rule, name, answer in (
            ("/imports/<int:number>", "imports_upload", self.show),
            ("/imports/<int:number>/results", "imports_results", self.results),
        ):
            view = guarded(answer, f"{self.domain}.read", f"{self.domain}:read", is_once=False)
            bp.add_url_rule(rule, name, view)

    def show(self, number: int) -> Response:
        """The progress of an upload."""
        return jsonify(_reported(self._found(number)))

    def results(self, number: int) -> Response:
        """Every line with its outcome, as CSV."""
        return results_file(db.session(), self._found(number))

    def _found(self, number: int) -> Import:
        """The upload. Raises RecordNotFound, also for one without a run or of another domain."""
        theirs = [kind.name for kind in KINDS.values() if kind.sent_by == self.domain]
        chosen = select(Import).where(Import.id == (number if number <= LARGEST_ID else 0))
        found = db.session.scalar(chosen.where(Import.run_id.is_not(None), Import.kind.in_(theirs)))
        if found is None:
            raise RecordNotFound()
        return found

    def paths(self) -> dict[str, Any]:
        """The paths of the OpenAPI document."""
        show = operation(
            "A file that is carried out", "imports_upload", "200", "", (NUMBER,), "404"
        )
        show["responses"]["200"]["content"] = {JSON: {"schema": UPLOAD}}
        lines = operation(
            "What became of each line", "imports_results", "200", "", (NUMBER,), "404"
        )
        lines["responses"]["200"]["content"] = {"text/csv": {"schema": TEXT}}
        for one in (show, lines):
            one["security"] = [{"token": [f"{self.domain}:read"]}]
        return {
            "/api/imports/{number}": {"get": show},
            "/api/imports/{number}/results": {"get": lines},
        }


RESOURCES = (UploadEndpoints("wallets"),)
