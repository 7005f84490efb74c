"""Excel workbooks: their first sheet is read like a CSV file."""

import csv
import io
import re
import time
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer
from backoffice.imports import actions
from backoffice.imports.files import uploads, workbooks
from backoffice.imports.files.workbooks import FarCell, NoWorkbook, as_csv
from backoffice.orders.models import OrderLine
from tests.factories.orders import OrderFactory

from .desk import Desk, said

NOON = datetime.fromisoformat("2026-03-31T12:30:00")
"""A timestamp without a time zone, which workbooks do not have."""


def workbook(*rows: list[Any]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.create_sheet("Other").append(["not", "read"])
    book.save(file)
    return file.getvalue()


def read(content: bytes) -> list[list[str]]:
    with as_csv(io.BytesIO(content)) as stream:
        text = stream.read().decode().replace(workbooks.MARK, "")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_values_are_written_as_the_files_have_them() -> None:
    content = workbook(
        ["number", "date", "amount", "yes", "text", None],
        ["SO-1", date(2026, 3, 31), 0.1 + 0.2, True, "a,b\nc"],
        ["SO-2", NOON, 12_500_000, None, "=1+1", None, None],
        [1e15, 1234567.25, 1e-7, False, "é"],
    )
    assert read(content) == [
        ["number", "date", "amount", "yes", "text"],
        ["SO-1", "2026-03-31", "0.3", "TRUE", "a,b\nc"],
        ["SO-2", "2026-03-31T12:30:00", "12500000", "", "\x02Sheet!E3\x02=1+1"],
        ["1000000000000000", "1234567.25", "0.0000001", "FALSE", "é"],
    ]


def test_a_workbook_is_imported_in_the_browser(
    sign_in: Callable[..., Any], session: Session
) -> None:
    desk = Desk(sign_in("finance"))
    import_id = desk.uploaded(
        "customers", workbook(["Kode", "Nama"], ["A", "Anton"], [7, "Berta"]), names=("a.xlsx",)
    )
    assert desk.check(import_id).status_code == 303
    assert desk.apply(import_id).status_code == 303
    found = {c.code: c.name for c in session.scalars(select(Customer))}
    assert found == {"A": "Anton", "7": "Berta"}


def test_a_workbook_is_imported_by_the_command(
    write: Callable[..., Path], run_command: Callable[..., Any], session: Session, tmp_path: Path
) -> None:
    file, failed = tmp_path / "c.xlsx", tmp_path / "failed.csv"
    file.write_bytes(workbook(["code", "name"], ["A", "Anton"], ["B", None]))
    result = run_command(
        "import", "customers", str(file), "--skip-bad-rows", "--failed", str(failed)
    )
    assert result.output.splitlines()[0] == f"{file}:3: name: This must not be empty."
    assert session.scalars(select(Customer.code)).all() == ["A"]
    assert failed.read_text().splitlines() == [
        "code,name,error",
        "B,,name: This must not be empty.",
    ]
    assert run_command("import", "customers", str(write("x.csv", "PK\x03\x04"))).exit_code == 2


@pytest.mark.parametrize("claimed", ["A1", "A1:B2"])
def test_all_rows_are_read_whatever_the_workbook_says_of_its_size(claimed: str) -> None:
    rows = [["code", "name", "city"], *([f"C{n}", "Anton", "Berlin"] for n in range(5))]
    lying = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(*rows))) as honest,
        zipfile.ZipFile(lying, "w") as made,
    ):
        for name in honest.namelist():
            content = honest.read(name)
            changed = content.replace(b'ref="A1:C6"', f'ref="{claimed}"'.encode())
            assert (changed != content) == (name == "xl/worksheets/sheet1.xml")
            made.writestr(name, changed)
    assert read(lying.getvalue()) == rows


LINES = ["order_number", "kind", "description", "quantity", "unit_price"]


def quantities(session: Session) -> list[str]:
    session.rollback()
    stored = select(OrderLine.quantity).order_by(OrderLine.position)
    return [str(quantity) for quantity in session.scalars(stored)]


