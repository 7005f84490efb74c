"""Excel workbooks: their first sheet is read like a CSV file."""

import csv
import io
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
from backoffice.imports.files.workbooks import NoWorkbook, as_csv

from .desk import Desk, said

NOON = datetime.fromisoformat("2026-03-31T12:30:00")
"""A moment without a zone: a workbook knows none."""


def workbook(*rows: list[Any]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.create_sheet("Other").append(["not", "read"])
    book.save(file)
    return file.getvalue()


def read(content: bytes) -> list[list[str]]:
    with as_csv(io.BytesIO(content)) as stream:
        return list(csv.reader(io.TextIOWrapper(stream, encoding="utf-8", newline="")))


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
        ["SO-2", "2026-03-31T12:30:00", "12500000", "", ""],
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
