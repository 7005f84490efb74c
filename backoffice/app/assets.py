"""Static files, served from memory before Flask sees the request, under URLs that change with their content.

The URL holds a digest of the whole folder, so a browser may cache a file for ever and still
never shows a new page with an old style sheet. While two versions run, a page of one asks the other for its files:
under any other digest the present file is served, and cached for a minute only.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FOLDER = Path(__file__).resolve().parent.parent.parent / "static"

FOR_EVER = "public, max-age=31536000, immutable"
FOR_A_MINUTE = "public, max-age=60"

_ADDRESS = re.compile(r"/static/([^/]+)/(.+)")

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}


@dataclass(frozen=True)
class File:
    """A static file, and itself compressed where that is shorter."""

    content_type: str
    plain: bytes
    compressed: bytes | None
    digest: str


def fingerprint(files: Mapping[str, File]) -> str:
    """A digest of every file name and content."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(name.encode() + b"\0")
        digest.update(file.plain)
    return digest.hexdigest()[:12]


def read(folder: Path) -> Mapping[str, File]:
    """Name → file, of everything under `folder`; compressing all takes 20 ms, once a start."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _read_one(path) for path in paths}


files_of = cache(read)
"""As `read`, of a folder that does not change while the process runs."""


def _read_one(path: Path) -> File:
    plain = path.read_bytes()
    compressed = gzip.compress(plain, mtime=0)
    content_type = _CONTENT_TYPES.get(path.suffix, "text/plain; charset=utf-8")
    shorter = compressed if len(compressed) < len(plain) else None
    return File(content_type, plain, shorter, hashlib.sha256(plain).hexdigest()[:16])


class StaticFiles:
    """Answers addresses of static files, and passes every other request on to the app."""

    def __init__(
        self, app: "WSGIApplication", digest: str, headers: Mapping[str, str], *, reread: bool
    ) -> None:
        self._app, self._digest, self._headers, self._reread = app, digest, headers, reread
        self._files = read(FOLDER) if reread else files_of(FOLDER)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer with the file of this version, whatever digest the address holds."""
        address = _ADDRESS.fullmatch(environ.get("PATH_INFO", ""))
        if address is None:
            return self._app(environ, start_response)
        digest, name = address.groups()
        file = (read(FOLDER) if self._reread else self._files).get(name)
        if file is None:
            return self._app(environ, start_response)
        is_present = digest == self._digest and not self._reread
        return self._answer(file, environ, FOR_EVER if is_present else FOR_A_MINUTE)(
            environ, start_response
        )

    def _answer(self, file: File, environ: "WSGIEnvironment", how_long: str) -> Response:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return Response(status=405, headers={**self._headers, "Allow": "GET, HEAD"})
        accepted = parse_accept_header(environ.get("HTTP_ACCEPT_ENCODING"), Accept)
        gzipped = file.compressed if accepted["gzip"] > 0 else None
        answer = Response(gzipped or file.plain, content_type=file.content_type)
        answer.headers.extend({**self._headers, "Cache-Control": how_long})
        answer.vary.add("Accept-Encoding")
        if gzipped:
            answer.headers["Content-Encoding"] = "gzip"
        answer.set_etag(f"{file.digest}{'-gzip' if gzipped else ''}")
        return answer.make_conditional(environ)


def init_app(app: Flask) -> None:
    """Serve `static/` under `/static/<fingerprint>/`, and give templates `asset("app.css")`."""
    digest = "dev" if app.debug else fingerprint(files_of(FOLDER))
    headers = dict(_HEADERS)
    if app.config["SESSION_COOKIE_SECURE"]:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    static = StaticFiles(app.wsgi_app, digest, headers, reread=app.debug)
    app.wsgi_app = static  # type: ignore[method-assign]
    app.jinja_env.globals["asset"] = lambda name: f"/static/{digest}/{name}"