def test_numbers_of_a_workbook_are_what_they_are_whatever_was_said_of_files_like_it(
    sign_in: Callable[..., Any], session: Session
) -> None:
    """Its texts are read in the notation of the files."""
    OrderFactory(number="SO-1", promo=0, reductions=0)
    session.commit()
    desk = Desk(sign_in("finance"))
    numbers = workbook(LINES, ["SO-1", "package", "x", 1.234, 2])
    desk.checked("order-lines", f"{','.join(LINES)}\nSO-1,package,x,1.500,2\n", numbers="id")
    desk.apply(desk.checked("order-lines", numbers))
    assert quantities(session) == ["1.234"]
    both = workbook(LINES, ["SO-1", "package", 7.5, 1.234, 2], ["SO-1", "package", "y", "1.500", 3])
    assert desk.suggestion(desk.uploaded("order-lines", both))["numbers"] == ""
    desk.apply(desk.checked("order-lines", both, numbers="id"))
    assert quantities(session) == ["1.234", "1500.000"]
    assert session.scalars(select(OrderLine.description)).all() == ["7.5", "y"]


def test_the_command_reads_numbers_and_days_of_a_workbook_as_they_are(
    run_command: Callable[..., Any], session: Session, tmp_path: Path
) -> None:
    stored = OrderFactory(number="SO-1", promo=0, reductions=0)
    session.commit()
    lines, orders, failed = (tmp_path / name for name in ("l.xlsx", "o.xlsx", "failed.csv"))
    written = ("--number-format", "id", "--date-format", "mdy", "--encoding", "windows-1252")
    bad = ["SO-1", "none", 7.5, 2.345, 1]
    lines.write_bytes(workbook(LINES, ["SO-1", "package", "Ñandú", 1.234, 1e-3]))
    assert run_command("import", "order-lines", str(lines), *written).exit_code == 0
    assert quantities(session) == ["1.234"]
    assert session.scalars(select(OrderLine.description)).one() == "Ñandú"
    lines.write_bytes(workbook(LINES, bad))
    options = (*written, "--failed", str(failed))
    assert run_command("import", "order-lines", str(lines), *options).exit_code == 1
    assert failed.read_text().splitlines()[1].startswith('SO-1,none,7.5,"2,345",1,')
    header = ["number", "customer_code", "account_manager_email", "order_date", "closing_date"]
    named = [stored.customer.code, stored.account_manager.email]
    orders.write_bytes(workbook(header, ["SO-1", *named, date(2026, 3, 4), None]))
    assert run_command("import", "orders", str(orders), *written).exit_code == 0
    session.refresh(stored)
    assert str(stored.order_date) == "2026-03-04"


def archive(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04",
        archive(a=b"x"),
        archive(xl__workbook_xml=b"<workbook/>"),
        archive(xl__workbook_xml=b"not xml"),
        workbook(["code", "name"])[:-200],
    ],
)
def test_what_is_no_workbook_is_refused(content: bytes, sign_in: Callable[..., Any]) -> None:
    with pytest.raises(NoWorkbook):
        as_csv(io.BytesIO(content))
    answer = Desk(sign_in("finance")).upload("customers", content)
    assert answer.status_code == 422
    assert "is neither a text file nor an Excel workbook" in said(answer)


