"""Malicious and broken files: each is refused with sentences by line, and none does harm."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer
from backoffice.imports.failed_rows import RowError, write_failed_rows
from backoffice.imports.files.reading import CsvFile
from backoffice.imports.files.rows import LONGEST_LINE, MOST_LINES_A_ROW, rows
from backoffice.imports.files.sources import StoredFile, compressed
from backoffice.imports.files.uploads import Upload, pack
from backoffice.imports.kinds import KINDS

from .desk import Desk, said

Write = Callable[..., Path]
Problems = Callable[..., list[tuple[int, str, str]]]
Import = Callable[..., dict[str, Any]]

BAD_QUOTES = "A quotation mark here is never closed, or misplaced."


@pytest.fixture
def desk(sign_in: Callable[..., Any]) -> Desk:
    return Desk(sign_in("finance"))


def file_of(content: bytes | str) -> StoredFile:
    encoded = content.encode() if isinstance(content, str) else content
    return StoredFile("f.csv", compressed(io.BytesIO(encoded)))


def names(session: Session) -> dict[str, str]:
    session.rollback()
    return {row.code: row.name for row in session.execute(select(Customer.code, Customer.name))}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_line_end_and_the_byte_order_mark_are_read(
    end: str, mark: str, desk: Desk, session: Session
) -> None:
    file = mark + end.join(["sep=;", "code;name", 'A;"Anton; der ""Große"""', "", "B;b"])
    desk.apply(desk.checked("customers", file))
    assert names(session) == {"A": 'Anton; der "Große"', "B": "b"}


def test_a_cell_of_a_million_characters_is_refused_by_line(
    write: Write, problems: Problems
) -> None:
    file = write("c.csv", "code,name", "A," + "x" * 1_000_000, "B,", "C,c")
    assert problems("customers", file) == [
        (2, "", "This line is longer than 65,536 characters."),
        (3, "name", "This must not be empty."),
    ]


def test_a_header_of_a_million_columns_is_refused(
    write: Write, problems: Problems, desk: Desk
) -> None:
    wide = ",".join(["x"] * 1_000_000)
    (problem,) = problems("customers", write("c.csv", wide, "1"))
    assert problem == (1, "", "This line is longer than 65,536 characters.")
    (problem,) = problems("customers", write("c.csv", "x," * 20_000, "1"))
    assert problem == (1, "", "This line has more than 500 cells.")
    import_id = desk.uploaded("customers", wide + "\n1\n")
    refused = desk.check(import_id)
    assert refused.status_code == 422
    assert "This line is longer than 65,536 characters." in said(refused)


def test_a_quotation_mark_that_is_never_closed_costs_its_own_line_only(
    write: Write, problems: Problems
) -> None:
    lines = [f"C{number},c" for number in range(MOST_LINES_A_ROW * 2)]
    file = write("c.csv", "code,name", 'A,"a', *lines, 'B,"b"x', "D,")
    last = len(lines) + 3
    assert problems("customers", file) == [
        (2, "", BAD_QUOTES),
        (last, "", BAD_QUOTES),
        (last + 1, "name", "This must not be empty."),
    ]


def test_lines_that_were_read_in_vain_keep_their_numbers() -> None:
    long = "x" * (LONGEST_LINE + 5)
    text = f'h\n"a\n{long}\nb\n"c\nd"\ne'
    found = [
        (row.number, row.cells[0][:3], bool(row.trouble)) for row in rows(io.StringIO(text), ",")
    ]
    assert found == [
        (1, "h", False),
        (2, '"a', True),
        (3, "xxx", True),
        (4, "b", False),
        (5, "c\nd", False),
        (7, "e", False),
    ]


