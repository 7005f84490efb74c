"""Response headers and request limits. FAULTS.md, lines 44 and 55."""

import io

import pytest

from backoffice.app.protection import limiter
from backoffice.security.headers import CONTENT_SECURITY_POLICY, FIELD_LIMIT, FORM_LIMIT

FORM = "application/x-www-form-urlencoded"


class Endless(io.RawIOBase):
    """An endless body that counts the bytes read."""

    def __init__(self):
        self.taken = 0

    def readinto(self, buffer):
        self.taken += len(buffer)
        buffer[:] = b"a" * len(buffer)
        return len(buffer)

    def readable(self):
        return True


@pytest.mark.parametrize("path", ["/login", "/nowhere", "/profile", "/settings/users"])
def test_every_answer_carries_the_headers(client, sign_in, path):
    for browser in (client, sign_in("admin")):
        headers = browser.get(path).headers
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "HX-Request" in headers["Vary"]
        assert "Strict-Transport-Security" not in headers


def test_no_file_of_any_list_is_stored_by_a_proxy_or_a_browser(app, sign_in, monkeypatch):
    monkeypatch.setattr(limiter, "enabled", False)
    browser = sign_in("admin")
    rules = [r.rule for r in app.url_map.iter_rules() if r.rule.endswith("/export.<flavour>")]
    rules = [rule for rule in rules if rule.count("<") == 1]
    assert len(rules) > 20
    for rule in rules:
        for flavour in ("csv", "xlsx"):
            answer = browser.get(rule.replace("<flavour>", flavour))
            assert answer.status_code == 200, rule
            assert answer.headers["Cache-Control"] == "no-store", (rule, flavour)


def test_the_policy_allows_nothing_inline():
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY == (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )


@pytest.mark.parametrize("path", ["/login", "/preferences"])
def test_a_hundred_megabytes_are_refused_unread(client, path):
    body = Endless()
    answer = client.post(
        path,
        content_type=FORM,
        environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": "100000000"},
    )
    assert answer.status_code == 413
    assert body.taken < 1_000_000


def test_a_large_typed_form_is_refused_and_a_large_enough_one_is_read(client):
    assert (
        client.post("/login", data=b"a=" + b"x" * FORM_LIMIT, content_type=FORM).status_code == 413
    )
    fits = client.post("/login", data=b"a=" + b"x" * (FORM_LIMIT // 2), content_type=FORM)
    assert fits.status_code == 422


def test_two_hundred_thousand_fields_are_refused(client):
    assert client.post("/login", data=b"a=&" * 200_000, content_type=FORM).status_code == 413
    assert client.post("/login", data=b"&" * FIELD_LIMIT, content_type=FORM).status_code == 413
    parts = {f"f{n}": "x" for n in range(FIELD_LIMIT + 1)}
    multipart = client.post("/login", data=parts, content_type="multipart/form-data")
    assert multipart.status_code == 413


def test_a_forged_host_has_no_effect(app, client):
    answer = client.get("/profile", headers={"Host": "evil.example"})
    assert answer.location.startswith("/login")
    assert "evil.example" not in client.get("/login", headers={"Host": "evil.example"}).text


def test_a_host_that_is_not_trusted_is_refused(app, client):
    app.config["TRUSTED_HOSTS"] = ["backoffice.example"]
    assert client.get("/login", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/login", headers={"Host": "backoffice.example:8000"}).status_code == 200


def test_forged_forwarding_headers_have_no_effect(client):
    answer = client.get(
        "/login",
        headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"},
    )
    assert "Strict-Transport-Security" not in answer.headers
    assert "evil.example" not in answer.text


def test_a_number_that_no_column_holds_is_simply_not_found(sign_in):
    admin = sign_in("admin")
    for number in (2**63, 10**30, 0):
        assert admin.get(f"/settings/users/{number}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/%00", "/settings/users?q=%00", "/login?next=%00", "/settings/users?q=%ff%fe"]
)
def test_odd_bytes_break_nothing(sign_in, path):
    assert sign_in("admin").get(path).status_code < 500


def test_a_form_too_large_does_not_make_the_limiter_forget_its_counts(client):
    """The limiter took the refusal for a failure of its storage, and started new counts in memory."""
    assert client.post("/login", data=b"&" * FIELD_LIMIT, content_type=FORM).status_code == 413
    assert not limiter._storage_dead


def test_what_is_logged_of_too_many_attempts_names_nobody(client, caplog):
    caplog.set_level("INFO")
    for _ in range(7):
        answer = client.post("/login", data={"email": "Ayu@Northwind.example", "password": "x"})
    assert answer.status_code == 429
    assert "ratelimit" in caplog.text
    assert "northwind" not in caplog.text.lower()


# ---------- static files ----------


def static_address(client, name):
    page = client.get("/login").text
    return next(part for part in page.split('"') if part.endswith(name))


def test_static_files_may_be_kept_for_ever_under_an_address_that_changes_with_them(client):
    address = static_address(client, "app.css")
    answer = client.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_type.startswith("text/css")
    for name in ("app.js", "htmx.min.js", "bootstrap.min.css", "favicon.svg"):
        assert client.get(static_address(client, name)).status_code == 200


def test_no_way_leads_out_of_the_static_folder(client):
    prefix = static_address(client, "app.css").removesuffix("app.css")
    for path in (
        "../pyproject.toml",
        "%2e%2e/pyproject.toml",
        "..%2fpyproject.toml",
        "//etc/passwd",
    ):
        answer = client.get(prefix + path)
        assert answer.status_code == 404
        assert "[project]" not in answer.text


def test_the_fingerprint_follows_names_and_contents(tmp_path):
    from backoffice.app.assets import fingerprint, read

    (tmp_path / "a.css").write_text("a")
    first = fingerprint(read(tmp_path))
    (tmp_path / "a.css").write_text("b")
    second = fingerprint(read(tmp_path))
    (tmp_path / "a.css").rename(tmp_path / "b.css")
    assert len({first, second, fingerprint(read(tmp_path))}) == 3
