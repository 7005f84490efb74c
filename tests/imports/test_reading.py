"""Files as they really come: encodings, delimiters, quotes, and lines that are wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer

Write = Callable[..., Path]
Problems = Callable[..., list[tuple[int, str, str]]]
Import = Callable[..., dict[str, Any]]


def names(session: Session) -> dict[str, str]:
    """Every customer's name by code."""
    found = session.execute(select(Customer.code, Customer.name).order_by(Customer.code))
    return {row.code: row.name for row in found}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_headers(
    delimiter: str, write: Write, import_: Import, session: Session
) -> None:
    lines = (["code", "name", "city"], ["A", "Anton", "Berlin"], ["B", '"a,b;c|d"', ""])
    file = write("c.csv", *(delimiter.join(cells) for cells in lines))
    assert import_("customers", file)["created"] == 2
    assert names(session) == {"A": "Anton", "B": "a,b;c|d"}


def test_a_byte_order_mark_crlf_and_blank_lines_do_no_harm(
    write: Write, import_: Import, session: Session
) -> None:
    file = write("c.csv", b"\xef\xbb\xbfcode,name\r", "A, Tokyo Taquería 東京 \r", "\r", ",\r")
    assert import_("customers", file)["read"] == 1
    assert names(session) == {"A": "Tokyo Taquería 東京"}


def test_columns_may_come_in_any_order_and_case(
    write: Write, import_: Import, session: Session
) -> None:
    assert import_("customers", write("c.csv", "Name , CODE", "Anton,A"))["created"] == 1
    assert names(session) == {"A": "Anton"}


def test_a_header_alone_is_an_empty_file(write: Write, import_: Import) -> None:
    assert import_("customers", write("c.csv", "code,name"))["read"] == 0


def test_a_file_without_anything_names_the_columns(write: Write, problems: Problems) -> None:
    ((line, _, sentence),) = problems("customers", write("c.csv", ""))[:1]
    assert line == 1
    assert sentence.startswith("The first line must name the columns: code, name, contact_name")


def test_an_unknown_column_is_refused_with_the_known_ones(write: Write, problems: Problems) -> None:
    found = problems("customers", write("c.csv", "code,name,grand_total", "A,a,5"))
    known = "code, name, contact_name, phone, city, country"
    assert found == [
        (1, "grand_total", f"This column is not known. The columns are: {known}."),
    ]


def test_missing_and_repeated_columns_are_named(write: Write, problems: Problems) -> None:
    found = problems("customers", write("c.csv", "code,city,city", "A,a,a"))
    assert [(line, column) for line, column, _ in found] == [
        (1, "city"),
        (1, "city"),
        (1, "name"),
    ]


def test_every_bad_line_is_listed_with_all_that_is_wrong_in_it(
    write: Write, problems: Problems, session: Session
) -> None:
    file = write(
        "o.csv",
        "number,customer_code,account_manager_email,order_date,closing_date",
        "SO-1,A,not-an-address,2026-02-30,01/03/2026",
        "SO-2,A,m@x.example,2026-03-01",
        ",A,m@x.example,,2026-03-01",
        "x,A,m@x.example,2026-03-02,2026-03-01",
    )
    found = problems("orders", file)
    assert [(line, column) for line, column, _ in found] == [
        (2, "account_manager_email"),
        (2, "order_date"),
        (2, "closing_date"),
        (3, ""),
        (4, "number"),
        (4, "order_date"),
        (5, "number"),
    ]
    assert found[1][2] == "There is no such day. Write the date as YYYY-MM-DD."
    assert found[2][2] == "Write the date as YYYY-MM-DD."
    assert found[3][2] == "This line has 4 cells, the header 5."
    assert found[4][2] == "This must not be empty."


def test_one_bad_line_keeps_every_good_one_out(
    write: Write, problems: Problems, session: Session
) -> None:
    lines = [f"C{number},Customer {number}" for number in range(100)]
    problems("customers", write("c.csv", "code,name", *lines, "C100,"))
    assert names(session) == {}


def test_bytes_that_are_not_utf_8_are_named_by_line(write: Write, problems: Problems) -> None:
    file = write("c.csv", "code,name", "A,Anton", "Taquería,B".encode("latin-1"))
    assert problems("customers", file) == [
        (3, "code", "This is not UTF-8. Save the file as CSV in UTF-8 and try again.")
    ]


def test_a_utf_16_file_is_refused(tmp_path: Path, problems: Problems) -> None:
    file = tmp_path / "c.csv"
    file.write_text("code,name\nA,Anton\n", encoding="utf-16")
    assert problems("customers", file)


def test_a_quotation_mark_that_is_never_closed_is_refused(write: Write, problems: Problems) -> None:
    found = problems("customers", write("c.csv", "code,name", "A,a", 'B,"b', "C,c"))
    assert [(line, column) for line, column, _ in found] == [(3, "")]


@pytest.mark.parametrize("cell", ["a\x00b", "a\x1bb", '"a\nb"', '"a\r\nb"', "a\u2028b", "a\x85b"])
def test_invisible_characters_are_refused(cell: str, write: Write, problems: Problems) -> None:
    found = problems("customers", write("c.csv", "code,name", f"A,{cell}", "B,b"))
    assert [(line, column) for line, column, _ in found] == [(2, "name")]


def test_lines_after_a_cell_of_several_lines_keep_their_numbers(
    write: Write, problems: Problems
) -> None:
    found = problems("customers", write("c.csv", "code,name", '"A\nA","a"', "B,"))
    assert [(line, column) for line, column, _ in found] == [(2, "code"), (4, "name")]


@pytest.mark.parametrize("length", [201, 200_000])
def test_cells_that_are_too_long_are_refused(length: int, write: Write, problems: Problems) -> None:
    assert problems("customers", write("c.csv", "code,name", "A," + "x" * length))


def test_files_are_imported_together(write: Write, import_: Import, session: Session) -> None:
    first = write("1.csv", "code,name", "A,a")
    second = write("2.csv", "name,code", "b,B")
    assert import_("customers", first, second)["created"] == 2
    assert names(session) == {"A": "a", "B": "b"}


def test_files_together_must_have_the_same_columns(write: Write, problems: Problems) -> None:
    files = write("1.csv", "code,name", "A,a"), write("2.csv", "code,name,city", "B,b,c")
    assert problems("customers", *files) == [
        (1, "", "Files imported together must have the same columns.")
    ]


def test_a_mistake_in_one_file_keeps_the_other_out(
    write: Write, problems: Problems, session: Session
) -> None:
    problems("customers", write("1.csv", "code,name", "A,a"), write("2.csv", "code,name", ",b"))
    assert names(session) == {}


def test_text_that_looks_like_sql_or_a_formula_is_text(
    write: Write, import_: Import, session: Session
) -> None:
    odd = ["'; DROP TABLE customers; --", "=1+1", "\\N", "\\.", "%s", "{}", "a\\tb"]
    file = write("c.csv", "code,name,city", *(f"C{n},A {n},{text}" for n, text in enumerate(odd)))
    assert import_("customers", file)["created"] == len(odd)
    assert list(session.scalars(select(Customer.city).order_by(Customer.code))) == odd
