"""FAULTS.md, lines 34 to 37: an outage is reported on every page, and ends without a restart.

A real web server with a separate PostgreSQL and Redis, which are really stopped.
"""

import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event

from backoffice import create_app
from backoffice.app.extensions import db
from backoffice.commands.upgrade import upgrade
from backoffice.database.embedded import ADMIN, APP, Services
from backoffice.database.embedded.processes import pids_in
from backoffice.people import actions, tokens
from tests.addresses import addresses, records_called_x
from tests.factories.orders import OrderFactory
from tests.faults.servers import Answer, send, web
from tests.faults.workers import until
from tests.orders.pages import fields_of
from tests.processes import together
from tests.signing_in import cookie_for, someone

pytestmark = pytest.mark.slow

HTML = "text/html,application/xhtml+xml"
EMAIL, PASSWORD = "ayu@northwind.example", "a long enough password"
WITHIN_SECONDS = 10.0
"""Seconds after the end of an outage within which everything must work as before."""

PROBES = ("/healthz", "/readyz")
DESCRIPTION = "/api/openapi.json"
"""The description of the API, which needs no database."""


@dataclass(frozen=True)
class Office:
    """A company with separate services and a separate web server."""

    services: Services
    port: int
    cookie: str
    pages: tuple[str, ...]
    log: Path

    def get(self, path: str, **headers: str) -> Answer:
        """The page as the signed-in administrator sees it."""
        return send(self.port, "GET", path, self.cookie, **{"Accept": HTML, **headers})

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Send a form as the administrator."""
        return send(self.port, "POST", path, self.cookie, body, **{"Accept": HTML, **headers})

    def execute(self, *statements: str) -> None:
        """Execute statements as the database's superuser."""
        with psycopg.connect(self.services.postgres.url(ADMIN), autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())

    def statuses(self, pages: Iterable[str]) -> dict[str, int]:
        """The response status of each of these pages."""
        return {path: self.get(path).status for path in pages}


@pytest.fixture(scope="module")
def office(application: Flask) -> Iterator[Office]:
    """A company with services that may be killed without affecting other tests."""
    home = Path(mkdtemp(prefix="backoffice-tests-"))
    home.chmod(0o711)  # root's PostgreSQL runs as another user and needs to traverse it
    services, log = Services(home, durable=False), home / "web.log"
    try:
        with services.in_use(services.postgres, services.redis, tied=True):
            [(cookie, pages)] = together(application, lambda: _founded(home), seconds=100)
            with web(log, BACKOFFICE_HOME=str(home), WEB_CONCURRENCY="1") as port:
                yield Office(services, port, cookie, pages, log)
    finally:
        rmtree(home, ignore_errors=True)


def _founded(home: Path) -> tuple[str, tuple[str, ...]]:
    """Create the company's book; returns a signed-in administrator's cookie, and the URL of every GET route."""
    founded = create_app({"TESTING": True, "BACKOFFICE_HOME": home})
    upgrade(founded)
    with founded.app_context():
        records_called_x()
        OrderFactory(number="SO-1")
        actions.create_user(db.session, email=EMAIL, name="Ayu", role="finance", password=PASSWORD)
        db.session.commit()
    cookie = "=".join(cookie_for(founded, someone(founded, "admin")))
    pages = dict.fromkeys(a for _, method, a in addresses(founded) if method == "GET")
    return cookie, tuple(pages)


@contextmanager
def postgresql_stopped(office: Office) -> Iterator[None]:
    """Kill PostgreSQL, as when its machine fails."""
    for pid in pids_in(office.services.postgres.data):
        os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        office.services.postgres.start(tied=True)


@contextmanager
def no_connection_left(office: Office) -> Iterator[None]:
    """Refuse new connections of the app's role, and terminate the existing ones."""
    office.execute(
        f"ALTER ROLE {APP} CONNECTION LIMIT 0",
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{APP}'",
    )
    try:
        yield
    finally:
        office.execute(f"ALTER ROLE {APP} CONNECTION LIMIT -1")


@contextmanager
def read_only(office: Office) -> Iterator[None]:
    """Make the database read-only, as a standby or a database under maintenance is."""
    office.execute(
        f"ALTER ROLE {APP} SET default_transaction_read_only = on",
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{APP}'",
    )
    try:
        yield
    finally:
        office.execute(f"ALTER ROLE {APP} RESET default_transaction_read_only")


@contextmanager
def standby(office: Office) -> Iterator[None]:
    """Restart the server as a standby, and promote it at the end."""
    postgres = office.services.postgres
    postgres.stop()
    (postgres.data / "standby.signal").touch()
    with suppress(psycopg.errors.ReadOnlySqlTransaction):  # its roles exist already
        postgres.start(tied=True)
    try:
        yield
    finally:
        office.execute("SELECT pg_promote()")


@contextmanager
def redis_stopped(office: Office) -> Iterator[None]:
    """Stop Redis, with its queue and its rate limits."""
    office.services.redis.stop()
    try:
        yield
    finally:
        office.services.redis.start(tied=True)


Outage = Callable[[Office], Any]


@pytest.fixture(scope="module")
def healthy(office: Office) -> dict[str, int]:
    """The response status of each page without an outage."""
    found = office.statuses(office.pages)
    assert len(found) > 80
    assert sum(status == 200 for status in found.values()) > 60, found
    assert not [path for path, status in found.items() if status >= 500], found
    return found


