"""Static files: for ever under this version's digest, shortly under any other, and compressed."""

import gzip
import re

import pytest

from backoffice.app.assets import FOLDER, StaticFiles

FILES = sorted(p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.is_file())


@pytest.fixture
def address(app):
    """`address("app.css")`: where templates find the file."""
    return app.jinja_env.globals["asset"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_for_ever_under_its_own_digest_and_shortly_under_any_other(
    name, client, address
):
    plain = (FOLDER / name).read_bytes()
    present = client.get(address(name))
    assert (present.status_code, present.data) == (200, plain)
    assert present.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for digest in ("0123456789ab", "dev", "older"):
        other = client.get(f"/static/{digest}/{name}")
        assert (other.status_code, other.data) == (200, plain)
        assert other.headers["Cache-Control"] == "public, max-age=60"
        assert other.headers["Content-Type"] == present.headers["Content-Type"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_compressed_for_who_accepts_it_and_for_no_other(name, client, address):
    plain = (FOLDER / name).read_bytes()
    short = client.get(address(name), headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert short.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(short.data) == plain
    assert len(short.data) == int(short.headers["Content-Length"]) < len(plain)
    assert short.headers["Vary"] == "Accept-Encoding"
    for refuses in ("", "identity", "br", "gzip;q=0"):
        whole = client.get(address(name), headers={"Accept-Encoding": refuses})
        assert "Content-Encoding" not in whole.headers
        assert whole.data == plain
        assert whole.headers["ETag"] != short.headers["ETag"]


def test_a_page_asks_for_less_than_seventy_kilobytes(client):
    page = client.get("/login").text
    asked = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page))
    assert len(asked) > 3
    got = [client.get(one, headers={"Accept-Encoding": "gzip"}) for one in asked]
    assert sum(len(answer.data) for answer in got) < 70_000


def test_a_file_that_a_browser_has_is_not_sent_again(client, address):
    first = client.get(address("app.css"))
    again = client.get(address("app.css"), headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    head = client.head(address("app.css"))
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == first.headers["Content-Length"]
    assert client.post(address("app.css")).status_code == 405


@pytest.mark.parametrize(
    "path", ["/static/x/nothing.css", "/static/x/../app.css", "/static/x/%2e%2e/pyproject.toml",
             "/static/app.css", "/static/x//etc/passwd", "/static/x/"],
)  # fmt: skip
def test_nothing_else_is_served(path, client):
    assert client.get(path).status_code in (302, 303, 404)


def test_while_developing_a_changed_file_is_served_at_once(app, monkeypatch, tmp_path):
    monkeypatch.setattr("backoffice.app.assets.FOLDER", tmp_path)
    (tmp_path / "app.css").write_text("a { color: red }")
    static = StaticFiles(app.wsgi_app, "dev", {}, reread=True)
    monkeypatch.setattr(app, "wsgi_app", static)
    assert app.test_client().get("/static/dev/app.css").text == "a { color: red }"
    (tmp_path / "app.css").write_text("a { color: blue }")
    changed = app.test_client().get("/static/dev/app.css")
    assert changed.text == "a { color: blue }"
    assert "immutable" not in changed.headers["Cache-Control"]


def test_pages_are_not_compressed(client, sign_in):
    browser = sign_in("admin")
    for answer in (client.get("/login", headers=ACCEPTS), browser.get("/orders", headers=ACCEPTS)):
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers


ACCEPTS = {"Accept-Encoding": "gzip, br"}
