"""Pasted blocks: what a spreadsheet quotes is read as it meant it, and no quotation mark swallows a row."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.web.pasting import rows_of


@pytest.mark.parametrize(
    ("block", "rows"),
    [
        ("a\tb\r\nc\td\r\n", [["a", "b"], ["c", "d"]]),
        ('"two\nlines"\t5\nlast\t6', [["two\nlines", "5"], ["last", "6"]]),
        ('"5"" pipe"\t3', [['5" pipe', "3"]]),
        ('"5 inch pipe\t3\nbolt\t4\nnut\t5', [['"5 inch pipe', "3"], ["bolt", "4"], ["nut", "5"]]),
        ('"5" pipe\t3\nbolt\t4', [['"5" pipe', "3"], ["bolt", "4"]]),
        ('"pipe\t3\n"bolt"\t4', [['"pipe', "3"], ['"bolt"', "4"]]),
        ('pipe 5"\t3\nbolt\t4', [['pipe 5"', "3"], ["bolt", "4"]]),
        ("a\n\nb", [["a"], [""], ["b"]]),
        ('"5\n6\n', [['"5'], ["6"]]),
    ],
)
def test_rows_and_cells_of_a_block(block: str, rows: list[list[str]]) -> None:
    assert rows_of(block) == rows


CELL = st.text('ab"\n\t', min_size=1, max_size=5).filter(lambda cell: cell == cell.strip())


@given(st.lists(st.lists(CELL, min_size=1, max_size=3), min_size=1, max_size=4))
def test_what_a_spreadsheet_copies_arrives_as_it_was(rows: list[list[str]]) -> None:
    block = StringIO()
    csv.writer(block, "excel-tab", lineterminator="\n").writerows(rows)
    assert rows_of(block.getvalue()) == rows


PLAIN = st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=5)


@given(PLAIN, st.data())
def test_one_quotation_mark_swallows_no_line(lines: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[row])))
    lines[row] = lines[row][:place] + '"' + lines[row][place:]
    assert rows_of("\n".join(lines)) == [[line] for line in lines]
