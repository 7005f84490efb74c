"""A number is never wrong by a factor of 1,000: columns that a user chose decide how numbers are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.base.money import AmountError
from backoffice.gas.models import Reading
from backoffice.imports.files import guessing
from backoffice.imports.files.cells import CellError
from backoffice.imports.files.layout import Notation
from backoffice.imports.files.reading import ImportColumn
from backoffice.imports.kinds import KINDS
from backoffice.imports.models import Import
from backoffice.orders.models import OrderLine
from backoffice.wallets.models import WalletTransaction
from tests.factories.customers import CustomerFactory
from tests.factories.gas import GasPriceFactory
from tests.factories.orders import OrderFactory
from tests.factories.wallets import WalletFactory
from tests.records.test_api import Program

from .desk import Desk, form_of, said

DATA = Path(__file__).parents[1] / "data" / "imports"
READINGS = (DATA / "readings-of-another-program.csv").read_text()
LINES = (DATA / "order-lines-of-another-program.csv").read_text()
COLUMNS = {"column-1": "read_on", "column-2": "metered_volume_m3"}
LINE_COLUMNS = {f"column-{n}": name for n, name in enumerate(
    ("order_number", "kind", "description", "quantity", "unit_price")
)}  # fmt: skip
LINES_HEADER = "order_number;kind;description;quantity;unit_price"
ASKED = "Numbers: These files can be read in two ways. Choose the right one."


@pytest.fixture
def desk(sign_in: Callable[..., Any], session: Session) -> Desk:
    GasPriceFactory(customer=CustomerFactory(code="ZK1"))
    OrderFactory(number="GUESS-1", promo=0, reductions=0)
    session.commit()
    return Desk(sign_in("finance"))


def volumes(session: Session) -> list[str]:
    session.rollback()
    rows = select(Reading.metered_volume).order_by(Reading.read_on)
    return [str(volume) for volume in session.scalars(rows)]


def answer_the_question(desk: Desk, import_id: int, asked: Any, way: str) -> None:
    """Choose how numbers are written in the form that asks for it."""
    data = {**form_of(asked.text), "numbers": way, "do": "check"}
    assert desk.client.post(f"/imports/{import_id}/columns", data=data).status_code == 303


@pytest.mark.parametrize(("way", "read"), [("id", "1500.000"), ("plain", "1.500")])
def test_numbers_of_a_column_chosen_by_hand_are_asked_for(
    way: str, read: str, desk: Desk, session: Session
) -> None:
    import_id = desk.uploaded("readings", READINGS)
    assert desk.suggestion(import_id)["column-2"] == "?"
    refused = desk.check(import_id, **COLUMNS)
    assert (refused.status_code, ASKED in said(refused)) == (422, True)
    answer_the_question(desk, import_id, refused, way)
    desk.apply(import_id)
    assert volumes(session)[0] == read


def test_quantities_of_a_column_chosen_by_hand_are_asked_for(desk: Desk, session: Session) -> None:
    import_id = desk.uploaded("order-lines", LINES)
    assert ASKED in said(desk.check(import_id, **LINE_COLUMNS))
    assert desk.check(import_id, **LINE_COLUMNS, numbers="id").status_code == 303
    desk.apply(import_id)
    session.rollback()
    assert list(map(str, session.scalars(select(OrderLine.quantity)))) == ["1500.000", "2250.000"]


def test_the_file_of_the_next_month_is_asked_for_again(desk: Desk, session: Session) -> None:
    this_month = desk.uploaded("readings", READINGS)
    answer_the_question(desk, this_month, desk.check(this_month, **COLUMNS), "plain")
    desk.apply(this_month)
    next_month = desk.uploaded("readings", READINGS.replace("-01-", "-02-").replace("1.5", "7.5"))
    shown = desk.suggestion(next_month)
    assert (shown["column-2"], shown["numbers"]) == ("metered_volume_m3", "")
    assert ASKED in said(desk.check(next_month))
    desk.check(next_month, numbers="id")
    desk.apply(next_month)
    assert volumes(session) == ["1.500", "2.250", "7500.000", "2250.000"]


def test_a_choice_survives_a_look_at_the_first_rows(desk: Desk, session: Session) -> None:
    import_id = desk.uploaded("readings", READINGS)
    asked = said(desk.check(import_id, **COLUMNS, do="look"))
    assert "1.500 This can be read in two ways." in asked
    looked = desk.check(import_id, **COLUMNS, numbers="id", do="look")
    assert "This can be read in two ways." not in said(looked)
    desk.check(import_id, **COLUMNS, numbers="id")
    desk.apply(import_id)
    assert volumes(session) == ["1500.000", "2250.000"]


def test_another_column_after_the_dry_run_is_asked_for(desk: Desk) -> None:
    header = "number,customer_code,meter_number,issued_on,due_on,amount"
    file = f"{header},Preis\nI-1,ZK1,,2026-01-01,2026-01-31,10,1.500\n"
    import_id = desk.checked("invoices", file, **{"column-6": ""})
    assert ASKED in said(desk.check(import_id, **{"column-6": "rate"}))


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("order-lines", f"{LINES_HEADER}\nG;package;x;1,500;12,345\nG;package;y;2,250;3,125\n"),
        ("prices", "customer_code;effective_from;price_per_sm3\nZK1;2026-01-01;3,125\n"),
    ],
)
def test_prices_that_may_be_thousands_are_asked_for(kind: str, file: str, desk: Desk) -> None:
    """A price with a comma that is refused as ambiguous is no sign of an English file."""
    assert desk.suggestion(desk.uploaded(kind, file))["numbers"] == ""


def test_a_number_far_below_is_asked_for(desk: Desk) -> None:
    days = [f"ZK1,{year}-{month:02}-{day:02}" for year in range(1990, 1996) for month in range(1, 13)
            for day in range(1, 29)]  # fmt: skip
    rows = [f"{day},12" for day in days]
    header = "customer_code,read_on,metered_volume_m3"
    file = "\n".join([header, *rows, "ZK1,2026-01-01,1.500\n"])
    assert desk.suggestion(desk.uploaded("readings", file))["numbers"] == ""


def test_ways_that_both_read_some_cells_are_asked_for(desk: Desk) -> None:
    """No notation reads all of them, and 1.500 is another number in each."""
    rows = "".join(
        f"ZK1,2026-01-0{n},{cell}\n" for n, cell in enumerate(("1.500", '"1.500,5"', "12.5"), 1)
    )
    file = f"customer_code,read_on,metered_volume_m3\n{rows}"
    assert desk.suggestion(desk.uploaded("readings", file))["numbers"] == ""


def can_be_1500(column: ImportColumn) -> bool:
    """Whether a column takes 1500; a correction factor does not."""
    try:
        column.reader(Notation())("1500")
    except (AmountError, CellError):
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_no_column_that_a_user_chooses_is_read_as_a_thousandth(
    kind: str, desk: Desk, session: Session
) -> None:
    """1.500 is asked for, or it is 1,500 where the column cannot hold three decimals."""
    columns = [column.name for column in KINDS[kind].columns]
    for column in KINDS[kind].columns:
        if column.holds != "number" or not can_be_1500(column):
            continue
        header = ["Spalte" if name == column.name else name for name in columns]
        row = ["1.500" if name == "Spalte" else "" for name in header]
        import_id = desk.uploaded(kind, f"{';'.join(header)}\n{';'.join(row)}\n")
        answer = desk.check(import_id, **{f"column-{columns.index(column.name)}": column.name})
        session.rollback()
        way = session.get_one(Import, import_id).layout["notation"][1]
        assert ASKED in said(answer) or (answer.status_code, way) == (303, "id"), column.name


def test_a_number_with_a_broken_letter_is_asked_for(desk: Desk) -> None:
    file = f"{LINES_HEADER}\nG;package;x;1.500;2\nG;package;y;1~500;2\n".encode()
    import_id = desk.uploaded("order-lines", file.replace(b"~", b"\xff"))
    shown = desk.check(import_id, encoding="utf-8-sig", do="look")
    assert (shown.status_code, "1?500 This can be read in two ways." in said(shown)) == (200, True)


def test_columns_of_very_many_different_cells_are_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells too long for a number and times behind a day do not count."""
    monkeypatch.setattr(guessing, "MOST_DISTINCT", 30)
    long, day = "1" * 41, "2026-01-05"
    rows = [f"ZK1,{day} 10:{n:02}:00,{long}{n:b}\n" for n in range(40)]
    header = "customer_code,read_on,metered_volume_m3\n"
    shown = desk.suggestion(desk.uploaded("readings", header + "".join(rows)))
    assert (shown["dates"], shown["numbers"]) == ("iso", "plain")
    rows = [f"ZK1,{day},1{n:b}\n" for n in range(40)]
    shown = desk.suggestion(desk.uploaded("readings", header + "".join(rows)))
    assert (shown["dates"], shown["numbers"]) == ("iso", "")


