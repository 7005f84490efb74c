"""What went wrong, as programs read it: problem details by RFC 9457."""

from flask import Response, jsonify, make_response, request
from werkzeug.http import HTTP_STATUS_CODES

from ..base.refusals import Invalid, Refusal


def is_api() -> bool:
    """Whether the request is one of the API, which no browser shows."""
    return request.path.startswith("/api/")


def problem(status: int, sentence: str, cause: object = None) -> Response:
    """The answer of `status`, saying `sentence`, which is translated already.

    `code` is the name of what was refused, for programs to tell one from another; `errors` name the fields that
    cannot be.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "code": type(cause).__name__ if isinstance(cause, Refusal) else f"HTTP{status}",
        "detail": sentence,
    }
    if isinstance(cause, Invalid):
        body["errors"] = [{"field": field, "message": said} for field, said in cause.problems]
    response = make_response(jsonify(body), status)
    response.mimetype = "application/problem+json"
    return response
