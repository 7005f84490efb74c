"""The API for files: sent as the body of one request; a refused line does not stop the others."""

from io import BytesIO
from typing import Any

from flask import Response, jsonify, request

from ..app.extensions import db
from ..base.refusals import Invalid
from ..records.api import guarded
from ..records.openapi import JSON, KEY, TEXT, operation
from ..records.query_arguments import ArgumentUnknown, ArgumentUnusable
from . import wording
from .by_line import api as by_line
from .files.layout import Layout
from .files.uploads import MOST_BYTES, MOST_LINES, Upload, pack
from .importing import import_files
from .kinds import KINDS, ImportKind
from .refusals import TooMuch

COUNTS = ("read", "created", "unchanged", "bad_lines")

REPORT: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "dry_run", *COUNTS, "problems"],
    "properties": {
        "kind": TEXT,
        "dry_run": {"type": "boolean"},
        **{name: {"type": "integer"} for name in COUNTS},
        "problems": {
            "type": "array",
            "items": {
                "type": "object", "required": ["line", "column", "message"],
                "properties": {"line": {"type": "integer"}, "column": TEXT, "message": TEXT},
            },
        },
    },
}  # fmt: skip
"""The schema of the report. Every line without a problem was processed, now or earlier."""


PREFER = {
    "name": "Prefer", "in": "header", "schema": {"enum": ["respond-async"]},
    "description": "Not to wait for the end: a run carries out the lines.",
}  # fmt: skip


class FileEndpoint:
    """The API endpoint that receives files of one kind."""

    def __init__(self, kind: ImportKind) -> None:
        self.kind = kind
        self.view = f"imports_{kind.name.replace('-', '_')}"

    def add_to(self, bp: Any) -> None:
        """Register the endpoint on `bp`."""
        domain = self.kind.sent_by
        view = guarded(self.take, f"{domain}.write", f"{domain}:write", is_once=True)
        bp.add_url_rule(f"/imports/{self.kind.name}", self.view, view, methods=["POST"])

    def take(self) -> Response:
        """Process the lines of the body; with `dry_run` only report what that would do.

        Raises Invalid where the good lines cannot be imported without the bad ones.
        """
        is_dry = _is_dry_run()
        sent = pack(Upload("body.csv", BytesIO(request.get_data())))
        if sent.size > MOST_BYTES or sent.lines > MOST_LINES + 1:
            megabytes = MOST_BYTES // 2**20
            raise TooMuch(megabytes=megabytes, lines=f"{MOST_LINES:,}", kind=self.kind.name)
        if self.kind.results is not None and not is_dry and by_line.prefers_async():
            return by_line.start(self.kind, sent)
        report = import_files(
            db.session(), self.kind, [sent.as_stored],
            layout=Layout(encoding=sent.encoding), dry_run=is_dry, skip_bad_lines=True,
        )  # fmt: skip
        problems = [
            (p.line, p.column, wording.sentence(p.message, p.params)) for p in report.problems
        ]
        all_are_bad = report.bad_lines >= report.read and not report.must_be_whole
        if not report.read or not (report.went_through or all_are_bad):
            # A report would claim that the lines without problems were processed.
            raise Invalid([(column, sentence) for _line, column, sentence in problems])
        return jsonify(
            kind=report.kind,
            dry_run=report.dry_run,
            **{name: getattr(report, name) for name in COUNTS},
            problems=[
                {"line": line, "column": column, "message": sentence}
                for line, column, sentence in problems
            ],
        )

    def paths(self) -> dict[str, Any]:
        """The paths of the OpenAPI document."""
        asked = {"name": "dry_run", "in": "query", "schema": {"enum": ["1"]}}
        found = operation(
            f"A file of {self.kind.name}", self.view, "200", "", (asked, KEY), "400", "413", "422"
        )
        found["responses"]["200"]["content"] = {JSON: {"schema": REPORT}}
        if self.kind.results is not None:
            found["parameters"].append(PREFER)
            found["responses"]["202"] = {
                "description": "Begun.", "content": {JSON: {"schema": by_line.UPLOAD}},
            }  # fmt: skip
        found["requestBody"] = {"required": True, "content": {"text/csv": {"schema": TEXT}}}
        found["security"] = [{"token": [f"{self.kind.sent_by}:write"]}]
        return {f"/api/imports/{self.kind.name}": {"post": found}}


def _is_dry_run() -> bool:
    """Whether the URL requests a dry run. Raises ArgumentUnknown, ArgumentUnusable."""
    for name, texts in request.args.lists():
        if name != "dry_run":
            raise ArgumentUnknown(argument=name[:100], known="dry_run")
        if texts != ["1"]:
            raise ArgumentUnusable(argument=name, value=texts[0][:100])
    return "dry_run" in request.args


RESOURCES = tuple(FileEndpoint(kind) for kind in KINDS.values() if kind.sent_by)
