"""The reconciliation on screen and as files: equal to the tables, and safe whatever text is in them."""

import csv
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openpyxl import load_workbook

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.lists import workbooks
from backoffice.orders.models import Order
from backoffice.reconciliation import queries
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

SignIn = Callable[..., FlaskClient]


def lines_of(data: bytes, delimiter: str = ",") -> list[list[str]]:
    text = data.decode("utf-8-sig")
    return list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))


def parted(lines: list[list[str]]) -> tuple[list[dict[str, str]], list[str], dict[str, str]]:
    """The rows by column, the (only) control line, and the footer by name."""
    head, *rest = lines
    end = next(n for n, line in enumerate(rest) if line[0] in ("Total", "TOTAL"))
    rows = [dict(zip(head, line, strict=True)) for line in rest[:end]]
    return rows, rest[end], {line[0]: line[1] for line in rest[end + 1 :]}


def test_the_screen_shows_control_totals_and_the_greatest_differences(
    book: list[int], surgery: psycopg.Connection[Any], sign_in: SignIn
) -> None:
    client, address = sign_in("finance"), "/reconciliation?figure=orders.grand_total"
    assert "Ties out" in client.get(address).text
    surgery.execute("UPDATE orders SET grand_total = grand_total - 3 WHERE id = %s", [book[2]])
    surgery.execute("UPDATE orders SET grand_total = grand_total + 70 WHERE id = %s", [book[4]])
    page = client.get(address).text
    [stored] = surgery.execute("SELECT sum(grand_total) FROM orders").fetchall()
    assert f"{stored[0]:,}" in page
    assert "Differences" in page
    assert "2 rows are wrong" in page
    assert re.findall(r'href="/orders/(R-\d)/calculation/grand_total"', page) == ["R-4", "R-2"]
    fragment = client.get(address, headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert "67.00" in fragment
    figures.heal(db.engine)


def test_one_record_is_found_by_its_name_or_number(book: list[int], sign_in: SignIn) -> None:
    client = sign_in("viewer")
    for record in ("R-3", f"%23{book[3]}"):
        page = client.get(f"/reconciliation?figure=orders.grand_total&record={record}").text
        assert re.search(r'data-label="Rows">1<', page), record
        assert "30,000.06" in page
    for figure, record in (("orders.grand_total", "R-99"), ("orders.grand_total", "%230")):
        page = client.get(f"/reconciliation?figure={figure}&record={record}").text
        assert "of which this figure is kept" in page
    manager = client.get("/reconciliation?figure=account_manager_targets.achieved&record=Nancy")
    assert "Ties out" in manager.text


def test_a_name_that_two_have_means_both_on_screen_in_the_file_and_for_the_command(
    session: Any, sign_in: SignIn, run_command: Callable[..., Any]
) -> None:
    for number in range(2):
        manager = AccountManagerFactory(name="Ana")
        OrderFactory(account_manager=manager, closing_date=date(2026, 3, 1 + number))
    session.commit()
    client = sign_in("viewer")
    asked = "figure=account_manager_targets.achieved&record=Ana"
    page = client.get(f"/reconciliation?{asked}").text
    assert re.findall(r'data-label="Rows">(\d)<', page) == ["2", "2"]
    lines = lines_of(client.get(f"/reconciliation/report.csv?{asked}").data)
    done = run_command("figures", "reconcile", "account_manager_targets.achieved", "--owner", "Ana")
    assert [line[1] for line in lines if line[0] == "Lines"] == ["4"]
    assert "lines,4" in done.output


@pytest.mark.parametrize(
    "days", ["since=2026-02-30", "until=x", "since=2026-01-01&until=9999-12-31"]
)
def test_a_day_that_is_none_is_said_and_no_file_leaves_it_out(
    session: Any, sign_in: SignIn, days: str
) -> None:
    client, asked = sign_in("viewer"), f"figure=orders.grand_total&{days}"
    assert "is not a day from 1900 to 2199" in client.get(f"/reconciliation?{asked}").text
    assert client.get(f"/reconciliation/report.csv?{asked}").status_code == 404


def test_a_large_figure_follows_its_page(
    book: list[int], sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MANY", -1)
    client, address = sign_in("viewer"), "/reconciliation?figure=orders.grand_total"
    page = client.get(address).text
    assert 'hx-trigger="load"' in page
    assert "Ties out" not in page
    assert "Ties out" in client.get(address, headers={"HX-Request": "true"}).text
    assert "Ties out" in client.get(f"{address}&now=1").text, "without JavaScript"


@pytest.mark.usefixtures("unlimited")
def test_the_file_has_every_row_and_totals_equal_to_the_tables(
    book: list[int], surgery: psycopg.Connection[Any], sign_in: SignIn
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 0.01 WHERE id = %s", [book[2]])
    answer = sign_in("finance", name="Ana").get(
        "/reconciliation/report.csv?figure=orders.grand_total"
    )
    assert answer.data.startswith("\ufeff".encode())
    assert answer.data.endswith(b"\r\n")
    rows, total, footer = parted(lines_of(answer.data))
    stored = surgery.execute("SELECT id, number, grand_total FROM orders ORDER BY id").fetchall()
    shown = [(int(row["Owner"]), row["Record"], Decimal(row["Stored"])) for row in rows]
    assert shown == stored
    assert [row["Record"] for row in rows if row["Right"] == "no"] == ["R-2"]
    sums = surgery.execute(
        "SELECT sum(grand_total), sum(total_price + additions - promo - reductions) FROM orders"
    ).fetchone()
    assert (Decimal(total[5]), Decimal(total[6])) == sums
    assert Decimal(total[7]) == Decimal("-0.01") == sum(Decimal(row["Difference"]) for row in rows)
    reported = {
        name: footer[name] for name in ("Figure", "Records", "Exported by", "Lines", "Wrong")
    }
    assert reported == {
        "Figure": "Grand total", "Records": "all", "Exported by": "Ana", "Lines": "7", "Wrong": "1",
    }  # fmt: skip
    figures.heal(db.engine)


@pytest.mark.usefixtures("unlimited")
def test_excel_in_indonesian_gets_semicolons_and_commas(book: list[int], sign_in: SignIn) -> None:
    client = sign_in("finance", language="id")
    answer = client.get("/reconciliation/report.csv-id?figure=orders.grand_total&record=R-2")
    head, row, *_rest = lines_of(answer.data, ";")
    assert row[5] == "20000,04"
    assert len(head) == len(row) == 11


@pytest.mark.usefixtures("unlimited")
def test_texts_that_a_spreadsheet_would_calculate_are_inert_and_numbers_stay_numbers(
    session: Any, surgery: psycopg.Connection[Any], sign_in: SignIn
) -> None:
    numbers = ["=1+1", "+1", "-1", "@SUM(A1)", "\tTab", 'quo"te;,']
    for number in numbers:
        OrderFactory(number=number, total_price=0, additions=0, promo=5, reductions=0)
    session.commit()
    client, address = sign_in("finance"), "/reconciliation/report.{}?figure=orders.grand_total"
    rows, _, _ = parted(lines_of(client.get(address.format("csv")).data))
    assert [row["Record"] for row in rows] == [*(f"'{n}" for n in numbers[:5]), numbers[5]]
    assert {row["Stored"] for row in rows} == {"-5.00"}
    sheet = load_workbook(BytesIO(client.get(address.format("xlsx")).data)).active
    assert sheet is not None
    cells = [sheet.cell(row, 2) for row in range(2, 8)]
    assert [cell.value for cell in cells] == numbers
    assert {cell.data_type for cell in cells} == {"s"}
    assert [sheet.cell(2, n).value for n in (6, 7)] == [-5, -5]


@pytest.mark.usefixtures("unlimited")
def test_a_workbook_has_its_limit_and_a_csv_file_none(
    book: list[int], sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbooks, "MOST_ROWS", 6)
    client, address = sign_in("finance"), "/reconciliation/report.{}?figure=orders.grand_total"
    refused = client.get(address.format("xlsx"))
    assert refused.status_code == 422
    assert "export CSV" in refused.text
    assert client.get(address.format("csv")).status_code == 200


@pytest.mark.usefixtures("unlimited")
def test_hostile_addresses_get_a_page_or_404(book: list[int], sign_in: SignIn) -> None:
    client = sign_in("finance")
    for figure in ("", "nonsense", "orders.grand_total%0d%0aSet-Cookie:%20a=b", "%00", "../../etc"):
        assert client.get(f"/reconciliation?figure={figure}").status_code == 200
        assert client.get(f"/reconciliation/report.csv?figure={figure}").status_code == 404
    for record in ("%0d%0aX:%201", "%00", "%23" + "9" * 30, "%3Cscript%3E", "%27%3B--", "%23-1"):
        address = f"figure=orders.grand_total&record={record}"
        page = client.get(f"/reconciliation?{address}")
        assert page.status_code == 200
        assert "<script>" not in page.text.partition('id="results"')[2].partition("</main>")[0]
    name = client.get("/reconciliation/report.csv?figure=orders.grand_total&record=R-3%0d%0aX:1")
    assert name.status_code == 404
    for days in (
        "since=x&until=2026-13-01",
        "since=0001-01-01",
        "since=9999-12-31&until=9999-12-31",
    ):
        assert client.get(f"/reconciliation?figure=orders.grand_total&{days}").status_code == 200
    turned = client.get(
        "/reconciliation?figure=orders.grand_total&since=2026-02-02&until=2026-01-01"
    )
    assert "The last day is before the first." in turned.text
    assert client.get("/reconciliation/report.pdf?figure=orders.grand_total").status_code == 404


def test_account_managers_have_no_part_in_it(book: list[int], sign_in: SignIn) -> None:
    client = sign_in("account_manager")
    for path in (
        "",
        "/kept",
        "/kept/1",
        "/kept/1/file.csv",
        "/report.csv?figure=orders.grand_total",
    ):
        assert client.get(f"/reconciliation{path}").status_code == 403, path
    assert client.post("/reconciliation/kept", data={"idempotency_key": "k"}).status_code == 403
    assert sign_in("viewer").post("/reconciliation/kept").status_code == 403
    assert "Make them now" not in sign_in("viewer").get("/reconciliation").text


def test_a_download_leaves_no_connection_behind(
    app: Flask, book: list[int], session: Any, sign_in: SignIn
) -> None:
    assert session.scalar(db.select(db.func.count()).select_from(Order)) == 7
    session.rollback()
    out = db.engine.pool.checkedout()  # type: ignore[attr-defined]
    client = sign_in("finance")
    answer = client.get("/reconciliation/report.csv?figure=orders.grand_total", buffered=False)
    answer.close()
    assert db.engine.pool.checkedout() == out  # type: ignore[attr-defined]
    limiter.reset()
