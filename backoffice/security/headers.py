"""Response headers and request limits: security headers, trusted hosts, sizes."""

from io import BytesIO
from typing import IO, Any

from flask import Flask, Request, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, Map

from ..app import config

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_ADDED = (*HEADERS.items(), ("Cache-Control", "no-store"))

UPLOAD_LIMIT = 32 * 1024 * 1024
"""Bytes of a whole request; an import file is the largest upload."""

FORM_LIMIT = 2 * 1024 * 1024
"""Bytes of a typed form: thousands of order lines."""

FIELD_LIMIT = 10_000
"""Fields of a typed form."""


class _LimitedFormParser(FormDataParser):
    """Werkzeug's parser limits only multipart forms; this one limits the urlencoded ones too."""

    def _parse_urlencoded(self, stream: IO[bytes], *rest: Any) -> Any:
        body = stream.read(FORM_LIMIT + 1)
        if len(body) > FORM_LIMIT or body.count(b"&") >= FIELD_LIMIT:
            raise RequestEntityTooLarge()
        return super()._parse_urlencoded(BytesIO(body), *rest)


class LimitedRequest(Request):
    """A request with a limited form, whatever its encoding."""

    form_data_parser_class = _LimitedFormParser
    _form_is_too_large = False

    def _load_form_data(self) -> None:
        # Raise on every access: the first caller may have swallowed the error.
        if self._form_is_too_large:
            raise RequestEntityTooLarge()
        try:
            super()._load_form_data()
        except RequestEntityTooLarge:
            self._form_is_too_large = True
            raise


class StorableInteger(IntegerConverter):
    """An integer in an address that PostgreSQL can look up; a longer one is not found (404)."""

    def __init__(self, map: Map, *args: Any, **options: Any) -> None:
        super().__init__(map, *args, **{"max": 2**63 - 1, **options})


def _protect(response: Response) -> Response:
    headers = response.headers
    if headers.get("Cache-Control") == "no-cache":  # what send_file sets
        del headers["Cache-Control"]
    there = {name.lower() for name in headers.keys()}  # noqa: SIM118 (its iterator answers pairs)
    headers.extend([pair for pair in _ADDED if pair[0].lower() not in there])
    # Without TRUSTED_PROXIES a proxy's TLS is not seen; over plain HTTP browsers ignore the header.
    is_encrypted = request.is_secure or current_app.config["SESSION_COOKIE_SECURE"]
    if is_encrypted and "strict-transport-security" not in there:
        headers.add("Strict-Transport-Security", "max-age=31536000")
    if "vary" in there:
        response.vary.add("HX-Request")
    else:
        headers.add("Vary", "HX-Request")
    return response


def init_app(app: Flask) -> None:
    """Limit requests and add the headers to responses.

    `TRUSTED_HOSTS` (a list) makes Flask refuse any other Host header. Nothing here builds an absolute address from
    that header, so a forged one has no effect even where the list is empty. Forwarded headers are trusted for
    `TRUSTED_PROXIES` proxies in front of the app.
    """
    proxies = app.config["TRUSTED_PROXIES"]
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )
    app.request_class = LimitedRequest
    app.url_map.converters["int"] = StorableInteger
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_CONTENT_LENGTH"] or UPLOAD_LIMIT
    app.config["MAX_FORM_MEMORY_SIZE"] = FORM_LIMIT
    app.config["MAX_FORM_PARTS"] = FIELD_LIMIT
    app.after_request(_protect)
    app.jinja_env.globals["deployment_warnings"] = lambda: config.warnings(app.config)
