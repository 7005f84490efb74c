"""An export holds what the screen shows: its rows, and its totals exactly."""

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import text

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.lists import Column, workbooks
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of

pytestmark = pytest.mark.slow

SignIn = Callable[..., FlaskClient]
AMOUNTS = ("total_price", "additions", "promo", "reductions", "grand_total")


@pytest.fixture
def unlimited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift the rate limit of exports."""
    monkeypatch.setattr(limiter, "enabled", False)


@pytest.fixture
def book(session: Any) -> list[int]:
    """Sixty orders of three customers and three account managers, open and closed; the managers' ids."""
    managers = [AccountManagerFactory(name=name) for name in ("Nancy", "Robert", "Laura")]
    customers = [CustomerFactory(code=f"C{n}", name=f"Customer {n}") for n in range(3)]
    for n in range(60):
        OrderFactory(
            number=f"R-{n:03}",
            customer=customers[n % 3],
            account_manager=managers[n * n % 3],
            order_date=date(2026, 1 + n % 6, 1 + n % 28),
            closing_date=date(2026, 7, 1 + n % 28) if n % 4 else None,
            total_price=Decimal(n * n * 1_000_003) / 100,
            additions=Decimal(n * 7) / 100,
            promo=Decimal(n) / 100,
            reductions=0,
        )
    session.commit()
    return [manager.id for manager in managers]


def rows_of(client: FlaskClient, **query: Any) -> tuple[list[list[str]], dict[str, str], list[str]]:
    """The rows of the CSV, its footer by name, and its control line."""
    lines = lines_for_people(client, "/orders/export.csv", query_string=query)
    end = next(n for n, line in enumerate(lines) if line[:1] == ["Filter"])
    return lines[1 : end - 1], {line[0]: line[1] for line in lines[end:]}, lines[end - 1]


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "q": st.sampled_from(["R-", "R-01", "customer 1", "zzz", "c2", "%", "_"]),
        "state": st.sampled_from(["open", "closed"]),
        "manager": st.sampled_from([0, 1, 2]),
        "since": st.dates(date(2026, 1, 1), date(2026, 7, 1)).map(str),
        "until": st.dates(date(2026, 1, 1), date(2026, 7, 1)).map(str),
        "closed_since": st.dates(date(2026, 7, 1), date(2026, 7, 28)).map(str),
        "customer": st.sampled_from(["C1", "Customer"]),
        "sort": st.sampled_from(["number", "-grand_total", "closing_date", "-customer", "id;--"]),
    },
)


def counted_by_hand(query: dict[str, Any], user_id: int | None) -> dict[str, Any]:
    """The same query in independent SQL."""
    said = {
        "q": "(o.number ILIKE :q OR c.code ILIKE :q OR c.name ILIKE :q)",
        "manager": "o.account_manager_id = :manager",
        "since": "o.order_date >= :since",
        "until": "o.order_date <= :until",
        "closed_since": "o.closing_date >= :closed_since",
        "customer": "(c.code = :customer OR c.name ILIKE :like)",
    }
    where = [said[name] for name in query if name in said]
    if "state" in query:
        where.append(f"o.closing_date IS {'NOT' if query['state'] == 'closed' else ''} NULL")
    if user_id is not None:
        where.append("o.account_manager_id = :user")
    sums = ", ".join(f"coalesce(sum(o.{name}), 0) AS {name}" for name in AMOUNTS)
    values: dict[str, Any] = {n: v for n, v in query.items() if n in said} | {"user": user_id}
    values["like"] = f"%{query.get('customer', '')}%"
    if "q" in values:
        wanted = values["q"].replace("%", r"\%").replace("_", r"\_")
        values["q"] = f"%{wanted}%"
    row = db.session.execute(
        text(
            f"SELECT count(*) AS rows, {sums} FROM orders o JOIN customers c ON c.id = o.customer_id"
            f" WHERE {' AND '.join(where) or 'true'}"
        ),
        values,
    ).one()
    db.session.rollback()
    return dict(row._mapping)