def test_a_workbook_with_too_many_rows_is_refused(
    sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_LINES", 100)
    monkeypatch.setattr(actions, "MOST_LINES", 100)
    rows = [["A", "a"]] * 200
    answer = Desk(sign_in("finance")).upload("customers", workbook(["code", "name"], *rows))
    assert answer.status_code == 422
    assert "backoffice import customers FILE" in said(answer)


def test_an_archive_that_is_huge_inside_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_UNPACKED", 1_000_000)
    with pytest.raises(NoWorkbook, match="too large inside"):
        as_csv(io.BytesIO(archive(xl__workbook_xml=b" " * 2_000_000)))


def saved(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_zeros_and_prefixes_that_excel_shows_are_read(
    sign_in: Callable[..., Any], session: Session
) -> None:
    book = Workbook()
    for row in (["code", "name"], [42, "Ltd"], [107, "Two"], [8, "Three"]):
        book.active.append(row)
    for number, form in ((2, "00000"), (3, "00000"), (4, '"INV-"0000')):
        book.active.cell(number, 1).number_format = form
    desk = Desk(sign_in("finance"))
    desk.apply(desk.checked("customers", saved(book)))
    assert sorted(session.scalars(select(Customer.code))) == ["00042", "00107", "INV-0008"]


def test_a_unit_before_a_number_is_no_code() -> None:
    book = Workbook()
    book.active.append([1500, 8])
    book.active["A1"].number_format = '"kg"0'
    book.active["B1"].number_format = '"INV-"00'
    assert read(saved(book)) == [["1500", "INV-08"]]


def test_cells_without_a_value_are_refused_by_sheet_and_cell(
    sign_in: Callable[..., Any], session: Session
) -> None:
    """A formula that was never calculated, and an error; a column that is ignored may have them."""
    book = Workbook()
    for row in (
        ["code", "name", "x"],
        ["A", "#N/A", "=1+1"],
        ["B", "=A2", None],
        ["C", "Carla", None],
    ):
        book.active.append(row)
    book.active["B2"].data_type = "e"
    desk = Desk(sign_in("finance"))
    import_id = desk.checked("customers", saved(book), **{"column-2": ""})
    page = desk.page(import_id)
    assert "Cell Sheet!B2 of the workbook has no value, but #N/A." in page
    assert "Cell Sheet!B3 of the workbook has no value, but =A2." in page
    desk.apply(import_id, good_lines_only=True)
    assert session.execute(select(Customer.code, Customer.name)).all() == [("C", "Carla")]


def test_a_hidden_sheet_is_not_read() -> None:
    book = Workbook()
    book.active.append(["hidden"])
    book.active.sheet_state = "hidden"
    book.create_sheet("Seen").append(["code"])
    assert read(saved(book)) == [["code"]]


def test_a_cell_far_below_all_others_is_refused_at_once(sign_in: Callable[..., Any]) -> None:
    book = Workbook()
    book.active.append(["code", "name"])
    book.active["XFD1048576"] = 1
    content, begin = saved(book), time.process_time()
    with pytest.raises(FarCell):
        as_csv(io.BytesIO(content))
    assert time.process_time() - begin < 0.2
    refused = said(Desk(sign_in("finance")).upload("customers", content, names=("c.xlsx",)))
    assert "c.xlsx: cell Sheet!XFD1048576 is far below all other cells." in refused


def with_rows(rows: str) -> bytes:
    """A workbook whose sheet stores exactly these rows."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook([]))) as made, zipfile.ZipFile(changed, "w") as out:
        for name in made.namelist():
            content = made.read(name)
            if name == "xl/worksheets/sheet1.xml":
                data = re.compile(rb"<sheetData\s*/>|<sheetData>.*</sheetData>", re.DOTALL)
                content, found = data.subn(f"<sheetData>{rows}</sheetData>".encode(), content)
                assert found == 1
            out.writestr(name, content)
    return changed.getvalue()


def cell_of(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


HEADER_ROW = f'<row r="1">{cell_of("A1", "code")}{cell_of("B1", "name")}</row>'


def test_a_formula_that_gives_an_empty_text_is_an_empty_cell() -> None:
    empty = '<c r="B2" t="str"><f>IF(1=1,"","x")</f><v></v></c>'
    content = with_rows(f'{HEADER_ROW}<row r="2">{cell_of("A2", "A")}{empty}</row>')
    assert read(content) == [["code", "name"], ["A", ""]]


def test_cells_that_are_stored_out_of_order_are_read() -> None:
    row = f'<row r="2">{cell_of("B2", "Anton")}{cell_of("A2", "A")}</row>'
    far = f'<row r="3">{cell_of("ZZ3", "x")}{cell_of("B3", "Berta")}{cell_of("A3", "B")}</row>'
    _header, second, third = read(with_rows(HEADER_ROW + row + far))
    assert (second, third[:2]) == (["A", "Anton"], ["B", "Berta"])


def test_a_number_format_of_very_many_zeros_is_not_followed() -> None:
    book = Workbook()
    book.active.append([7, 7])
    book.active["A1"].number_format = "0" * 200
    book.active["B1"].number_format = "0" * 20
    assert read(saved(book)) == [["7", "7".zfill(20)]]


def test_a_workbook_that_is_too_long_as_text_is_read_no_further() -> None:
    rows = [["x" * 10_000] for _ in range(100)]
    with as_csv(io.BytesIO(workbook(*rows)), most_bytes=100_000) as stream:
        assert 100_000 < len(stream.read()) < 200_000


def test_a_workbook_of_more_bytes_than_allowed_is_refused(
    sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 100_000)
    monkeypatch.setattr(actions, "MOST_BYTES", 100_000)
    rows = [["A", "x" * 10_000]] * 100
    answer = Desk(sign_in("finance")).upload("customers", workbook(["code", "name"], *rows))
    assert answer.status_code == 422
    assert "backoffice import customers FILE" in said(answer)


def test_rows_without_values_count_too() -> None:
    rows = "".join(f'<row r="{n}"/>' for n in range(2, 3000))
    content = with_rows(HEADER_ROW + rows)
    assert len(read(content)) == 1
    with pytest.raises(FarCell, match="Sheet!A1102 "):
        as_csv(io.BytesIO(content), 101)
