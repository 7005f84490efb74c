"""Errors for programs: problem details by RFC 9457."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask import Response, jsonify, make_response, request
from werkzeug.http import HTTP_STATUS_CODES

from ..base.refusals import Invalid, Refusal


def is_api() -> bool:
    """Whether the request is for the API."""
    return request.path.startswith("/api/")


def as_json(value: Any) -> Any:
    """A value for JSON: an exact number as text, a day as 2026-03-31."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        return {name: as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def problem(status: int, sentence: str, cause: object = None) -> Response:
    """The error response of `status` with `sentence`, which is already translated.

    `code` identifies the refusal for programs; `errors` name the invalid fields.
    """
    body: dict[str, object] = {
        "type": cause.type if isinstance(cause, Refusal) else "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "code": type(cause).__name__ if isinstance(cause, Refusal) else f"HTTP{status}",
        "detail": sentence,
    }
    if isinstance(cause, Refusal):
        body |= {name: as_json(cause.values[name]) for name in cause.members}
    if isinstance(cause, Invalid):
        body["errors"] = [{"field": field, "message": said} for field, said in cause.problems]
    response = make_response(jsonify(body), status)
    response.mimetype = "application/problem+json"
    return response
