"""One bad value breaks no screen: impossible dates, in every column × every page that reads its table.

CHECKs refuse them; here these were dropped, or the book is older than they are.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Column, Date, DateTime, event, select

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.base import Base
from backoffice.base.out_of_calendar import is_out_of_calendar
from backoffice.commands.upgrade import upgrade
from backoffice.orders.models import Order
from backoffice.targets.models import AccountManagerTarget
from tests.addresses import addresses, records_called_x
from tests.factories.orders import OrderFactory
from tests.faults.bad_dates import BAD, ROWS, Surgeon, dated, holding, without_checks, write
from tests.orders.pages import filled
from tests.records.test_api import Program
from tests.signing_in import someone
from tests.surgery import tell_of_everything

pytestmark = pytest.mark.slow

SignIn = Callable[..., FlaskClient]

QUERIES = {
    "/orders": ("?sort=closing_date", "?sort=-order_date", "?since=2026-01-01&until=2026-12-31"),
    "/search": ("?q=x", "?q=infinity"),
    "/reports/month": ("", "?year=2026"),
    "/billing/ageing": ("?as_of=2026-03-01",),
    "/audit": ("?since=2026-01-01",),
    "/billing/customers/x/statement": ("?period=all",),
}
"""Further query strings of some pages."""

DRAFTS = "SELECT id FROM journal_entries WHERE status = 'draft'"
OF_DRAFTS = {
    "journal_entries": f" AND id IN ({DRAFTS})", "journal_lines": f" AND entry_id IN ({DRAFTS})"
}  # fmt: skip
"""Tables with other rows that PostgreSQL does not allow to be changed: the trail has no bad date for those."""

NOT_OF_THE_SESSION = ("web_sessions", "users")
"""Tables that every request reads; a few pages are enough."""


@pytest.fixture
def old_book(
    app: Flask,
    session: Any,
    surgery: Surgeon,
    owner_connection: Surgeon,
    monkeypatch: pytest.MonkeyPatch,
    run_command: Callable[..., Any],
) -> Iterator[Surgeon]:
    """A book with a row in every table and no CHECK on dates; yields a connection on which no trigger fires."""
    monkeypatch.setattr(limiter, "enabled", False)
    someone(app, "admin")
    records_called_x()
    OrderFactory(number="SO-1", closing_date=date(2026, 3, 9))
    session.commit()
    session.remove()
    for statement in ROWS:
        surgery.execute(statement.encode())
    without_checks(owner_connection)
    for table, columns in dated():  # the trail holds bad dates, too
        for column in columns:
            if isinstance(column.type, Date) and table.name != "account_manager_targets":
                where = f"{column.name} IS NOT NULL" + OF_DRAFTS.get(table.name, "")
                for written in ("infinity", "2026-03-01"):
                    statement = f"UPDATE {table.name} SET {column.name} = '{written}' WHERE {where}"
                    owner_connection.execute(statement.encode())
    yield surgery
    for table, columns in dated():
        if table.name not in NOT_OF_THE_SESSION:
            # Months of gas follow the dates that they are derived from, which are changed with triggers firing.
            is_gas = table.name in ("readings", "gas_prices", "deposits")
            write(owner_connection if is_gas else surgery, columns, "2026-03-01")
    assert upgrade(app) == []
    assert run_command("figures", "heal", "--noted").exit_code == 0


class Pages:
    """The pages of the book, and which words the statements with each table have, of each of them."""

    def __init__(self, app: Flask, browser: FlaskClient) -> None:
        self.browser = browser
        self.reads: dict[str, dict[str, set[str]]] = {}
        known = {
            "flavour": "csv",
            "ending": "csv",
            "month": "2026-03",
            "year": 2026,
            "dimension": "month",
        }
        paths = [a for _, method, a in addresses(app, **known) if method == "GET"]
        paths += [path + query for path, queries in QUERIES.items() for query in queries]
        self.now: dict[str, set[str]] = {}
        with app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", self._note)
        try:
            self.healthy = {path: self._status(path) for path in dict.fromkeys(paths)}
        finally:
            event.remove(engine, "before_cursor_execute", self._note)
        assert sum(status == 200 for status in self.healthy.values()) > 80

    def _note(self, _c: Any, _k: Any, statement: str, *_: Any) -> None:
        words = set(re.findall(r"\w+", statement))
        for table in re.findall(r"(?:FROM|JOIN) (\w+)", statement):
            self.now[table] = self.now.get(table, set()) | words

    def _status(self, path: str) -> int:
        self.now = {}
        answer = self.browser.get(path)
        answer.get_data()  # a file is generated as it is read
        self.reads[path] = self.now
        return answer.status_code

    def changed(self, paths: Iterator[str]) -> dict[str, int]:
        """The pages with a status other than the healthy one."""
        found = {}
        for path in paths:
            answer = self.browser.get(path)
            answer.get_data()
            if answer.status_code != self.healthy[path] and (
                self.healthy[path] == 200 or answer.status_code >= 400
            ):
                found[path] = answer.status_code
        return found

    def of(self, columns: list[Column[Any]]) -> Iterator[str]:
        """The pages with a statement that has the table and names any of these columns of it."""
        table, names = columns[0].table.name, {column.name for column in columns}
        return (path for path, words in self.reads.items() if names & words.get(table, set()))


@pytest.mark.leaves_drift
def test_no_bad_date_of_any_column_closes_a_page_that_reads_it(
    app: Flask, old_book: Surgeon, sign_in: SignIn
) -> None:
    pages = Pages(app, sign_in("admin"))
    wrong, tried = [], 0
    for number, columns in enumerate(by_fact()):
        table, bad = columns[0].table.name, BAD[number % len(BAD)]
        if table == "web_sessions":
            bad = "infinity"  # otherwise no user would be signed in
        reading = list(pages.of(columns))
        few = 4 if table in NOT_OF_THE_SESSION else 6 if len(columns) > 1 else None
        reading = reading[:few]
        with holding(old_book, columns, bad):
            tried += len(reading)
            changed = pages.changed(iter(reading))
        names = ", ".join(column.name for column in columns)
        wrong += [(f"{table}.{names}", bad, path, status) for path, status in changed.items()]
    assert wrong == []
    assert tried > 200


def by_fact() -> Iterator[list[Column[Any]]]:
    """Each date column alone, since there is arithmetic with dates; the timestamps of a table together."""
    for _table, columns in dated():
        yield from ([column] for column in columns if isinstance(column.type, Date))
        if moments := [column for column in columns if isinstance(column.type, DateTime)]:
            yield moments


@pytest.mark.leaves_drift
def test_no_page_is_closed_where_every_date_of_the_book_is_bad(
    app: Flask, old_book: Surgeon, sign_in: SignIn
) -> None:
    pages = Pages(app, sign_in("admin"))
    wrong = []
    for bad in ("infinity", "0044-03-01 BC"):
        with ExitStack() as stack:
            for table, columns in dated():
                if table.name not in NOT_OF_THE_SESSION:
                    stack.enter_context(holding(old_book, columns, bad))
            changed = pages.changed(iter(pages.healthy))
        wrong += [(bad, path, status) for path, status in changed.items()]
    assert wrong == []


def test_every_date_and_moment_has_its_check(owner_connection: Surgeon, app: Flask) -> None:
    assert len(dated()) > 20
    accepted = []
    for table, columns in dated():
        owner_connection.execute(
            f"CREATE TEMP TABLE tried (LIKE {table.name} INCLUDING CONSTRAINTS)".encode()
        )
        for column in table.columns:
            owner_connection.execute(
                f"ALTER TABLE tried ALTER {column.name} DROP NOT NULL".encode()
            )
        for column, bad in itertools.product(columns, BAD):
            try:
                owner_connection.execute(
                    f"INSERT INTO tried ({column.name}) VALUES ('{bad}')".encode()
                )
                accepted.append((column, bad))
            except psycopg.errors.CheckViolation:
                pass
        owner_connection.execute("DROP TABLE tried")
    assert accepted == []


@pytest.mark.leaves_drift
def test_a_book_with_a_bad_date_is_upgraded_names_it_and_takes_no_new_one(
    app: Flask,
    old_book: Surgeon,
    owner_connection: Surgeon,
    sign_in: SignIn,
    run_command: Callable[..., Any],
) -> None:
    write = "UPDATE orders SET order_date = %s WHERE number = 'SO-1'"
    old_book.execute(write, ("infinity",))
    [said] = upgrade(app)
    assert "orders" in said
    assert upgrade(app) == [said]  # it is idempotent
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute("UPDATE orders SET order_date = '20000-01-01' WHERE number = 'x'")

    found = run_command("audit", "verify-facts", "--table", "orders")
    assert found.exit_code == 1, found.output
    assert "SO-1" in found.output
    assert "infinity" in found.output
    finance = sign_in("finance")
    drift = finance.get("/health/drift")
    assert "A date that cannot be" in drift.text or "SO-1" in drift.text
    [number] = re.findall(r"/health/drift/(\d+)[^>]*>\s*SO-1", drift.text)[:1] or ["0"]
    page = finance.get(f"/health/drift/{number}")
    assert "A date that cannot be" in page.text
    assert 'href="/orders/SO-1"' in page.text

    assert "infinity" in finance.get("/orders/SO-1").text
    refused = finance.post(
        "/orders/SO-1/edit", data=filled(finance, "/orders/SO-1/edit", promo="1")
    )
    assert refused.status_code == 422
    assert "This is not a date" in refused.text
    mended = filled(finance, "/orders/SO-1/edit", promo="1", order_date="2026-03-01")
    assert finance.post("/orders/SO-1/edit", data=mended).status_code == 303
    assert "Right again" in finance.get(f"/health/drift/{number}").text
    assert "A date that cannot be" not in finance.get("/health/drift").text
    assert upgrade(app) == []
    run_command("audit", "verify-facts", "--table", "orders")
    assert "A date that cannot be" not in finance.get("/health/drift").text


def test_a_bad_date_is_read_as_it_is_written_and_written_back_so(
    app: Flask, old_book: Surgeon
) -> None:
    with app.app_context():
        for bad in BAD:
            with holding(old_book, [Base.metadata.tables["orders"].c.order_date], bad):
                order = db.session.scalars(select(Order).where(Order.number == "SO-1")).one()
                assert is_out_of_calendar(order.order_date)
                assert str(order.order_date) == bad
                same = select(Order.id).where(Order.order_date == order.order_date)
                assert order.id in db.session.scalars(same).all()
                db.session.rollback()
                db.session.expire_all()


@pytest.fixture
def past_the_check(
    session: Any, surgery: Surgeon, owner_connection: Surgeon
) -> Iterator[Callable[[str], None]]:
    """Write a closing date into order SO-1 without its CHECK, which is then restored as an upgrade leaves it."""
    name, table = "ck_orders_in_calendar", "orders"
    found = owner_connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name]
    ).fetchone()
    assert found is not None
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode()

    def write_it(bad: str) -> None:
        owner_connection.execute(drop)
        surgery.execute("UPDATE orders SET closing_date = %s::date WHERE number = 'SO-1'", [bad])
        owner_connection.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {found[0]} NOT VALID".encode()
        )
        tell_of_everything(surgery)  # as if it had been entered before there was a CHECK

    yield write_it
    session.rollback()  # a transaction left open by a failed test would block ALTER TABLE
    owner_connection.execute(drop)
    surgery.execute(
        "UPDATE orders SET closing_date = NULL WHERE closing_date NOT BETWEEN '1900-01-01' AND '2199-12-31'"
    )
    owner_connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {found[0]}".encode())


@pytest.mark.leaves_drift
@pytest.mark.parametrize("bad", BAD)
def test_a_program_pages_past_a_closing_date_that_cannot_be(
    app: Flask, session: Any, past_the_check: Callable[[str], None], bad: str
) -> None:
    for number in ("SO-1", "SO-2", "SO-3"):
        OrderFactory(number=number, closing_date=date(2026, 5, 3), order_date=date(2026, 3, 1))
    session.commit()
    past_the_check(bad)
    program = Program(app, session, "orders:read")
    for sort in ("closing_date", "-closing_date"):
        seen, following = [], f"/api/orders?sort={sort}&limit=1"
        while following:
            page = program.send("GET", following)
            assert page.status_code == 200, (following, page.text)
            seen += [item["number"] for item in page.get_json()["items"]]
            following = page.get_json()["next"]
        assert sorted(seen) == ["SO-1", "SO-2", "SO-3"], sort


@pytest.mark.parametrize("bad", BAD[:4])
@pytest.mark.parametrize("is_verified", [False, True])
def test_a_closing_date_that_cannot_be_keeps_nobody_from_saving(
    session: Any, sign_in: SignIn, past_the_check: Callable[[str], None], run_command: Callable[..., Any],
    bad: str, is_verified: bool,
) -> None:  # fmt: skip
    one = OrderFactory(number="SO-1", closing_date=date(2026, 5, 3), order_date=date(2026, 3, 1))
    manager = one.account_manager
    for number in ("SO-2", "SO-3"):
        OrderFactory(
            number=number, account_manager=manager, closing_date=date(2026, 5, 4), order_date=date(2026, 3, 1)
        )  # fmt: skip
    session.commit()
    past_the_check(bad)
    finance = sign_in("finance")
    if is_verified:
        assert run_command("figures", "verify", "--json").exit_code == 1
        assert run_command("figures", "heal", "--json").exit_code == 0
    for number, day in (("SO-2", "2026-06-09"), ("SO-1", "2026-06-10"), ("SO-3", "")):
        page = f"/orders/{number}/edit"
        saved = finance.post(page, data=filled(finance, page, closing_date=day))
        assert saved.status_code == 303, (number, saved.status_code)
    run_command("figures", "heal", "--json")
    session.rollback()
    session.expire_all()
    months = session.scalars(
        select(AccountManagerTarget).order_by(AccountManagerTarget.month)
    ).all()
    assert [(row.month, row.orders_closed) for row in months] == [(date(2026, 6, 1), 2)]
    assert run_command("figures", "verify").exit_code == 0