def test_what_is_no_character_is_refused_even_where_it_is_ignored(
    write: Write, run_command: Callable[..., Any]
) -> None:
    file = write("c.csv", "code,name,x", "A,a,b\x00c", "B\x00,b,")
    result = run_command("import", "customers", str(file), "--ignore", "x")
    assert result.output.splitlines()[:2] == [
        f"{file}:2: x: This holds a line break or another invisible character.",
        f"{file}:3: code: This holds a line break or another invisible character.",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 1000,
        b"code,name\n\x00\x00\x00\n",
        b"\xff\xfe\x00",
        b"\xff" * 5000,
        b'"' * 5000,
        b"code,name\n" + b'"' * 5001 + b"\n",
        b",\n" * 1000,
        b"\n\n\n\n",
        b"code,name,error\nA,a\n",
        b"error\nx\n",
        b"sep=;",
        b"code,name\r\rA,a\r",
        "code,name\n\u2028A,a\n".encode(),
        "код,имя\nA,a\n".encode(),
        ("code,name\n" + "é" * 70_000 + "\n").encode(),
    ],
)
def test_no_file_breaks_a_screen(content: bytes, desk: Desk, session: Session) -> None:
    answer = desk.upload("customers", content)
    assert answer.status_code == 303
    import_id = int(answer.location.split("/")[-2])
    assert desk.client.get(f"/imports/{import_id}/columns").status_code == 200
    mapped = desk.check(import_id, **{"column-0": "code", "column-1": "name"})
    assert mapped.status_code in (200, 303, 422)
    if mapped.status_code == 303:
        desk.page(import_id)
        desk.failed(import_id)
        desk.apply(import_id, good_lines_only=True)
    assert session.scalar(select(func.count()).select_from(Customer)) in (0, 1)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_whatever_the_bytes_are_reading_ends_and_counts_lines(content: bytes) -> None:
    if not content:
        return
    try:
        stored = pack(Upload("f.csv", io.BytesIO(b"code,name\n" + content)))
    except ValueError:
        return
    file = CsvFile(StoredFile("f.csv", stored.content), KINDS["customers"].columns)
    numbers = [line.number for line in file.lines()]
    assert numbers == sorted(set(numbers))
    assert all(problem.line >= 1 for problem in file.problems)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT | st.sampled_from(["=1+1", "'=x", "-5", "@a", "'"])), max_size=6)
)
def test_returned_rows_are_read_as_they_were(cells: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    rows_ = [[a.strip() or "x", b.strip()] for a, b in cells]
    csv.writer(text).writerows([["code", "name"], *rows_])
    file = CsvFile(file_of(text.getvalue()), KINDS["customers"].columns)
    before = [row.cells for row in file.rows()]
    again = io.StringIO(newline="")
    complaints = [RowError(0, row.number, "wrong") for row in file.rows()]
    write_failed_rows(again, [file], complaints)
    returned = CsvFile(file_of(again.getvalue()), KINDS["customers"].columns)
    assert returned.problems == []
    assert [row.cells[:-1] for row in returned.rows()] == before
    assert all(row.cells[-1] == "wrong" for row in returned.rows())


def test_formulas_are_guarded_in_what_is_returned(desk: Desk) -> None:
    cells = ["=1+1", "+1", "-1", "@x", "\t=1", "-cmd", "'=x"]
    file = "code,name,city\n" + "".join(f'"{cell}",,"{cell}"\n' for cell in cells)
    returned = desk.failed(desk.checked("customers", file)).decode("utf-8-sig")
    starts = [line.split(",", 1)[0].strip('"') for line in returned.splitlines()[1:]]
    assert starts == ["'=1+1", "+1", "-1", "'@x", "'\t=1", "'-cmd", "'=x"]


# The command line


def test_bad_rows_can_be_skipped_and_kept(
    write: Write, run_command: Callable[..., Any], session: Session, tmp_path: Path
) -> None:
    file, failed = write("c.csv", "code;name", "A;a", "B;", "C;c"), tmp_path / "failed.csv"
    result = run_command(
        "import", "customers", str(file), "--skip-bad-rows", "--failed", str(failed)
    )
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{file}:3: name: This must not be empty.",
        "1 bad lines in customers are left out.",
        "customers: 3 lines read, 2 created, 0 updated, 0 removed, 0 unchanged.",
    ]
    assert names(session) == {"A": "a", "C": "c"}
    assert failed.read_bytes() == b"code;name;error\r\nB;;name: This must not be empty.\r\n"
    failed.write_bytes(failed.read_bytes().replace(b"B;", b"B;b"))
    assert run_command("import", "customers", str(failed)).exit_code == 0
    assert names(session) == {"A": "a", "B": "b", "C": "c"}


def test_a_dry_run_reports_what_would_be_left_out(
    write: Write, run_command: Callable[..., Any], session: Session
) -> None:
    file = write("c.csv", "code,name", "A,a", "B,")
    result = run_command("import", "customers", str(file), "--skip-bad-rows", "--dry-run")
    assert result.exit_code == 1
    assert result.output.splitlines()[1:] == [
        "1 bad lines in customers are left out.",
        "customers: 2 lines read, 1 created, 0 updated, 0 removed, 0 unchanged.",
        "This was a dry run: nothing was changed.",
    ]
    assert names(session) == {}


def test_without_a_good_line_nothing_is_changed(
    write: Write, run_command: Callable[..., Any], session: Session
) -> None:
    result = run_command(
        "import", "customers", str(write("c.csv", "code,name", "A,")), "--skip-bad-rows"
    )
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "1 bad lines in customers. Nothing was changed."


def test_a_line_that_may_belong_anywhere_cannot_be_skipped(
    write: Write, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    failed = tmp_path / "failed.csv"
    file = write(
        "l.csv",
        "order_number,kind,description,quantity,unit_price",
        "SO-1,package",
        "SO-2,package,x,1,1",
    )
    result = run_command(
        "import", "order-lines", str(file), "--skip-bad-rows", "--failed", str(failed)
    )
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == (
        "The good lines may be wrong without them, so all have to be corrected."
    )
    assert len(failed.read_text().splitlines()) == 3