# The command and the API


def test_the_command_refuses_mapped_numbers_that_can_be_read_in_two_ways(
    run_command: Callable[..., Any], session: Session, desk: Desk
) -> None:
    words = ["import", "readings", str(DATA / "readings-of-another-program.csv")]
    names = ("Pelanggan=customer_code", "Tgl baca=read_on", "Meteran kubik=metered_volume_m3")
    words += [word for name in names for word in ("--map", name)]
    refused = run_command(*words)
    assert refused.exit_code == 2
    assert "Add --number-format plain, en or id." in refused.output
    assert volumes(session) == []
    assert run_command(*words, "--number-format", "id").exit_code == 0
    assert volumes(session) == ["1500.000", "2250.000"]


def test_the_command_does_not_read_mapped_numbers_of_another_notation_as_plain_ones(
    write: Callable[..., Path], run_command: Callable[..., Any], session: Session, desk: Desk
) -> None:
    """Skipping 1.500,5 as a bad row would leave 1.500 as one and a half."""
    file = write(
        "r.csv", "customer_code;read_on;m3", "ZK1;2026-01-05;1.500", "ZK1;2026-02-05;1.500,5"
    )
    words = ["import", "readings", str(file), "--map", "m3=metered_volume_m3", "--skip-bad-rows"]
    refused = run_command(*words)
    assert refused.exit_code == 2
    assert "Add --number-format plain, en or id." in refused.output
    assert run_command(*words, "--number-format", "id").exit_code == 0
    assert volumes(session) == ["1500.000", "1500.500"]


def test_the_command_reads_the_documented_columns_in_the_documented_notation(
    write: Callable[..., Path], run_command: Callable[..., Any], session: Session, desk: Desk
) -> None:
    file = write("r.csv", "customer_code,read_on,metered_volume_m3", "ZK1,2026-01-05,1.500")
    assert run_command("import", "readings", str(file)).exit_code == 0
    assert volumes(session) == ["1.500"]


def test_the_api_refuses_thousands_by_their_line(app: Flask, session: Session) -> None:
    WalletFactory(number="W-1", balance=0)
    session.commit()
    program = Program(app, session, "wallets:write")
    body = 'wallet_id,amount,idempotency_key\nW-1,1.500,a\nW-1,"1.500,00",b'
    answer = program.send(
        "POST", "/api/imports/wallet-charges", data=body, content_type="text/csv"
    ).get_json()
    assert [(one["line"], one["column"]) for one in answer["problems"]] == [
        (2, "amount"), (3, "amount"),
    ]  # fmt: skip
    assert session.scalars(select(WalletTransaction.amount)).all() == []
