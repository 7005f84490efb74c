"""FAULTS.md, lines 34 to 37: an outage has a face, on every page, and ends without a restart.

A real web server over a PostgreSQL and a Redis of its own, which are really stopped.
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
"""After the end of an outage everything is as before."""

PROBES = ("/healthz", "/readyz")
DESCRIPTION = "/api/openapi.json"
"""It says what the API is; no database is needed for it."""


@dataclass(frozen=True)
class Office:
    """A company with services and a web server of its own."""

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
        """Let the database's superuser do something."""
        with psycopg.connect(self.services.postgres.url(ADMIN), autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())

    def statuses(self, pages: Iterable[str]) -> dict[str, int]:
        """What each of these pages answers."""
        return {path: self.get(path).status for path in pages}


@pytest.fixture(scope="module")
def office(application: Flask) -> Iterator[Office]:
    """A company whose services may be killed without anybody else noticing."""
    home = Path(mkdtemp(prefix="backoffice-tests-"))
    home.chmod(0o711)  # root's PostgreSQL runs as another user and passes through here
    services, log = Services(home, durable=False), home / "web.log"
    try:
        with services.in_use(services.postgres, services.redis, tied=True):
            [(cookie, pages)] = together(application, lambda: _founded(home), seconds=100)
            with web(log, BACKOFFICE_HOME=str(home), WEB_CONCURRENCY="2") as port:
                yield Office(services, port, cookie, pages, log)
    finally:
        rmtree(home, ignore_errors=True)


def _founded(home: Path) -> tuple[str, tuple[str, ...]]:
    """The company's book; a signed-in administrator's cookie, and the address of every GET route."""
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
    """It is gone, as when its machine is."""
    for pid in pids_in(office.services.postgres.data):
        os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        office.services.postgres.start(tied=True)


@contextmanager
def no_connection_left(office: Office) -> Iterator[None]:
    """Others have taken all connections; ours were lost."""
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
    """A standby, or a database under maintenance: it only reads."""
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
    """The machine behind the address follows another one, until it is promoted."""
    postgres = office.services.postgres
    postgres.stop()
    (postgres.data / "standby.signal").touch()
    with suppress(psycopg.errors.ReadOnlySqlTransaction):  # its roles are there already
        postgres.start(tied=True)
    try:
        yield
    finally:
        office.execute("SELECT pg_promote()")


@contextmanager
def redis_stopped(office: Office) -> Iterator[None]:
    """The queue and the counts of attempts are gone."""
    office.services.redis.stop()
    try:
        yield
    finally:
        office.services.redis.start(tied=True)


Outage = Callable[[Office], Any]


@pytest.fixture(scope="module")
def healthy(office: Office) -> dict[str, int]:
    """What each page answers while all is well."""
    found = office.statuses(office.pages)
    assert len(found) > 80
    assert sum(status == 200 for status in found.values()) > 60, found
    assert not [path for path, status in found.items() if status >= 500], found
    return found


def is_back(office: Office, healthy: dict[str, int]) -> None:
    """Every page is as before, and saving works, within seconds and without a restart."""
    until(lambda: saved(office) == 303, WITHIN_SECONDS, "saving works again", office.log)
    left = dict(healthy)

    def are_back() -> bool:
        for path in left.keys() - changed(office, left).keys():
            del left[path]  # one that is back has been seen; only the others are asked again
        return not left

    until(are_back, WITHIN_SECONDS, "all pages are back", office.log)
    assert office.get("/readyz").status == 200


def changed(office: Office, healthy: dict[str, int]) -> dict[str, int]:
    """The pages that answer otherwise than while all is well; too many exports a minute are no fault."""
    now = office.statuses(healthy)
    return {
        p: status
        for p, status in now.items()
        if status not in (healthy[p], 429) and healthy[p] != 429
    }


def saved(office: Office) -> int:
    """Whether an order can be opened and saved: the answer's status."""
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
    """Whether it is the page of an outage, or to a program its problem, and leaves the session alone."""
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
        # Nobody can be signed in: said at once, rather than after their password.
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
    """Sign in as people do, with an address and a password: the answer's status."""
    page = send(office.port, "GET", "/login", "", Accept=HTML)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token, *_same = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
    return send(office.port, "POST", "/login", cookie, form, Accept=HTML).status


def test_a_page_that_tells_of_an_outage_asks_the_database_no_second_time(app: Flask) -> None:
    """Each further question would cost a whole time-out where the database is silent."""
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
