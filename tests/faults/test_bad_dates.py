"""One bad value breaks no screen: dates out of range are clamped when they are read.

CHECKs refuse them; here these were dropped, or the book is older than they are.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Date, select

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.base import Base
from backoffice.base.periods import FIRST_DAY, LAST_DAY
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
"""Tables that every request reads: with bad dates in them no user would be signed in."""


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
    """The pages of the book, and their status while every date is right."""

    def __init__(self, app: Flask, browser: FlaskClient) -> None:
        self.browser = browser
        known = {
            "flavour": "csv",
            "ending": "csv",
            "month": "2026-03",
            "year": 2026,
            "dimension": "month",
        }
        paths = [a for _, method, a in addresses(app, **known) if method == "GET"]
        paths += [path + query for path, queries in QUERIES.items() for query in queries]
        self.healthy = {path: self._status(path) for path in dict.fromkeys(paths)}
        assert sum(status == 200 for status in self.healthy.values()) > 80

    def _status(self, path: str) -> int:
        answer = self.browser.get(path)
        answer.get_data()  # a file is generated as it is read
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
    [(row,)] = old_book.execute(
        "UPDATE orders SET closing_date = 'infinity' WHERE number = 'SO-1' RETURNING id"
    ).fetchall()
    [said] = upgrade(app)
    assert f"orders (id {row})" in said
    assert upgrade(app) == [said]  # it is idempotent
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute("UPDATE orders SET order_date = '20000-01-01' WHERE number = 'x'")

    order = "/orders/SO-1/edit"
    finance = sign_in("finance")
    refused = finance.post(order, data=filled(finance, order, promo="1"))
    assert refused.status_code == 409
    assert "before 1900 or after 2199" in refused.text
    mended = filled(finance, order, promo="1", closing_date="2026-03-09")
    assert finance.post(order, data=mended).status_code == 303
    assert old_book.execute("SELECT promo FROM orders WHERE number = 'SO-1'").fetchall() == [(1,)]
    assert upgrade(app) == []


@pytest.mark.leaves_drift
def test_an_old_finding_of_a_date_opens_and_says_that_nothing_looks_for_it(
    app: Flask, surgery: Surgeon, sign_in: SignIn
) -> None:
    [(number,)] = surgery.execute("""
        INSERT INTO drift_findings (figure, owner, key, kind, stored, expected, roots, is_root, cause, healed_at,
                                    healed_by)
        VALUES ('dates:orders', 1, '{"id": 1}', 'impossible', '{"order_date": "infinity"}',
                '{"order_date": "1900-01-01 … 2199-12-31"}', '[]', true, 'impossible', now(), 'dropped')
        RETURNING id
    """).fetchall()
    finance = sign_in("finance")
    page = finance.get(f"/health/drift/{number}").text
    assert "no longer looks for" in page
    assert "infinity" in page
    listed = finance.get("/health/drift?state=healed&columns=owner,kind,cause").text
    assert f"/health/drift/{number}" in listed
    assert "A date out of range" in listed
    file = finance.get("/health/drift/export.csv?state=healed&columns=kind,cause").text
    assert "A date out of range" in file


def test_a_bad_date_is_read_as_the_nearest_day(app: Flask, old_book: Surgeon) -> None:
    order_date = Base.metadata.tables["orders"].c.order_date
    with app.app_context():
        for bad in BAD:
            with holding(old_book, [order_date], bad):
                order = db.session.scalars(select(Order).where(Order.number == "SO-1")).one()
                is_early = bad in ("-infinity", "0044-03-01 BC", "0001-01-01")
                assert order.order_date == (FIRST_DAY if is_early else LAST_DAY), bad
                db.session.rollback()
                db.session.expire_all()


@pytest.fixture
def past_the_check(
    session: Any, surgery: Surgeon, owner_connection: Surgeon
) -> Iterator[Callable[..., None]]:
    """Write a closing date into orders without their CHECK, which is then restored as an upgrade leaves it."""
    name, table = "ck_orders_in_calendar", "orders"
    found = owner_connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name]
    ).fetchone()
    assert found is not None
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode()

    def write_it(bad: str, *numbers: str) -> None:
        owner_connection.execute(drop)
        surgery.execute(
            "UPDATE orders SET closing_date = %s::date WHERE number = ANY(%s)",
            [bad, [*numbers] or ["SO-1"]],
        )
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
def test_a_program_pages_past_closing_dates_out_of_range(
    app: Flask, session: Any, past_the_check: Callable[..., None], bad: str
) -> None:
    numbers = ["SO-1", "SO-2", "SO-3", "SO-4"]
    for number in numbers:
        OrderFactory(number=number, closing_date=date(2026, 5, 3), order_date=date(2026, 3, 1))
    session.commit()
    past_the_check(bad, *numbers[:3])
    program = Program(app, session, "orders:read")
    for sort in ("closing_date", "-closing_date"):
        seen, following = [], f"/api/orders?sort={sort}&limit=1"
        while following and len(seen) <= len(numbers):
            page = program.send("GET", following)
            assert page.status_code == 200, (following, page.text)
            seen += [item["number"] for item in page.get_json()["items"]]
            following = page.get_json()["next"]
        assert sorted(seen) == numbers, sort


@pytest.mark.parametrize("bad", BAD[:1])
@pytest.mark.parametrize("is_verified", [False, True])
def test_a_closing_date_that_cannot_be_keeps_nobody_from_saving(
    session: Any, sign_in: SignIn, past_the_check: Callable[..., None], run_command: Callable[..., Any],
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
