"""The tests' own PostgreSQL and Redis, and the check that no test leaves a wrong figure.

Every pytest process has its own services in its own temporary home, so that any number of them can run
at the same time, and beside a running app. Tests really commit; afterwards the tables are emptied.
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
from backoffice.drift import figure_status
from backoffice.figures import registry
from backoffice.runs import work, working
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
"""The limit of a teardown in seconds; it also applies after a test that has timed out."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and remove the environment variables of a running app."""
    config.addinivalue_line(
        "markers", "leaves_drift: the test tampers with figures and does not heal all of them"
    )
    config.addinivalue_line(
        "markers",
        "slow: a browser, a whole company's book, a long search, races or processes of its own; see make test-quick",
    )
    # Examples have no deadline; the first one of a process loads the Unicode tables.
    settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("here")
    for name in (*READERS, SUPERVISED):
        os.environ.pop(name, None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles all
    sys.dont_write_bytecode = False
    log_to_standard_error()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """End a process that hangs in a teardown: pytest-timeout acts only once, and may have done so in the test."""
    faulthandler.dump_traceback_later(TEARDOWN_SECONDS, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


class StandardError(io.TextIOBase):
    """The current standard error, so that logs are not mixed with the output of commands."""

    def write(self, text: str) -> int:
        """Write `text` to it."""
        return sys.stderr.write(text)


def log_to_standard_error() -> None:
    """Let the tests' own process log to standard error, unless a test configures something else."""
    ours = [h for h in logging.root.handlers if isinstance(h, logs_of_backoffice.StandardError)]
    for handler in ours:
        logging.root.removeHandler(handler)
    logging.root.setLevel("WARNING")
    for log in loggers():  # a logger that was used keeps its first configuration
        vars(log).pop("bind", None)
    structlog.reset_defaults()
    *processors, _ = structlog.get_config()["processors"]
    structlog.configure(
        processors=[*processors, PLAIN],
        logger_factory=structlog.PrintLoggerFactory(StandardError()),
    )


def loggers() -> list[Any]:
    """The loggers of this app's modules; collected again when more modules have been imported."""
    if KNOWN_LOGGERS.get("modules") != len(sys.modules):
        ours = [m for name, m in list(sys.modules.items()) if name.startswith("backoffice.")]
        KNOWN_LOGGERS["logs"] = [m.log for m in ours if hasattr(getattr(m, "log", None), "bind")]
        KNOWN_LOGGERS["modules"] = len(sys.modules)
    return list(KNOWN_LOGGERS["logs"])


KNOWN_LOGGERS: dict[str, Any] = {}

PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
"""A renderer with plain tracebacks: coloured ones with every variable take seconds to render."""


class SeparateClient(FlaskClient):
    """A test client with requests that are isolated from the test's own app context, as over a network.

    Otherwise Flask would share the test's `g`, its database session and its signed-in user.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request in a separate context."""
        return contextvars.Context().run(super().open, *args, **kwargs)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """This process's own BACKOFFICE_HOME; child processes inherit it in the environment."""
    folder = Path(tempfile.mkdtemp(prefix="backoffice-tests-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user, who has to traverse this folder
    os.environ["BACKOFFICE_HOME"] = str(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def services(home: Path) -> Iterator[Services]:
    """An empty PostgreSQL and an empty Redis, which end with this process however it ends."""
    services = Services(home, durable=False)
    # The planner's statistics are those that a test has collected, whatever the time.
    services.postgres.settings = services.postgres.settings | {"autovacuum": "off"}
    with services.in_use(services.postgres, services.redis, tied=True):
        yield services


@pytest.fixture(scope="session")
def made_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Flask]:
    """`made_app(domains)`: an app with requests that are isolated from a test's context.

    Its templates are compiled once for all processes of this test run; that takes seconds.
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
    """The app on a database migrated by the real command; made once. Tests use `app`."""
    translations.compile()
    application = made_app()
    done = application.test_cli_runner().invoke(main, ["db", "upgrade"])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    figure_status.SECONDS = float("inf")  # no page reads it again: a page's queries can be counted
    with application.app_context():
        figure_status.known()  # a test of the dot itself clears it
    work.LONGEST_REST = 0.0  # no user at a screen, so runs need not pause
    working.FIRST_REST = 0.05  # nothing outside has to come back first
    gc.collect()
    gc.freeze()  # the app is never freed: collecting it again and again takes a tenth of the tests' time
    gc.set_threshold(20_000, 20, 20)
    return application


@pytest.fixture(scope="session")
def database_url(application: Flask, services: Services) -> str:
    """The database's address with the app's role, for psycopg, psql and child processes."""
    return services.postgres.url(APP)


@pytest.fixture(scope="session")
def owner_database_url(application: Flask, services: Services) -> str:
    """The database's address with the role that owns the tables."""
    return services.postgres.url(OWNER)


@pytest.fixture(scope="session")
def admin_database_url(application: Flask, services: Services) -> str:
    """The database's address with a superuser's role."""
    return services.postgres.url(ADMIN)


@pytest.fixture(scope="session")
def sweeper(admin_database_url: str, services: Services, home: Path) -> Iterator[Sweeper]:
    """Empties what a test has written."""
    with (
        psycopg.connect(admin_database_url, autocommit=True) as connection,
        Redis.from_url(services.redis.url) as redis,
    ):
        # Triggers are off while tables are emptied; a transaction that was left open makes it fail quickly.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET lock_timeout = '10s'")
        yield Sweeper(connection, redis, home)


@pytest.fixture(scope="session")
def sweep(sweeper: Sweeper) -> Callable[[], None]:
    """Empties everything, for a test that starts again repeatedly."""
    return sweeper.sweep


@pytest.fixture(autouse=True)
def logs() -> None:
    """Reset logging, whatever an earlier test has configured."""
    log_to_standard_error()


@pytest.fixture(autouse=True)
def no_drift_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test that wrote into the database, assert that every figure is right; then empty everything.

    Figures without a changed table are not checked again.
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
    """The database in which drift is looked for, with the owner's role, as tests end connections of the app's role."""
    with rightness.asking(owner_database_url) as engine:
        yield engine


@pytest.fixture(scope="session")
def assert_no_drift(
    application: Flask, asked_database: Engine, sweeper: Sweeper
) -> Callable[[], None]:
    """Fails with all drift of the figures that read or are stored in a changed table."""
    return lambda: rightness.assert_no_drift(
        application, asked_database, sweeper.changed(), sweeper.most
    )


@pytest.fixture
def kept_book(
    sweeper: Sweeper, assert_no_drift: Callable[[], None], request: pytest.FixtureRequest
) -> Callable[[str, Callable[[], object]], None]:
    """`kept_book("name", make)`: the book that `make` writes and commits, made once in each process.

    Later tests find the same rows with the same ids. It is restored before a test writes anything.
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
    """The company Northwind, imported with the real command."""
    kept_book("northwind", lambda: imported(run_command))


@pytest.fixture(scope="session")
def application_of(
    application: Flask, made_app: Callable[..., Flask]
) -> Callable[[Sequence[Domain]], Flask]:
    """The app with some domains on the same database, made once for each selection of them."""
    made = {DOMAINS: application}

    def application_of(domains: Sequence[Domain]) -> Flask:
        chosen = tuple(domains)
        if chosen not in made:
            made[chosen] = made_app(chosen)
        return made[chosen]

    return application_of


@pytest.fixture
def domains() -> Sequence[Domain]:
    """The domains of the app; a test, a module or a folder with other domains overrides this fixture."""
    return DOMAINS


@pytest.fixture
def app(
    application_of: Callable[[Sequence[Domain]], Flask], domains: Sequence[Domain]
) -> Iterator[Flask]:
    """The app; what a test changes in its configuration is restored."""
    app = application_of(domains)
    before = dict(app.config)
    yield app
    app.config.clear()
    app.config.update(before)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser that is not signed in."""
    return app.test_client()


@pytest.fixture
def sign_in(app: Flask) -> Callable[..., FlaskClient]:
    """`sign_in("finance")`, or `sign_in(user)` with a committed user: a separate client, signed in."""

    def sign_in(who: str | Any = "finance", **attributes: Any) -> FlaskClient:
        user_id = someone(app, who, **attributes) if isinstance(who, str) else who.id
        browser = app.test_client()
        browser.set_cookie(*cookie_for(app, user_id))
        return browser

    return sign_in


@pytest.fixture
def session(app: Flask) -> Iterator[Any]:
    """The app's own session, inside an app context. Commit what other sessions have to see."""
    with app.app_context():
        yield db.session
        db.session.rollback()


@pytest.fixture
def db_session(session: Any) -> Any:
    """Another name for `session`."""
    return session


@pytest.fixture
def without_cents() -> Iterator[None]:
    """Make the currency one without cents: where amounts have cents, a column rounds what the code forgot to round."""
    money.set_currency("VND")
    yield
    money.set_currency("IDR")


@pytest.fixture
def owner_connection(owner_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A psycopg connection with the owner's role in autocommit mode."""
    with psycopg.connect(owner_database_url, autocommit=True, options=LOCKS_END) as connection:
        yield connection


@pytest.fixture
def means(app: Flask, owner_database_url: str) -> Iterator[Callable[..., None]]:
    """`means(currency="VND", timezone="Europe/Berlin")`: set the meaning of this process and the book, for this test.

    Child processes inherit the settings; connections that were checked against another meaning are closed.
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
    """A connection with a superuser's role and all triggers off."""
    with past_every_trigger(admin_database_url) as connection:
        yield connection


@pytest.fixture
def app_connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A plain psycopg connection with the app's role, as another program would use."""
    with psycopg.connect(database_url, autocommit=True, options=LOCKS_END) as connection:
        yield connection


@pytest.fixture
def run_command(app: Flask) -> Callable[..., Any]:
    """Run `backoffice …` in this process: `run_command("figures", "verify", "--json")`."""
    runner = app.test_cli_runner()
    return lambda *words: runner.invoke(main, list(words))
