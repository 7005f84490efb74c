"""A real server with BACKOFFICE_ENV=production: what it sends, and what it warns of."""

import json
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from flask import Flask

from backoffice.app import config
from backoffice.commands.cli import main
from tests.faults.servers import send, web

MISSING = [config.TRUSTS_NO_PROXY, config.ANSWERS_TO_ANY_HOST]


class Server(NamedTuple):
    """The port of a server, and the file of its log."""

    port: int
    log: Path

    def get(self, path: str, cookie: str = "", **headers: str) -> Any:
        """The answer to a request."""
        return send(self.port, "GET", path, cookie, **headers)

    def lines(self) -> list[dict[str, Any]]:
        """Its log; each line is a JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def production(app: Flask, tmp_path: Path) -> Iterator[Server]:
    """A server as a deployment starts it that sets nothing beyond the secret, behind a proxy that speaks TLS."""
    log = tmp_path / "log"
    secret = app.config["SECRET_KEY"]
    with web(log, BACKOFFICE_ENV="production", SECRET_KEY=secret, WEB_CONCURRENCY="1") as port:
        yield Server(port, log)


@pytest.mark.slow
def test_cookies_are_secure_and_hsts_is_sent_though_no_proxy_is_trusted(production: Server) -> None:
    page = production.get("/login")
    set_by_page = SimpleCookie(page.headers["Set-Cookie"])
    assert set_by_page
    assert all(cookie["secure"] and cookie["httponly"] for cookie in set_by_page.values())
    asset = re.findall(r'href="(/static/[^"]+\.css)"', page.text)[0]
    for path in ("/login", "/healthz", "/nowhere", "/api/customers", asset):
        headers = production.get(path).headers
        assert headers["Strict-Transport-Security"] == "max-age=31536000", path


@pytest.mark.slow
def test_each_start_in_production_warns_of_what_is_not_set(production: Server) -> None:
    said = [line["problem"] for line in production.lines() if line["event"] == "setting"]
    assert said == MISSING


def test_info_and_settings_warn_of_what_production_lacks(
    app: Flask, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKOFFICE_ENV", "production")
    monkeypatch.setenv("SECRET_KEY", app.config["SECRET_KEY"])
    told = json.loads(CliRunner().invoke(main, ["info", "--json"]).stdout)["warnings"]
    assert told == MISSING
    assert all(sentence in CliRunner().invoke(main, ["info"]).stdout for sentence in MISSING)
    browser = sign_in("admin")
    assert MISSING[0] not in browser.get("/settings/users").text
    app.config["BACKOFFICE_ENV"] = "production"
    for page in ("/settings/users", "/settings/tokens"):
        text = browser.get(page).text
        assert all(sentence in text for sentence in MISSING), page


def test_nothing_is_warned_of_where_all_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "BACKOFFICE_ENV": "production", "SECRET_KEY": "long enough", "TRUSTED_PROXIES": "1",
        "TRUSTED_HOSTS": "backoffice.example.com",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert config.warnings(config.load()) == []


def test_every_cookie_is_secure_in_production(app: Flask, sign_in: Any) -> None:
    app.config["SESSION_COOKIE_SECURE"] = True
    browser = sign_in("admin")
    said = [app.test_client().get("/login")]
    said += [browser.post("/preferences", data={name: value}) for name, value in CHOICES.items()]
    cookies = [cookie for answer in said for cookie in answer.headers.getlist("Set-Cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} >= set(CHOICES)
    assert all("; Secure" in cookie for cookie in cookies), cookies


CHOICES = {"language": "id", "number_format": "plain", "theme": "dark"}
