"""Static files, served by Whitenoise before Flask sees the request, under URLs that change with their content.

The URL holds a digest of the whole folder, so a browser may cache a file for ever and still
never shows a new page with an old style sheet.
"""

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask
from whitenoise import WhiteNoise

FOLDER = Path(__file__).resolve().parent.parent.parent / "static"


def fingerprint(folder: Path = FOLDER) -> str:
    """A digest of every file name and content under `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _harden(headers: Any, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"


def _harden_encrypted(headers: Any, path: str, url: str) -> None:
    _harden(headers, path, url)
    headers["Strict-Transport-Security"] = "max-age=31536000"


def init_app(app: Flask) -> None:
    """Serve `static/` under `/static/<fingerprint>/`, and give templates `asset("app.css")`."""
    version = "dev" if app.debug else fingerprint()
    prefix = f"/static/{version}/"
    static = WhiteNoise(
        app.wsgi_app,
        autorefresh=app.debug,
        max_age=0 if app.debug else 3600,
        immutable_file_test=lambda _path, url: not app.debug and url.startswith(prefix),
        add_headers_function=_harden_encrypted if app.config["SESSION_COOKIE_SECURE"] else _harden,
    )
    static.add_files(str(FOLDER), prefix)
    app.wsgi_app = static  # type: ignore[method-assign]
    app.jinja_env.globals["asset"] = lambda name: prefix + name
