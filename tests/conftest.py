"""The tests' own PostgreSQL and Redis, and the law that no test leaves a figure wrong behind.

Every pytest process has its own services in its own temporary home, so any number of them may run
at a time, beside a running copy. Tests commit for real; afterwards the tables are emptied.
"""

import contextvars
import faulthandler
import gc
import io
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from jinja2 import FileSystemBytecodeCache
from redis import Redis
from sqlalchemy import Engine

from backoffice import create_app, translations
from backoffice.app import logs as logs_of_backoffice
from backoffice.app.config import READERS, SUPERVISED
from backoffice.app.domain import Declared, Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.base import money, periods
from backoffice.book import Meaning, of_this_process
from backoffice.commands.cli import main
from backoffice.database.embedded import ADMIN, APP, OWNER, Services
from backoffice.drift import standing
from backoffice.figures import registry
from backoffice.runs import work
from tests import rightness
from tests.northwind import imported
from tests.signing_in import cookie_for, someone
from tests.surgery import LOCKS_END, past_every_trigger
from tests.sweeping import Sweeper

registry.declare(
    Declared(DOMAINS).figures
)  # tests ask which figures there are before any app is made

SETTINGS = {"TESTING": True, "WTF_CSRF_ENABLED": False}

TEARDOWN_SECONDS = 150
"""What cleaning up may take; a test that has run out of its own time is cleaned up after, too."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers, and forget the environment of a running copy."""
    config.addinivalue_line(
        "markers", "leaves_drift: the test tampers with figures and does not heal all of them"
    )
    config.addinivalue_line(
        "markers",
        "slow: a browser, a whole company's book, a long search, races or processes of its own; see make test-quick",
    )
    # Nobody has promised how fast an example is; the first one of a process reads Unicode's tables.
    settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("here")
    for name in (*READERS, SUPERVISED):
        os.environ.pop(name, None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # of the many processes each would compile all
    sys.dont_write_bytecode = False
    log_to_standard_error()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """End a process whose cleaning up hangs: pytest-timeout has one shot, and the test may have had it."""
    faulthandler.dump_traceback_later(TEARDOWN_SECONDS, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


class StandardError(io.TextIOBase):
    """Whatever standard error is at the moment; logs don't go among what commands print."""

    def write(self, text: str) -> int:
        """Write it there."""
        return sys.stderr.write(text)


def log_to_standard_error() -> None:
    """Where the tests' own process logs, unless a test says otherwise."""
    ours = [h for h in logging.root.handlers if isinstance(h, logs_of_backoffice.StandardError)]
    for handler in ours:
        logging.root.removeHandler(handler)
    logging.root.setLevel("WARNING")
    for log in loggers():  # one that has written goes on writing as it did then
        vars(log).pop("bind", None)
    structlog.reset_defaults()
    *processors, _ = structlog.get_config()["processors"]
    structlog.configure(
        processors=[*processors, PLAIN],
        logger_factory=structlog.PrintLoggerFactory(StandardError()),
    )


def loggers() -> list[Any]:
    """The logger of every module of ours that has one; asked anew when modules have been imported since."""
    if KNOWN_LOGGERS.get("modules") != len(sys.modules):
        ours = [m for name, m in list(sys.modules.items()) if name.startswith("backoffice.")]
        KNOWN_LOGGERS["logs"] = [m.log for m in ours if hasattr(getattr(m, "log", None), "bind")]
        KNOWN_LOGGERS["modules"] = len(sys.modules)
    return list(KNOWN_LOGGERS["logs"])


KNOWN_LOGGERS: dict[str, Any] = {}

PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
"""A traceback with every variable in colours takes seconds to draw, and nobody looks at it."""


class SeparateClient(FlaskClient):
    """A test client whose requests see nothing of the test's own app context, as over a network.

    Otherwise Flask would share the test's `g`, its database session and its signed-in user.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request in a context of its own."""
        return contextvars.Context().run(super().open, *args, **kwargs)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """This process's own BACKOFFICE_HOME; child processes find it in the environment."""
    folder = Path(tempfile.mkdtemp(prefix="backoffice-tests-"))
    folder.chmod(0o711)  # root's PostgreSQL runs as another user and passes through here
    os.environ["BACKOFFICE_HOME"] = str(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def services(home: Path) -> Iterator[Services]:
    """A PostgreSQL and a Redis, empty; they die with this process whatever happens to it."""
    services = Services(home, durable=False)
    # What the planner knows of a table is what a test has told it, and not when the minute was full.
    services.postgres.settings = services.postgres.settings | {"autovacuum": "off"}
    with services.in_use(services.postgres, services.redis, tied=True):
        yield services


@pytest.fixture(scope="session")
def made_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Flask]:
    """`made_app(domains)`: an app whose requests see nothing of a test's.

    Its templates are compiled once for all processes of this run; each would spend seconds on them.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "templates"
    folder.mkdir(exist_ok=True)

    def made_app(*domains: Sequence[Domain]) -> Flask:
        app = create_app(SETTINGS, *domains)
        app.test_client_class = SeparateClient
        app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(folder))
        return app

    return made_app


@pytest.fixture(scope="session")
def application(services: Services, made_app: Callable[..., Flask]) -> Flask:
    """The app on a database migrated by the real command; made once. Tests take `app`."""
    translations.compile()
    application = made_app()
    done = application.test_cli_runner().invoke(main, ["db", "upgrade"])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    standing.SECONDS = float("inf")  # no page looks anew, so that what a page asks can be counted;
    with application.app_context():
        standing.known()  # a test of the dot itself makes it forget
    work.LONGEST_REST = 0.0  # nobody sits at a screen for whom a run here would rest
    gc.collect()
    gc.freeze()  # the app stays: looking through all of it again and again takes a tenth of the tests' time
    gc.set_threshold(20_000, 20, 20)
    return application


@pytest.fixture(scope="session")
def database_url(application: Flask, services: Services) -> str:
    """The database as the app's role, for psycopg, psql and child processes."""
    return services.postgres.url(APP)


@pytest.fixture(scope="session")
def owner_database_url(application: Flask, services: Services) -> str:
    """The database as the role that owns the tables."""
    return services.postgres.url(OWNER)


@pytest.fixture(scope="session")
def admin_database_url(application: Flask, services: Services) -> str:
    """The database as its superuser."""
    return services.postgres.url(ADMIN)


@pytest.fixture(scope="session")
def sweeper(admin_database_url: str, services: Services, home: Path) -> Iterator[Sweeper]:
    """Empties what a test has written."""
    with (
        psycopg.connect(admin_database_url, autocommit=True) as connection,
        Redis.from_url(services.redis.url) as redis,
    ):
        # No trigger notes or refuses the emptying; a transaction left open fails it quickly.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET lock_timeout = '10s'")
        yield Sweeper(connection, redis, home)


@pytest.fixture(scope="session")
def sweep(sweeper: Sweeper) -> Callable[[], None]:
    """Empties everything, for a test that begins anew again and again."""
    return sweeper.sweep


@pytest.fixture(autouse=True)
def logs() -> None:
    """Whatever an earlier test did to them."""
    log_to_standard_error()


@pytest.fixture(autouse=True)
def no_drift_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test that wrote into the database: every figure is right; then everything is emptied.

    A figure of which no table was touched is as right as it was before the test.
    """
    if "application" not in request.fixturenames:
        yield
        return
    sweeper: Sweeper = request.getfixturevalue("sweeper")
    assert_no_drift: Callable[[], None] = request.getfixturevalue("assert_no_drift")
    if sweeper.book is not None and "kept_book" not in request.fixturenames:
        sweeper.sweep()
    yield
    is_written = sweeper.is_written
    try:
        is_exempt = request.node.get_closest_marker("leaves_drift") is not None
        if not is_exempt and is_written:
            assert_no_drift()
    finally:
        if is_written:
            sweeper.leave()
        else:
            sweeper.redis.flushdb()


@pytest.fixture(scope="session")
def asked_database(application: Flask, owner_database_url: str) -> Iterator[Engine]:
    """The database that is asked what a test has left wrong; as the owner, for tests end connections of the app's."""
    with rightness.asking(owner_database_url) as engine:
        yield engine


@pytest.fixture(scope="session")
def assert_no_drift(
    application: Flask, asked_database: Engine, sweeper: Sweeper
) -> Callable[[], None]:
    """Fails with every figure that is wrong of those that read or keep a table that was changed."""
    return lambda: rightness.assert_no_drift(
        application, asked_database, sweeper.changed(), sweeper.most
    )


@pytest.fixture
def kept_book(
    sweeper: Sweeper, assert_no_drift: Callable[[], None], request: pytest.FixtureRequest
) -> Callable[[str, Callable[[], object]], None]:
    """`kept_book("name", make)`: the book that `make` writes and commits, made once in each process.

    Later tests find the same rows under the same ids. It is put down before a test writes anything.
    """
    is_exempt = request.node.get_closest_marker("leaves_drift") is not None

    def kept_book(name: str, make: Callable[[], object]) -> None:
        assert sweeper.is_as_left, f"{name} is put down before anything else is written"
        if name in sweeper.books:
            sweeper.put_down(name)
            return
        sweeper.sweep()
        make()
        if not is_exempt:
            assert_no_drift()
        sweeper.keep(name)

    return kept_book


@pytest.fixture
def northwind(kept_book: Callable[[str, Callable[[], object]], None], run_command: Any) -> None:
    """The company Northwind, imported by the real command."""
    kept_book("northwind", lambda: imported(run_command))


@pytest.fixture(scope="session")
def application_of(
    application: Flask, made_app: Callable[..., Flask]
) -> Callable[[Sequence[Domain]], Flask]:
    """The app of some domains on the same database, made once for each choice of them."""
    made = {DOMAINS: application}

    def application_of(domains: Sequence[Domain]) -> Flask:
        chosen = tuple(domains)
        if chosen not in made:
            made[chosen] = made_app(chosen)
        return made[chosen]

    return application_of


@pytest.fixture
def domains() -> Sequence[Domain]:
    """The domains of the app; a test, a module or a folder that has some of its own says so by this name."""
    return DOMAINS


@pytest.fixture
def app(
    application_of: Callable[[Sequence[Domain]], Flask], domains: Sequence[Domain]
) -> Iterator[Flask]:
    """The app; what a test changes in its configuration is put back."""
    app = application_of(domains)
    before = dict(app.config)
    yield app
    app.config.clear()
    app.config.update(before)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser that nobody has signed in with yet."""
    return app.test_client()


@pytest.fixture
def sign_in(app: Flask) -> Callable[..., FlaskClient]:
    """`sign_in("finance")`, or `sign_in(user)` with a committed user: a client of their own."""

    def sign_in(who: str | Any = "finance", **attributes: Any) -> FlaskClient:
        user_id = someone(app, who, **attributes) if isinstance(who, str) else who.id
        browser = app.test_client()
        browser.set_cookie(*cookie_for(app, user_id))
        return browser

    return sign_in


@pytest.fixture
def session(app: Flask) -> Iterator[Any]:
    """The app's own session, inside an app context. Commit what another session shall see."""
    with app.app_context():
        yield db.session
        db.session.rollback()


@pytest.fixture
def db_session(session: Any) -> Any:
    """Another name of `session`."""
    return session


@pytest.fixture
def owner_connection(owner_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A psycopg connection of the owner's role, each statement a transaction of its own."""
    with psycopg.connect(owner_database_url, autocommit=True, options=LOCKS_END) as connection:
        yield connection


@pytest.fixture
def means(app: Flask, owner_database_url: str) -> Iterator[Callable[..., None]]:
    """`means(currency="VND", timezone="Europe/Berlin")`: this process and the book, for this test.

    Child processes inherit the settings; connections of another meaning are closed.
    """
    before = of_this_process()

    def mean(currency: str | None = None, timezone: str | None = None) -> None:
        wanted = Meaning(currency or before.currency, timezone or before.timezone)
        with psycopg.connect(owner_database_url, options=LOCKS_END) as connection:
            change = "UPDATE book SET currency = %s, business_timezone = %s"
            connection.execute(change, [wanted.currency, wanted.timezone])
        money.set_currency(wanted.currency)
        periods.set_timezone(wanted.timezone)
        with app.app_context():
            db.engine.dispose()

    yield mean
    mean()


@pytest.fixture
def surgery(admin_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser who writes with every trigger off."""
    with past_every_trigger(admin_database_url) as connection:
        yield connection


@pytest.fixture
def app_connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A plain psycopg connection of the app's role: an outside program's way in."""
    with psycopg.connect(database_url, autocommit=True, options=LOCKS_END) as connection:
        yield connection


@pytest.fixture
def run_command(app: Flask) -> Callable[..., Any]:
    """Run `backoffice …` in this process: `run_command("figures", "verify", "--json")`."""
    runner = app.test_cli_runner()
    return lambda *words: runner.invoke(main, list(words))