def test_file_screen_and_an_independent_sum_agree_for_any_filter(
    sign_in: SignIn, session: Any, book: list[int], unlimited: None
) -> None:
    from backoffice.people.models import User

    finance = sign_in("finance")
    nancy = session.get(User, book[0])
    own = sign_in(nancy)
    nancy_id = nancy.id

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(query=FILTERS, is_own=st.booleans())
    def agrees(query: dict[str, Any], is_own: bool) -> None:
        query = dict(query)
        if "manager" in query:
            query["manager"] = book[query["manager"]]
        client = own if is_own else finance
        expected = counted_by_hand(query, nancy_id if is_own else None)
        rows, footer, control = rows_of(client, **query)
        assert len(rows) == expected["rows"] == int(footer["Rows"])
        for position, name in enumerate(AMOUNTS, -5):
            assert sum(Decimal(row[position]) for row in rows) == expected[name]
            assert Decimal(control[position]) == expected[name]
        assert Decimal(footer["Total: Grand total"]) == expected["grand_total"]
        page = text_of(client.get("/orders", query_string=query).text)
        if expected["rows"]:
            many = "orders" if expected["rows"] != 1 else "order"
            assert f"{expected['rows']} {many} · Rp" in page
            assert f"{expected['grand_total']:,.2f}" in page

    agrees()


def test_the_file_has_the_screens_order_and_columns(
    sign_in: SignIn, session: Any, book: list[int]
) -> None:
    client = sign_in("finance")
    query = {"columns": "grand_total,number,manager", "sort": "-grand_total", "state": "open"}
    rows, footer, control = rows_of(client, **query)
    assert [len(row) for row in rows] == [4] * len(rows), "with the manager's e-mail"
    amounts = [Decimal(row[0]) for row in rows]
    assert amounts == sorted(amounts, reverse=True)
    assert control == [str(sum(amounts)), "Total", "", ""]
    assert footer["Filter"] == "Status: Open"
    assert footer["Rows"] == "15"


def test_a_text_that_looks_like_a_formula_is_none_and_a_number_stays_a_number(
    sign_in: SignIn, session: Any
) -> None:
    evil = [f"{start}cmd|' /C calc'!A0" for start in "=+-@\t\r\n"]
    harmless = ["Ödön & Söhne", 'quoted "twice"', "a,b;c", "line\nbreak", "100%s %(x)s :y", "\\."]
    for number, name in enumerate([*evil, *harmless]):
        OrderFactory(
            number=f"E-{number:02}",
            customer=CustomerFactory(name=name),
            total_price=1,
            additions=0,
            promo=0,
            reductions=0,
        )
    session.commit()
    client = sign_in("finance", name="=1+1")
    rows, footer, _ = rows_of(client, sort="number", columns="customer,grand_total")
    assert [row[0] for row in rows] == [*(f"'{name}" for name in evil), *harmless]
    assert {row[2] for row in rows} == {"1.00"}
    assert footer["Exported by"] == "'=1+1"
    footer = rows_of(client, q="=cmd", columns="customer")[1]
    assert footer["Filter"] == "Search: =cmd"