def is_back(office: Office, healthy: dict[str, int]) -> None:
    """Assert that every page is as before, and that saving works, within seconds and without a restart."""
    until(lambda: saved(office) == 303, WITHIN_SECONDS, "saving works again", office.log)
    left = dict(healthy)

    def are_back() -> bool:
        for path in left.keys() - changed(office, left).keys():
            del left[path]  # recovered pages are not requested again
        return not left

    until(are_back, WITHIN_SECONDS, "all pages are back", office.log)
    assert office.get("/readyz").status == 200


def changed(office: Office, healthy: dict[str, int]) -> dict[str, int]:
    """The pages with a status other than the healthy one; rate limits of exports do not count."""
    now = office.statuses(healthy)
    return {
        p: status
        for p, status in now.items()
        if status not in (healthy[p], 429) and healthy[p] != 429
    }


def saved(office: Office) -> int:
    """Open and save an order; returns the response status."""
    page = office.get("/orders/SO-1/edit")
    return office.post("/orders/SO-1/edit", fields_of(page.text)).status


@pytest.mark.parametrize("outage", [postgresql_stopped, no_connection_left])
def test_without_a_database_every_page_says_so_in_the_visitors_language(
    office: Office, healthy: dict[str, int], outage: Outage
) -> None:
    with outage(office):
        wrong = [
            (path, answer.status)
            for path in healthy
            if path not in (*PROBES, DESCRIPTION)
            and not is_reported(answer := office.get(path), path)
        ]
        assert wrong == []
        for path in ("/orders", "/", "/login?next=/orders", "/nowhere"):
            assert_reported_to_everybody(office, path)
        assert office.get("/healthz").status == 200
        assert office.get(DESCRIPTION).status == 200
        assert office.get("/readyz").status == 503
        token = f"Bearer {tokens.PREFIX}{'x' * 43}"
        program = send(office.port, "GET", "/api/customers", "", Authorization=token)
        assert is_reported(program, "/api/customers"), (program.status, program.headers)
        page = office.get("/orders")
        for asset in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
            assert send(office.port, "GET", asset, "").status == 200
    is_back(office, healthy)


def is_reported(answer: Answer, path: str = "/") -> bool:
    """Whether it is the outage page, or the problem document for a program, and sets no session cookie."""
    reported = answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    if path.startswith("/api/"):
        reported = reported and answer.headers["Content-Type"] == "application/problem+json"
    else:
        reported = reported and "<h1>" in answer.text and "app.css" in answer.text
    return reported and "Set-Cookie" not in answer.headers


def assert_reported_to_everybody(office: Office, path: str) -> None:
    english = "The database does not answer"
    page = office.get(path)
    assert english in page.text
    for headers in ({"Accept_Language": "id-ID,id;q=0.9,en;q=0.5"},
                    {"Cookie": f"{office.cookie}; language=id"}):  # fmt: skip
        said = office.get(path, **headers)
        assert '<html lang="id"' in said.text
        assert is_reported(said)
        assert english not in said.text
    toast = office.get(path, HX_Request="true")
    assert toast.status == 503
    assert english in toast.text
    assert "<" not in toast.text
    assert toast.headers["HX-Reswap"] == "none"
    assert '"toast"' in toast.headers["HX-Trigger"]
    program = office.get(path, Accept="application/json")
    assert program.status == 503
    assert english in program.text
    for form in ({"csrf_token": "x"}, {}):
        assert is_reported(office.post(path, form)), path


@pytest.mark.parametrize("outage", [read_only, standby])
def test_a_read_only_database_shows_every_page_and_says_why_nothing_can_be_saved(
    office: Office, healthy: dict[str, int], outage: Outage
) -> None:
    with outage(office):
        assert changed(office, healthy) == {}
        form = fields_of(office.get("/orders/SO-1/edit").text)
        refused = office.post("/orders/SO-1/edit", form)
        assert is_reported(refused)
        assert "read-only for the moment" in refused.text
        toast = office.post("/orders/SO-1/edit", form, HX_Request="true")
        assert toast.status == 503
        assert "can be read meanwhile" in toast.text
        # Sign-in is impossible: reported at once, rather than after the password.
        visitor = send(office.port, "GET", "/login", "", Accept=HTML)
        assert is_reported(visitor)
        assert "read-only" in visitor.text
        assert office.get("/healthz").status == 200
    is_back(office, healthy)


def test_without_redis_people_sign_in_and_save(office: Office, healthy: dict[str, int]) -> None:
    with redis_stopped(office):
        assert changed(office, healthy) == {}
        assert saved(office) == 303
        assert signed_in(office) == 303
    is_back(office, healthy)
    assert signed_in(office) == 303


def signed_in(office: Office) -> int:
    """Sign in with an e-mail address and a password; returns the response status."""
    page = send(office.port, "GET", "/login", "", Accept=HTML)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token, *_same = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
    return send(office.port, "POST", "/login", cookie, form, Accept=HTML).status


def test_a_page_that_tells_of_an_outage_asks_the_database_no_second_time(app: Flask) -> None:
    """Each further query would cost a whole timeout where the database does not answer."""
    lost = create_app(
        {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "long enough"}
    )
    name = lost.session_interface.get_cookie_name(lost)  # type: ignore[attr-defined]
    asked = []
    with lost.app_context():
        event.listen(db.engine, "do_connect", lambda *_: asked.append(1))
    browser = lost.test_client()
    browser.set_cookie(name, "user")
    wrong = []
    for _rule, method, address in addresses(lost):
        asked.clear()
        answer = browser.open(address, method=method, headers={"Accept": HTML})
        expected = 200 if address in ("/healthz", DESCRIPTION) else 503
        if answer.status_code != expected or len(asked) > 1:
            wrong.append((method, address, answer.status_code, len(asked)))
    assert wrong == []
