"""The mapping of a file's columns, and its layout: guessed, confirmed, remembered."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer
from backoffice.gas.models import Reading
from backoffice.imports.files.guessing import SYNONYMS, guess_columns
from backoffice.imports.files.layout import Layout, Notation, normalised
from backoffice.imports.files.reading import CsvFile
from backoffice.imports.files.sources import StoredFile, compressed
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.imports.models import ImportLayout
from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.gas import GasPriceFactory
from tests.factories.people import AccountManagerFactory

from .desk import ORDERS, Desk, said

DATA = Path(__file__).parents[1] / "data" / "imports"
ROWS = [["SO-1", "A", "m@x.example", "2026-03-31", "", "1500.25"]]


@pytest.fixture
def desk(sign_in: Callable[..., Any]) -> Desk:
    return Desk(sign_in("finance"))


@pytest.fixture
def company(session: Session) -> None:
    CustomerFactory(code="A")
    AccountManagerFactory(email="m@x.example")
    session.commit()


def file_of(*lines: str) -> StoredFile:
    return StoredFile("f.csv", compressed(io.BytesIO("\n".join(lines).encode())))


def customers(session: Session) -> dict[str, tuple[str, str]]:
    session.rollback()
    return {c.code: (c.name, c.city) for c in session.scalars(select(Customer))}


# Guessing


@pytest.mark.parametrize(
    ("kind", "header", "found"),
    [
        ("customers", ["Kode Pelanggan", "NAMA", "Kota"], ["code", "name", "city"]),
        ("customers", ["customer_id", "Company Name", "x"], ["code", "name", None]),
        ("products", ["CustomerID", "Product name"], [None, "name"]),
        ("accounts", ["CustomerID", "Account code", "Name"], [None, "code", "name"]),
        ("account-managers", ["Surel", "Nama lengkap"], ["email", "name"]),
        (
            "orders",
            ["Nomor", "Customer-Code", "E-mail manajer", "Tgl. Pesanan", "closing date"],
            ["number", "customer_code", "account_manager_email", "order_date", "closing_date"],
        ),
        (
            "order-lines",
            ["No", "Jenis", "Uraian", "Qty", "Harga Satuan"],
            ["order_number", "kind", "description", "quantity", "unit_price"],
        ),
        (
            "meters",
            ["No. Meter", "Pelanggan", "Status", "Sejak", "Sampai", "Keterangan"],
            [
                "meter_number",
                "customer_code",
                "is_active",
                "assigned_from",
                "assigned_to",
                "description",
            ],
        ),
        (
            "invoices",
            ["Invoice", "Customer", "Meter", "Date", "Due date", "Total", "Usage", "Tariff"],
            [
                "number",
                "customer_code",
                "meter_number",
                "issued_on",
                "due_on",
                "amount",
                "units",
                "rate",
            ],
        ),
        (
            "payments",
            ["Receipt number", "Customer", "Meter no", "Invoice", "Payment date", "Jumlah Bayar"],
            ["reference", "customer_code", "meter_number", "invoice_number", "paid_on", "amount"],
        ),
    ],
)
def test_names_are_recognised_in_english_and_indonesian(
    kind: str, header: list[str], found: list[str | None]
) -> None:
    guess = guess_columns(header, KINDS[kind])
    assert [guess.get(normalised(name)) for name in header] == found


def test_a_columns_own_name_goes_before_what_others_call_it() -> None:
    assert guess_columns(["Order", "number"], KINDS["orders"]) == {"number": "number"}


def test_every_known_column_is_recognised_by_its_own_name() -> None:
    for kind in KINDS.values():
        own = [column.name for column in kind.columns]
        assert guess_columns([name.replace("_", " ").upper() for name in own], kind) == {
            name.replace("_", " "): name for name in own
        }
        assert set(own) >= {name for name in own if name in SYNONYMS}


HEADERS = {
    "number": ["number", "Order No", "NOMOR PESANAN", "nomor"],
    "customer_code": ["customer_code", "Customer", "Kode pelanggan"],
    "account_manager_email": ["account_manager_email", "Account manager", "Manajer"],
    "order_date": ["order_date", "Order  Date", "Tanggal"],
    "closing_date": ["closing_date", "Closed", "Tanggal tutup"],
    "total_price": ["total_price", "Package price", "Paket awal"],
}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_permuted_and_renamed_header_imports_the_same(
    data: st.DataObject, company: None, session: Session
) -> None:
    order = data.draw(st.permutations(range(len(HEADERS))))
    header = [data.draw(st.sampled_from(ways)) for ways in HEADERS.values()]
    sign = data.draw(st.sampled_from(",;\t|"))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sign)
    writer.writerows([[row[place] for place in order] for row in [header, *ROWS]])
    stored = StoredFile("f.csv", compressed(io.BytesIO(text.getvalue().encode())))
    guess = Layout(columns=guess_columns(header, KINDS["orders"]))
    report = import_files(session, KINDS["orders"], [stored], layout=guess)
    try:
        assert report.problems == []
        found = session.scalars(select(Order)).one()
        assert (found.number, found.customer.code, found.account_manager.email) == tuple(
            ROWS[0][:3]
        )
        assert (str(found.order_date), found.closing_date) == ("2026-03-31", None)
        assert str(found.total_price) == "1500.25"
    finally:
        session.rollback()


# Confirming


def test_what_is_not_recognised_must_be_decided(desk: Desk, session: Session) -> None:
    import_id = desk.uploaded("customers", "Kürzel,name,Notiz\nA,Anton,x\n")
    assert desk.suggestion(import_id)["column-0"] == "?"
    refused = desk.check(import_id)
    assert refused.status_code == 422
    assert "Code: This column is missing." in said(refused)
    assert "Notiz: Say what this column is, or ignore it." in said(refused)
    twice = desk.check(import_id, **{"column-0": "code", "column-2": "code"})
    assert "Another column of the file is code, too." in said(twice)
    assert desk.check(import_id, **{"column-0": "code", "column-2": ""}).status_code == 303
    desk.apply(import_id)
    assert customers(session) == {"A": ("Anton", "")}


def test_a_column_that_stands_there_twice_can_only_be_ignored(desk: Desk) -> None:
    import_id = desk.uploaded("customers", "code,name,name,x,x\nA,Anton,Berta,,\n")
    refused = desk.check(import_id, **{"column-2": ""})
    assert refused.status_code == 422
    assert "name: This column stands here more than once." in said(refused)


def test_the_first_rows_are_shown_as_they_are_understood(desk: Desk) -> None:
    import_id = desk.uploaded("customers", "code;name\nA;Anton\nb b;\nx;y;z\n")
    page = said(desk.client.get(f"/imports/{import_id}/columns"))
    assert "A Anton" in page
    assert "This must not be empty." in page
    assert "This line cannot be split into the columns of the header." in page


def test_another_delimiter_shows_other_columns_before_anything_is_checked(desk: Desk) -> None:
    import_id = desk.uploaded("customers", "code;name,city\nA;Anton,Berlin\n")
    fields = desk.suggestion(import_id)
    assert fields["delimiter"] == ","
    answer = desk.client.post(
        f"/imports/{import_id}/columns", data={**fields, "delimiter": ";", "do": "check"}
    )
    assert answer.status_code == 200
    assert 'name="column-0"' in answer.text
    assert "name,city" in said(answer)


def test_what_was_said_is_remembered_for_the_same_header(
    desk: Desk, sign_in: Callable[..., Any], session: Session
) -> None:
    desk.checked(
        "customers", "a,b,c\n1,2,3\n", **{"column-0": "code", "column-1": "name", "column-2": ""}
    )
    assert len(session.scalars(select(ImportLayout)).all()) == 1
    session.rollback()
    again = desk.suggestion(desk.uploaded("customers", "C,b,A\n3,2,1\n"))
    assert [again[f"column-{place}"] for place in range(3)] == ["", "name", "code"]
    other = desk.suggestion(desk.uploaded("customers", "a,b,d\n1,2,3\n"))
    assert other["column-0"] == "?"
    stranger = Desk(sign_in("finance"))
    assert stranger.suggestion(stranger.uploaded("customers", "a,b,c\n1,2,3\n"))["column-0"] == "?"


def test_the_columns_can_be_changed_after_a_dry_run(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", "code,name,city\nA,Anton,Berlin\n")
    assert desk.check(import_id, **{"column-2": ""}).status_code == 303
    assert desk.apply(import_id, checks=1).status_code == 409
    assert desk.apply(import_id, checks=2).status_code == 303
    assert customers(session) == {"A": ("Anton", "")}


def test_files_together_may_have_their_columns_in_another_order(
    desk: Desk, session: Session
) -> None:
    import_id = desk.checked("customers", "code,name\nA,Anton\n", "name,code\nBerta,B\n")
    desk.apply(import_id)
    assert set(customers(session)) == {"A", "B"}
    refused = desk.check(desk.uploaded("customers", "code,name\nA,a\n", "code,name,city\nB,b,c\n"))
    assert "Files imported together must have the same columns." in said(refused)


# Encodings, dates and numbers


@pytest.mark.parametrize(
    ("encoding", "said_to_be"),
    [("utf-8", ""), ("utf-8-sig", ""), ("windows-1252", "Windows-1252"), ("utf-16", "UTF-16")],
)
def test_the_encoding_is_recognised(
    encoding: str, said_to_be: str, desk: Desk, session: Session
) -> None:
    import_id = desk.uploaded("customers", "code,name\nA,Taquería Ñandú\n".encode(encoding))
    page = said(desk.client.get(f"/imports/{import_id}/columns"))
    assert ("These files are not UTF-8" in page) == bool(said_to_be)
    assert said_to_be in page
    assert "Taquería Ñandú" in page
    assert desk.check(import_id).status_code == 303
    desk.apply(import_id)
    assert customers(session)["A"] == ("Taquería Ñandú", "")


def test_days_that_can_be_read_in_two_ways_are_asked_for(
    desk: Desk, company: None, session: Session
) -> None:
    import_id = desk.uploaded("orders", f"{ORDERS}\nSO-1,A,m@x.example,03/04/2026,2026-05-01\n")
    assert desk.suggestion(import_id)["dates"] == ""
    refused = desk.check(import_id)
    assert refused.status_code == 422
    assert "Dates: These files can be read in two ways. Choose the right one." in said(refused)
    assert desk.check(import_id, dates="dmy").status_code == 303
    desk.apply(import_id)
    session.rollback()
    assert str(session.scalars(select(Order.order_date)).one()) == "2026-04-03"


@pytest.mark.parametrize(
    ("cells", "dates", "numbers"),
    [
        (["2026-03-31", "1500.25"], "iso", "plain"),
        (["31/03/2026", "1.500,25"], "dmy", "id"),
        (["3/31/2026", "1,500.25"], "mdy", "en"),
        (["01.02.2026", "1500"], "", "plain"),
        (["2026-03-31", "1500,5"], "iso", "id"),
        (["2026-03-31", "1.500.000"], "iso", "id"),
        (["2026-03-31", ""], "iso", "plain"),
    ],
)
def test_dates_and_numbers_are_recognised_where_there_is_only_one_way(
    cells: list[str], dates: str, numbers: str, desk: Desk
) -> None:
    day, amount = cells
    file = f"{ORDERS.replace(',', ';')};total_price\nSO-1;A;m@x.example;{day};;{amount}\n"
    fields = desk.suggestion(desk.uploaded("orders", file))
    assert (fields["dates"], fields["numbers"]) == (dates, numbers)


@pytest.mark.parametrize("more", ["", "SO-1;package;y;-;2\n"])
def test_a_quantity_that_may_be_thousands_is_asked_for(more: str, desk: Desk) -> None:
    """A cell that cannot be read in any notation is not decisive."""
    file = f"order_number;kind;description;quantity;unit_price\nSO-1;package;x;1.500;2\n{more}"
    import_id = desk.uploaded("order-lines", file)
    assert desk.suggestion(import_id)["numbers"] == ""
    refused = desk.check(import_id)
    assert refused.status_code == 422
    assert "Numbers: These files can be read in two ways. Choose the right one." in said(refused)
    assert desk.check(import_id, numbers="plain").status_code == 303


def test_days_in_two_ways_are_asked_for_beside_a_cell_that_is_no_day(desk: Desk) -> None:
    days = ("03/04/2026", "05/04/2026", "n/a")
    rows = "".join(f"SO-{n},A,m@x.example,{day},\n" for n, day in enumerate(days))
    assert desk.suggestion(desk.uploaded("orders", f"{ORDERS}\n{rows}"))["dates"] == ""


@pytest.mark.parametrize(
    ("days", "dates"),
    [
        (["26/03/31"], ""), (["31/03/26"], ""), (["26/03/31", "31/03/2026"], "dmy"),
        (["5/13/26"], "mdy"), (["96/12/25"], "iso"),
    ],
)  # fmt: skip
def test_a_year_of_two_digits_may_stand_in_front(days: list[str], dates: str, desk: Desk) -> None:
    rows = "".join(f"SO-{n},A,m@x.example,{day},\n" for n, day in enumerate(days))
    assert desk.suggestion(desk.uploaded("orders", f"{ORDERS}\n{rows}"))["dates"] == dates


def test_files_of_different_encodings_are_each_read_in_their_own(
    desk: Desk, session: Session
) -> None:
    codes = {"A": "utf-8", "B": "windows-1252", "C": "utf-16"}
    files = [f"code,name\n{code},José\n".encode(name) for code, name in codes.items()]
    import_id = desk.uploaded("customers", *files)
    assert desk.suggestion(import_id)["encoding"] == "each"
    page = said(desk.client.get(f"/imports/{import_id}/columns"))
    assert "These files are written in different encodings. Each is read in its own" in page
    assert desk.check(import_id).status_code == 303
    desk.apply(import_id)
    assert customers(session) == dict.fromkeys(codes, ("José", ""))


@pytest.mark.parametrize(
    ("order", "cell", "value"),
    [
        ("dmy", "1/2/2026", "2026-02-01"),
        ("mdy", "1/2/2026", "2026-01-02"),
        ("dmy", "2026-01-02", "2026-01-02"),
        ("dmy", "31.12.2026", "2026-12-31"),
        ("mdy", "12-31-2026", "2026-12-31"),
        ("iso", "2010-12-01 08:26:00", "2010-12-01"),
        ("iso", "2015-11-22T00:00:00-06:00", "2015-11-22"),
        ("iso", "2026-03-31T23:59:59.123Z", "2026-03-31"),
        ("dmy", "31/12/2026 8:05 PM", "2026-12-31"),
        ("dmy", "31.12.69", "2069-12-31"),
        ("mdy", "12/31/70", "1970-12-31"),
        ("iso", "45992", "2025-12-01"),
        ("iso", "45992.75", "2025-12-01"),
        ("iso", "15 Nov 2026", "2026-11-15"),
        ("iso", "15-Agu-26", "2026-08-15"),
        ("iso", "15 Desember 2026", "2026-12-15"),
    ],
)
def test_days_are_read_in_the_order_that_was_chosen(order: str, cell: str, value: str) -> None:
    column = next(c for c in KINDS["orders"].columns if c.name == "order_date")
    assert str(column.reader(Notation(dates=order))(cell)) == value


@pytest.mark.parametrize(
    "cell", ["1/2/026", "1/2-2026", "32/1/2026", "1/13/2026", "٠١/٠٢/٢٠٢٦", "today"]
)
def test_what_is_no_day_in_that_order_is_refused(cell: str) -> None:
    column = next(c for c in KINDS["orders"].columns if c.name == "order_date")
    with pytest.raises(ValueError, match=r"date|day"):
        column.reader(Notation(dates="dmy"))(cell)


def test_dates_with_a_time_are_imported(desk: Desk, session: Session) -> None:
    GasPriceFactory(customer=CustomerFactory(code="ZK1"))
    session.commit()
    import_id = desk.uploaded("readings", (DATA / "readings-with-a-time.csv").read_text())
    chosen = {"column-1": "read_on", "column-2": "metered_volume_m3"}
    assert desk.check(import_id, **chosen).status_code == 303
    desk.apply(import_id)
    session.rollback()
    rows = session.execute(
        select(Reading.read_on, Reading.metered_volume).order_by(Reading.read_on)
    )
    assert [(str(day), str(volume)) for day, volume in rows] == [
        ("2015-11-22", "127.550"), ("2015-12-24", "247.230"),
    ]  # fmt: skip


def test_a_year_of_two_digits_is_shown_whole(desk: Desk, company: None) -> None:
    import_id = desk.uploaded("orders", f"{ORDERS}\nSO-1,A,m@x.example,31.12.69,\n")
    assert "31 Dec 2069" in said(desk.client.get(f"/imports/{import_id}/columns"))


def test_a_line_in_another_encoding_than_the_others_is_named(desk: Desk, session: Session) -> None:
    file = "code,name\nA,José\n".encode() + "B,José\nC,Carla\n".encode("windows-1252")
    page = desk.page(desk.checked("customers", file))
    assert "3 Name This is not UTF-8." in page
    import_id = desk.checked("customers", file)
    desk.apply(import_id, good_lines_only=True)
    assert set(customers(session).items()) == {("A", ("José", "")), ("C", ("Carla", ""))}


# The command line


def test_the_command_takes_the_same_layout(
    write: Callable[..., Path], run_command: Callable[..., Any], company: None, session: Session
) -> None:
    file = write("o.csv")
    text = (
        "Nomor|customer_code|account_manager_email|order_date|Tutup|total_price|Catatan\n"
        "SO-1|A|m@x.example|31/03/2026|01/04/2026|1.500,25|x\n"
    )
    file.write_bytes(text.encode("utf-16"))
    options = [
        *("--map", "Nomor=number", "--map", "tutup=closing_date", "--ignore", "Catatan"),
        *("--date-format", "dmy", "--number-format", "id", "--encoding", "utf-16"),
        *("--delimiter", "bar"),
    ]
    result = run_command("import", "orders", str(file), *options)
    assert result.exit_code == 0, result.output
    found = session.scalars(select(Order)).one()
    assert (str(found.order_date), str(found.closing_date)) == ("2026-03-31", "2026-04-01")
    assert str(found.total_price) == "1500.25"


@pytest.mark.parametrize("words", [("--map", "x=y"), ("--map", "=name"), ("--map", "name")])
def test_a_meaning_that_is_no_known_column_is_trouble(
    words: tuple[str, str], write: Callable[..., Path], run_command: Callable[..., Any]
) -> None:
    result = run_command("import", "customers", str(write("c.csv", "x,name")), *words)
    assert result.exit_code == 2
    assert "our columns are code, name" in result.output


def test_a_layout_survives_being_stored() -> None:
    layout = Layout("utf-16", ";", Notation("dmy", "id"), {"a": "code", "b": ""})
    assert Layout.from_dict(layout.as_dict()) == layout
    assert Layout.from_dict({"encoding": "x", "notation": ["?"]}) == Layout()


def test_a_file_is_read_again_and_again(desk: Desk) -> None:
    file = CsvFile(file_of("code,name", "A,a"), KINDS["customers"].columns)
    assert [line.values for line in file.lines()] == [line.values for line in file.lines()]