def test_a_negative_amount_is_a_number_not_a_formula(
    sign_in: SignIn, session: Any, admin_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    order = OrderFactory()
    session.commit()
    with psycopg.connect(admin_database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE orders SET promo = promo + 20000000, grand_total = -10700000")
    rows, _, control = rows_of(sign_in("finance"), columns="number,grand_total")
    assert rows == [[order.number, "-10700000.00"]]
    assert control == ["Total", "-10700000.00"]


def test_the_file_begins_with_a_byte_order_mark_and_ends_its_lines_by_crlf(
    sign_in: SignIn, session: Any, book: list[int]
) -> None:
    answer = sign_in("finance").get("/orders/export.csv?q=R-00")
    assert answer.data.startswith(b"\xef\xbb\xbfNumber,Customer,")
    assert answer.data.endswith(b"\r\n")
    assert answer.data.count(b"\n") == answer.data.count(b"\r\n")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=orders-2")


def test_indonesian_excel_gets_semicolons_and_decimal_commas(
    sign_in: SignIn, session: Any, book: list[int]
) -> None:
    answer = sign_in("finance", language="id").get(
        "/orders/export.csv-id?q=R-001&columns=number,order_date,closing_date,grand_total,updated_at"
    )
    lines = list(csv.reader(StringIO(answer.data.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert lines[1][:4] == ["R-001", "2026-02-02", "2026-07-02", "10000,09"]
    assert len(lines[1][4]) == len("2026-03-02 10:00:00")
    assert lines[2][3] == "10000,09"


def test_an_empty_list_is_an_empty_file_with_its_footer(sign_in: SignIn, session: Any) -> None:
    rows, footer, control = rows_of(sign_in("finance"), q="nothing")
    assert rows == []
    assert footer["Rows"] == "0"
    assert control[0] == "Total"
    assert control[-1] == "0"


def test_a_workbook_holds_the_same_rows_and_totals(
    sign_in: SignIn, session: Any, book: list[int]
) -> None:
    evil = OrderFactory(number="R-X1", customer=CustomerFactory(name="=HYPERLINK(1)"))
    session.commit()
    client = sign_in("finance")
    answer = client.get("/orders/export.xlsx?q=R-&sort=number&columns=number,customer,grand_total")
    assert answer.status_code == 200
    sheet = load_workbook(BytesIO(answer.data)).worksheets[0]
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells[0] == ["Number", "Customer", "Customer code", "Grand total"]
    rows = [row for row in cells if str(row[0]).startswith("R-")]
    expected, _, control = rows_of(
        client, q="R-", sort="number", columns="number,customer,grand_total"
    )
    assert [str(row[0]) for row in rows] == [row[0] for row in expected]
    amounts = [Decimal(str(row[3])) for row in rows]
    assert amounts == [Decimal(row[3]) for row in expected]
    assert Decimal(str(cells[len(rows) + 1][3])) == Decimal(control[3]) == sum(amounts)
    formula = next(row for row in sheet.iter_rows() if row[0].value == evil.number)[1]
    assert (formula.value, formula.data_type) == ("=HYPERLINK(1)", "s")


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("1234.5", "money", "#,##0.00"), ("0.0010", "money", "#,##0.000"), ("7", "money", "#,##0.00"),
        ("12.000", "quantity", "#,##0"), ("12.345", "quantity", "#,##0.000"), ("1.5000", "unit_price", "#,##0.00"),
        ("0.1234", "unit_price", "#,##0.0000"), ("60", "", "#,##0"), ("12.345", "", "#,##0.000"),
        ("9.50", "", "#,##0.00"),
    ],
)  # fmt: skip
def test_a_workbook_shows_every_decimal_that_a_number_has(
    value: str, kind: Any, shown: str
) -> None:
    amount = Decimal(value)
    columns = [(Column("amount", "Amount", None, kind=kind or "money"), "Amount")]
    file = workbooks.workbook_of(
        "x", columns, [[amount]] if kind else [], [] if kind else [[amount]]
    )
    cell = load_workbook(file).worksheets[0]["A2"]
    assert (Decimal(str(cell.value)), cell.number_format) == (amount, shown)


def test_a_moment_is_the_same_in_every_file(sign_in: SignIn, session: Any) -> None:
    OrderFactory(number="R-1", updated_at=datetime(2026, 3, 1, 16, 59, 59, 700_000, tzinfo=UTC))
    session.commit()
    client = sign_in("finance")
    asked = "q=R-1&columns=updated_at,number"
    [[there, _number]], _footer, _control = rows_of(client, q="R-1", columns="updated_at,number")
    sheet = load_workbook(BytesIO(client.get(f"/orders/export.xlsx?{asked}").data)).worksheets[0]
    assert str(sheet["A2"].value) == there


def test_a_workbook_that_would_be_too_long_points_to_csv(
    sign_in: SignIn, session: Any, book: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbooks, "MOST_ROWS", 59)
    answer = sign_in("finance").get("/orders/export.xlsx")
    assert answer.status_code == 422
    assert "This list has 60 rows" in text_of(answer.text)
    assert "export CSV, which has no limit" in text_of(answer.text)


def test_an_export_is_one_snapshot(
    sign_in: SignIn, session: Any, book: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from backoffice.lists import queries

    honest = queries.totals_of

    def another_is_faster(*arguments: Any) -> Any:
        found = honest(*arguments)
        with db.engine.begin() as connection:
            connection.execute(text("DELETE FROM orders WHERE number < 'R-030'"))
        return found

    monkeypatch.setattr(queries, "totals_of", another_is_faster)
    rows, footer, control = rows_of(sign_in("finance"))
    assert len(rows) == int(footer["Rows"]) == 60
    assert sum(Decimal(row[-1]) for row in rows) == Decimal(control[-1])


def test_a_broken_off_export_gives_its_connection_back(
    sign_in: SignIn, app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backoffice.lists import csv_files

    monkeypatch.setattr(csv_files, "BLOCK", 1)
    for _ in range(30):
        OrderFactory()
    session.commit()
    client = sign_in("finance")
    before = db.engine.pool.checkedout()
    for _ in range(3):
        answer = client.get("/orders/export.csv", buffered=False)
        next(iter(answer.response))
        answer.close()
    client.head("/orders/export.csv")
    assert db.engine.pool.checkedout() == before
    assert "SO-" in client.get("/orders").text


def test_nobody_exports_without_end(sign_in: SignIn, session: Any) -> None:
    client = sign_in("finance")
    statuses = [client.get("/orders/export.csv?q=none").status_code for _ in range(25)]
    assert statuses[:20] == [200] * 20
    assert set(statuses[20:]) == {429}
    assert sign_in("finance").get("/orders/export.csv").status_code == 200


@pytest.mark.parametrize("flavour", ["ods", "csv'", "CSV"])
def test_an_unknown_kind_of_file_is_not_found(sign_in: SignIn, session: Any, flavour: str) -> None:
    assert sign_in("finance").get(f"/orders/export.{flavour}").status_code == 404


def csv_of(client: FlaskClient, address: str) -> list[list[str]]:
    """The lines of a file for programs."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return list(csv.reader(StringIO(answer.data.decode("utf-8-sig"), newline="")))


def test_a_file_for_programs_has_codes_beside_names_and_no_totals(
    sign_in: SignIn, session: Any, book: list[int]
) -> None:
    head, *lines = csv_of(sign_in("finance"), "/orders/export.csv?q=R-00&columns=number,customer")
    assert head == ["Number", "Customer", "Customer code"]
    assert len(lines) == 10
    assert {tuple(line[1:]) for line in lines} == {(f"Customer {n}", f"C{n}") for n in range(3)}
    chosen = csv_of(sign_in("finance"), "/orders/export.csv?columns=customer_code,customer&q=R-00")
    assert chosen[0] == ["Customer code", "Customer"], "a chosen code stays at its place"


def test_totals_alone_are_those_of_the_whole_file(
    sign_in: SignIn, session: Any, book: list[int]
) -> None:
    client = sign_in("finance")
    lines, footer, control = rows_of(client, q="R-0")
    head, *alone = csv_of(client, "/orders/export.csv?q=R-0&totals=only")
    doubt = "Holds amounts that are known to be wrong"
    names = ["Package price", "Additions", "Promo", "Reductions", "Grand total"]
    assert head == ["Rows", *names, doubt]
    assert alone == [[str(len(lines)), *control[-5:], ""]]
    for_people = lines_for_people(client, "/orders/export.csv?q=R-0&totals=only")
    assert for_people[0][0] == "Number"
    assert for_people[1] == control
    assert {line[0]: line[1] for line in for_people[2:]} == {
        **footer, "Exported at": for_people[4][1],
    }  # fmt: skip
    book_ = load_workbook(BytesIO(client.get("/orders/export.xlsx?q=R-0&totals=only").data))
    cells = [[cell.value for cell in row] for row in book_.worksheets[0].iter_rows()]
    assert (cells[0][0], cells[1][0], cells[2][0]) == ("Number", "Total", "Filter")
    assert Decimal(str(cells[1][-1])) == Decimal(control[-1])
