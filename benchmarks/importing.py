"""(g) Importing 100,000 order lines, by the command and in the browser."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from flask import Flask
from werkzeug.test import Client

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS

from .book import CUSTOMERS, MANAGERS, load
from .book import KINDS as LINE_KINDS
from .report import Measured, Report
from .timing import summary, timed
from .web import (
    EMPTY,
    csrf_token_in,
    logged_to_nowhere,
    sign_in,
    unlimited,
    with_empty_route,
)
from .world import World

BAR = 5_000
"""Lines per second."""
LINES = 100_000
LINES_OF_AN_ORDER = 4
ROUNDS = 3

Seconds = dict[str, list[float]]


def measure(world: World, scale: float) -> Report:
    """Time imports of lines for orders that have none yet, then of the same file again, in each round."""
    lines = max(LINES_OF_AN_ORDER, int(LINES * scale))
    world.empty()
    with world.connect(ADMIN) as connection:
        load(connection, 1, falsified=False)
        with connection.transaction():  # only customers and managers are kept
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("TRUNCATE orders, order_lines")
    app = with_empty_route(world.app_on("backoffice"))
    seconds: Seconds = {}
    memory: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, logged_to_nowhere(), unlimited():
        for number in range(ROUNDS):
            for way, work in (("command", _by_command), ("browser", _in_browser)):
                path = _prepare(app, Path(folder), f"{way[0].upper()}{number}", lines)
                world.settle()
                for name, value in work(app, path, lines, memory):
                    seconds.setdefault(name, []).append(value)
    _assert_right(app, lines)
    numbers: dict[str, Any] = {name: summary(values) for name, values in seconds.items()}
    return Report(_measured(seconds, memory, lines), numbers)


def _measured(seconds: Seconds, memory: dict[str, list[float]], lines: int) -> list[Measured]:
    def speed(name: str, reported: str) -> Measured:
        return Measured("g", reported, lines / median(seconds[name]), "lines/s", BAR, at_least=True)

    def growth(name: str, reported: str) -> Measured:
        return Measured("g", reported, max(memory[name]), "MB")

    return [
        speed("command", f"import {lines:,} order lines, by the command"),
        speed("command again", "the same file again"),
        speed("dry run", "the same in the browser: the dry run"),
        speed("browser", "the import that follows"),
        speed("browser again", "the same file again: the import"),
        Measured("g", "upload and guess the columns", median(seconds["upload"]), "s"),
        growth("command", "memory that the command's import adds at its peak"),
        growth("browser", "memory that dry run and import in the browser add"),
    ]


def _prepare(app: Flask, folder: Path, series: str, lines: int) -> Path:
    """Create a series of orders without lines; returns a file of lines for them."""
    random = Random(series)
    orders = [f"{series}-{number}" for number in range(1, lines // LINES_OF_AN_ORDER + 1)]
    heads = folder / f"{series}-orders.csv"
    with heads.open("w") as file:
        file.write("number,customer_code,account_manager_email,order_date,closing_date\n")
        for place, number in enumerate(orders):
            customer, manager = place % CUSTOMERS + 1, place % (MANAGERS - 1) + 2
            file.write(f"{number},C{customer},person{manager}@example.com,2026-01-15,2026-02-20\n")
    path = folder / f"{series}-lines.csv"
    with path.open("w") as file:
        file.write("order_number,kind,description,quantity,unit_price\n")
        for number in orders:
            for place, kind in enumerate(("package", "package", "addition", LINE_KINDS[2])):
                price = random.randrange(1, 100_000 if kind == "promo" else 100_000_000)
                quantity = random.randrange(1, 20_000)
                file.write(
                    f"{number},{kind},Line {place},{_decimal(quantity, 3)},{_decimal(price, 4)}\n"
                )
    with app.app_context():
        problems = import_files(db.session(), KINDS["orders"], [heads]).problems
        assert not problems, problems[0]
        db.session.commit()
    return path


def _decimal(digits: int, decimals: int) -> str:
    return f"{digits // 10**decimals}.{digits % 10**decimals:0{decimals}d}"


Timed = Iterator[tuple[str, float]]


def _by_command(app: Flask, path: Path, lines: int, memory: dict[str, list[float]]) -> Timed:
    """Do what `backoffice import` does, without the start of a process."""

    def work() -> None:
        with app.app_context(), figures.acting_as("cli:benchmark"):
            report = import_files(db.session(), KINDS["order-lines"], [path])
            assert not report.problems, report.problems[0]
            assert report.created + report.unchanged == lines
            db.session.commit()

    with _growth(memory, "command"):
        yield "command", timed(work)
    yield "command again", timed(work)


def _in_browser(app: Flask, path: Path, _lines: int, memory: dict[str, list[float]]) -> Timed:
    """Upload, columns, dry run and import, sent straight to the app as a browser sends them."""
    client = Client(app, use_cookies=False)
    headers = {"Cookie": sign_in(app, user_id=1)}
    headers |= {"X-CSRFToken": csrf_token_in(client.get(EMPTY, headers=headers).data)}
    send: Callable[..., Any] = lambda address, **form: client.post(  # noqa: E731
        address, headers=headers, data=form
    )
    for turn in ("", " again"):
        yield from _one_upload(client, headers, send, path, turn, memory)


def _one_upload(
    client: Client,
    headers: dict[str, str],
    send: Callable[..., Any],
    path: Path,
    turn: str,
    memory: dict[str, list[float]],
) -> Timed:
    answers: list[Any] = []

    def upload() -> None:
        key = {"kind": "order-lines", "idempotency_key": f"{path.stem}{turn}"}
        with path.open("rb") as file:
            answers.append(send("/imports/new", files=(file, path.name), **key))
        answers.append(client.get(answers[0].location, headers=headers))

    yield f"upload{turn}", timed(upload)
    assert answers[1].status_code == 200, answers[1].text
    columns, form = answers[0].location, _form(answers[1].text)
    with _growth(memory, "browser"):
        yield f"dry run{turn}", timed(lambda: answers.append(send(columns, do="check", **form)))
        assert answers[2].status_code == 303, answers[2].text
        record = answers[2].location
        yield f"browser{turn}", timed(lambda: answers.append(send(f"{record}/apply", checks="1")))
    assert answers[3].status_code == 303, answers[3].text
    assert "What was imported" in client.get(record, headers=headers).text


def _form(page: str) -> dict[str, str]:
    """The columns' form as prefilled: every column's meaning is guessed."""
    names = re.findall(r'name="(name-\d+)" value="([^"]*)"', page)
    columns = {f"column-{number}": value for number, (_name, value) in enumerate(names)}
    return (
        dict(names)
        | columns
        | {
            "encoding": "utf-8-sig",
            "delimiter": ",",
            "numbers": "plain",
        }
    )


@contextmanager
def _growth(memory: dict[str, list[float]], name: str) -> Iterator[None]:
    """Record the peak growth of the process's memory during the block, in MB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    yield
    memory.setdefault(name, []).append((_kilobytes("VmHWM") - before) / 1024)


def _kilobytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def _assert_right(app: Flask, lines: int) -> None:
    """Assert that every line exists, no figure has drifted, and no notes are left."""
    with app.app_context():
        found = db.session.connection().exec_driver_sql(
            "SELECT count(*) FROM order_lines WHERE description LIKE 'Line %%'"
        )
        assert found.scalar_one() >= 2 * ROUNDS * lines
        assert not list(figures.verify(db.engine)), "figures are wrong after the benchmark"
        assert not sum(figures.noted(db.engine).values()), "notes were left behind"
