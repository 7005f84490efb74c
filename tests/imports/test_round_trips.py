"""Each list of a kind of file: its exports come back as they are, and an edited cell changes that cell alone.

A kind is under this law by being declared: one without a list is named here, with its reason.
"""

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, url_for
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.app.protection import limiter
from backoffice.audit.models import AuditEvent
from backoffice.base.formula_guard import guarded, unguarded
from backoffice.base.languages import in_each_language
from backoffice.imports.exported import EXPORTED, meanings_of
from backoffice.imports.kinds import KINDS
from backoffice.imports.models import Import
from backoffice.lists.csv_files import FLAVOURS as FLAVOURS_OF_CSV
from backoffice.people.models import User
from tests.depth import examples
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory

from .desk import Desk, said

pytestmark = pytest.mark.slow

NO_LIST = {
    "account-managers": "the page of users has no exports",
    "order-lines": "lines are on the page of their order",
    "wallet-charges": "a charge is never changed, and its key is not shown",
    "journal": "`ledger export journal`: see test_ledger",
}
FLAVOURS = ("csv", "csv-id", "xlsx")
LANGUAGES = ("en", "id")
ANYONE = User(id=0, role="admin", is_active=True)


@pytest.fixture(autouse=True)
def _unlimited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift the rate limit of exports."""
    monkeypatch.setattr(limiter, "enabled", False)


@pytest.fixture
def company(session: Session) -> None:
    """Records of every list, with all that files have stumbled over."""
    odd = CustomerFactory(code="=1", name="=SUM(A1:A9) Ltd", phone="+62 812 3456", city="'=a")
    plain = CustomerFactory(code="0012", name="Total", phone="0812", city="1.500")
    CustomerFactory(code="C;3", name='Quoted "one", two', phone="", city="")
    manager = AccountManagerFactory(email="m@x.example", name="Nancy")
    former = AccountManagerFactory(email="f@pusat", name="Nancy", is_active=False)
    OrderFactory(number="O-1", customer=odd, account_manager=manager, promo=Decimal("0.01"))
    OrderFactory(
        number="O-2", customer=plain, account_manager=former, closing_date=date(2026, 4, 1),
        lines=[("package", "Tea", "1.5", "10.25"), ("addition", "Cup", "2", "1000")], promo=0, reductions=0,
    )  # fmt: skip
    ProductFactory(
        code="P-1",
        name="-10 % Tea",
        unit="kg",
        prices={"2026-01-01": "1500", "2026-02-01": "1500.25"},
    )
    ProductFactory(code="P-2", name="Cup", unit="", kind="addition")
    ProductFactory(code="P-3", name="Old", is_active=False, prices={"2026-01-01": "0.0001"})
    meters = [MeterFactory(number=f"M-{n}", description=f"+{n} floor") for n in range(1, 4)]
    MeterAssignmentFactory(meter=meters[0], customer=odd, assigned_from=date(2026, 1, 1))
    MeterAssignmentFactory(meter=meters[1], customer=plain, is_active=False)
    whole = {"units": None, "rate": None, "fixed_charge": 0}
    first = InvoiceFactory(number="I-1", customer=odd, meter=meters[0])
    second = InvoiceFactory(number="I-2", customer=plain, amount=Decimal("1500.50"), **whole)
    void = {"status": "void", "void_reason": "twice"}
    InvoiceFactory(number="I-3", customer=odd, **void)
    InvoiceFactory(number="I-4", customer=odd, meter=meters[0], amount=70, **whole, **void)
    PaymentFactory(
        reference="P/1", customer=odd, meter=meters[0], invoice=first, amount=Decimal("0.5")
    )
    PaymentFactory(
        reference="P/2", customer=odd, meter=meters[0], invoice=first, method="cash", amount=5
    )
    PaymentFactory(reference="P/2", part=2, customer=plain, invoice=second, method="cash", amount=9)
    PaymentFactory(reference="P/2", part=3, customer=odd, method="cash", amount=7)
    PaymentFactory(reference="P/3", customer=plain)
    PaymentFactory(reference="P/4", customer=odd, meter=meters[0], **void)
    GasPriceFactory(customer=odd)
    GasPriceFactory(
        customer=odd, effective_from=date(2026, 3, 1), price_per_sm3=10, correction_factor=1
    )
    for day, volume in ((1, "1.234"), (2, "1500"), (3, "0.5")):
        ReadingFactory(customer=odd, read_on=date(2026, 2, day), metered_volume=Decimal(volume))
    ReadingFactory(customer=plain, read_on=date(2026, 2, 1))
    for note in ("transfer", "", "=cash", "cash", "cash"):
        DepositFactory(customer=odd, note=note)
    DepositFactory(customer=plain, amount=Decimal("-1000.50"))
    AccountFactory(code="0100", name="Bank", role="cash")
    AccountFactory(
        code="0110", name="=Till", parent_id=AccountFactory(code="0109").id, is_active=False
    )
    AccountFactory(code="2000", name="Deposits", type="liability")
    session.commit()


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language of the screens."""
    return str(request.param)


@pytest.fixture
def desk(sign_in: Callable[..., Any], company: None, language: str) -> Desk:
    """A user of the finance team."""
    return Desk(sign_in("finance", language=language))


def exported(app: Flask, desk: Desk, kind: str, flavour: str, **query: str) -> bytes:
    """The list of the kind as a file."""
    with app.test_request_context():
        listing = EXPORTED[kind].listing(ANYONE)
        address = url_for(listing.export, flavour=flavour, **query)
    answer = desk.client.get(address)
    assert answer.status_code == 200, said(answer)
    return answer.data


def every_column(kind: str) -> str:
    """The names of all columns of the list of the kind."""
    return ",".join(column.name for column in EXPORTED[kind].listing(ANYONE).columns)


def checked(desk: Desk, kind: str, file: bytes, flavour: str) -> int:
    """Dry-run the file as it is; no column is asked for. A notation that may be two is that of the flavour."""
    name = "file.xlsx" if flavour == "xlsx" else "file.csv"
    import_id = desk.uploaded(kind, file, names=(name,))
    suggestion = desk.suggestion(import_id)
    assert "?" not in suggestion.values(), "a column is asked for"
    is_asked = suggestion.get("numbers") == ""
    answer = {"numbers": "id" if flavour == "csv-id" else "plain"} if is_asked else {}
    checked = desk.check(import_id, **answer)
    assert checked.status_code == 303, said(checked)
    return import_id


def counts(session: Session, import_id: int) -> tuple[int, int, int, int]:
    """How many lines are bad, create, change and remove."""
    session.rollback()
    made = session.get_one(Import, import_id, populate_existing=True)
    return made.bad_lines, made.created, made.updated, made.removed


def events(session: Session) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The changes in the audit trail but those of uploads: table, action and changed columns."""
    session.rollback()
    rows = (
        select(AuditEvent).where(AuditEvent.table_name.not_like("import%")).order_by(AuditEvent.id)
    )
    for event in session.scalars(rows):
        yield event.table_name, event.action, event.after or {}


def test_every_kind_of_file_has_its_list() -> None:
    assert set(EXPORTED) | set(NO_LIST) == set(KINDS)
    assert not set(EXPORTED) & set(NO_LIST)


@pytest.mark.parametrize("kind", EXPORTED)
def test_no_two_columns_that_come_back_have_the_same_head(kind: str, session: Session) -> None:
    known = {column.name for column in KINDS[kind].columns}
    heads = [
        (head, name)
        for column in EXPORTED[kind].listing(ANYONE).columns
        for name in [EXPORTED[kind].names.get(column.name, column.name)]
        if name in known
        for head in in_each_language(column.label)
    ]
    assert len({head for head, _ in heads}) == len(heads)
    required = {column.name for column in KINDS[kind].columns if column.required}
    assert required <= set(meanings_of(kind).values())


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", EXPORTED)
@pytest.mark.parametrize("columns", ["shown", "all"])
def test_an_export_comes_back_unchanged(
    app: Flask, desk: Desk, session: Session, kind: str, flavour: str, columns: str
) -> None:
    query = {"columns": every_column(kind)} if columns == "all" else {}
    file = exported(app, desk, kind, flavour, **query)
    before = list(events(session))
    import_id = checked(desk, kind, file, flavour)
    assert counts(session, import_id) == (0, 0, 0, 0), desk.page(import_id)
    assert session.get_one(Import, import_id).unchanged > 1
    assert desk.apply(import_id).status_code == 303
    assert list(events(session)) == before


EDITS = {
    "customers": [
        ("name", "=SUM(A1:A9) Ltd", "'=1 Ltd", "customers", {"name": "'=1 Ltd"}),
        ("phone", "+62 812 3456", "+62 1", "customers", {"phone": "+62 1"}),
    ],
    "products": [
        ("name", "Cup", "@Mug", "products", {"name": "@Mug"}),
        ("unit_price", Decimal("1500.25"), Decimal("1500.75"), "product_prices", {"unit_price": "1500.7500"}),
    ],
    "orders": [
        ("promo", Decimal("0.01"), Decimal("0.02"), "orders", {"promo": "0.02"}),
        ("order_date", date(2026, 3, 2), date(2026, 3, 1), "orders", {"order_date": "2026-03-01"}),
    ],
    "meters": [("description", "+3 floor", "=3", "meters", {"description": "=3"})],
    "invoices": [
        ("amount", Decimal("1500.50"), Decimal("1500.25"), "invoices", {"amount": "1500.25"}),
        ("due_on", date(2026, 3, 31), date(2026, 4, 30), "invoices", {"due_on": "2026-04-30"}),
    ],
    "payments": [
        ("amount", Decimal(7), Decimal("6.5"), "payments", {"amount": "6.50"}),
        ("paid_on", date(2026, 3, 15), date(2026, 3, 16), "payments", {"paid_on": "2026-03-16"}),
    ],
    "prices": [
        ("price_per_sm3", Decimal(10500), Decimal("1.2345"), "gas_prices", {"price_per_sm3": "1.2345"}),
    ],
    "readings": [
        ("metered_volume", Decimal("1.234"), Decimal("1.235"), "readings", {"metered_volume": "1.235"}),
    ],
    "deposits": [("note", "transfer", "+1", "deposits", {"note": "+1"})],
    "accounts": [("name", "=Till", "-Till", "accounts", {"name": "-Till"})],
}  # fmt: skip
"""Kind → cells to edit: the list's column, the value before and after; and the row and the columns that change."""


def edited(file: bytes, flavour: str, place: int, before: Any, after: Any) -> bytes:
    """The file with another value in the first cell of a column with the value `before`."""
    if flavour == "xlsx":
        book = load_workbook(io.BytesIO(file))
        for cells in book.worksheets[0].iter_rows(min_row=2):
            cell = cells[place]
            value = cell.value.date() if isinstance(cell.value, datetime) else cell.value
            number = isinstance(value, int | float) and Decimal(str(value))
            if before in (value, number):
                cell.value = after
                cell.data_type = "s" if isinstance(after, str) else cell.data_type
                break
        else:
            raise AssertionError(f"no cell has {before}")
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()
    style = FLAVOURS_OF_CSV[flavour]
    text = io.StringIO(file.decode("utf-8-sig"), newline="")
    rows = list(csv.reader(text, delimiter=style.delimiter))
    for row in rows[1:]:
        cell = row[place]
        is_number = re.fullmatch(r"\d+([.,]\d+)?", cell)
        number = Decimal(cell.replace(",", ".")) if is_number else None
        if before in (unguarded(cell), number) or cell == str(before):
            is_text = isinstance(after, str)
            row[place] = guarded(after) if is_text else str(after).replace(".", style.point)
            break
    else:
        raise AssertionError(f"no cell has {before}")
    stream_of_text = io.StringIO()
    csv.writer(stream_of_text, delimiter=style.delimiter).writerows(rows)
    return stream_of_text.getvalue().encode("utf-8-sig")


def place_of(kind: str, name: str) -> int:
    """The place of a column in the files of the list: codes are beside names."""
    listing = EXPORTED[kind].listing(ANYONE)
    before = listing.default_columns[: listing.default_columns.index(name)]
    return len(before) + sum(bool(listing.column(other).code) for other in before)


def test_every_list_has_an_edit() -> None:
    assert set(EDITS) == set(EXPORTED)


@pytest.mark.parametrize("language", ["en"], indirect=True)
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("kind", "column", "before", "after", "table", "change"),
    [(kind, *edit) for kind, edits in EDITS.items() for edit in edits],
)
def test_an_edited_cell_changes_that_cell_alone(
    app: Flask, desk: Desk, session: Session, kind: str, flavour: str, column: str, before: Any, after: Any,
    table: str, change: dict[str, Any],
) -> None:  # fmt: skip
    first = EXPORTED[kind].listing(ANYONE).columns[0].name
    file = edited(
        exported(app, desk, kind, flavour, sort=first),
        flavour,
        place_of(kind, column),
        before,
        after,
    )
    known = len(list(events(session)))
    import_id = checked(desk, kind, file, flavour)
    assert counts(session, import_id) == (0, 0, 1, 0), desk.page(import_id)
    assert desk.apply(import_id).status_code == 303
    [(of, action, after_)] = list(events(session))[known:]
    changed = {
        name: value for name, value in after_.items() if name not in ("version", "updated_at")
    }
    assert (of, action, changed) == (table, "UPDATE", change)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", EXPORTED)
def test_an_export_comes_back_unchanged_by_the_command(
    app: Flask, desk: Desk, session: Session, kind: str, flavour: str, tmp_path: Path,
    run_command: Callable[..., Any],
) -> None:  # fmt: skip
    path = tmp_path / ("list.xlsx" if flavour == "xlsx" else "list.csv")
    path.write_bytes(exported(app, desk, kind, flavour))
    before = list(events(session))
    notation = ("--number-format", "id" if flavour == "csv-id" else "plain")
    result = run_command("import", kind, str(path), "--json", *notation)
    report = json.loads(result.stdout)
    assert (result.exit_code, report["problems"]) == (0, [])
    assert report["unchanged"] == report["read"] > 1
    assert list(events(session)) == before


def test_a_head_that_our_list_has_not_is_not_guessed_by_the_command(
    app: Flask, desk: Desk, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    path = tmp_path / "list.csv"
    head, rest = exported(app, desk, "customers", "csv").split(b"\r\n", 1)
    path.write_bytes(
        head.replace(b"Contact", b"Kontact").replace(b"Kontak", b"Kontact") + b"\r\n" + rest
    )
    result = run_command("import", "customers", str(path))
    assert result.exit_code == 1
    assert "kontact: This column is not known." in result.output


ODD = (
    "_x0041_ Ltd", "_x005F_", "TRUE", "#N/A", "#REF!", "1e5", "00012", "2026-01-01", "1.500", "1,5", "a\u00a0b", "''",
    "'", "'=", '"', '""', ",", ";", "|", "sep=;", "Total", "Filter", "\\.", "\\N", "NULL", "%s", "\U0001f642", "é",
    "<b>", "&amp;", "-", "+", "=", "@", "'-1", "$1", "Total: a", "Rows",
)  # fmt: skip
TEXTS = st.lists(
    st.sampled_from(ODD) | st.text("'=+-@\"\\,;_x0 aé1", min_size=1, max_size=8),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("language", ["en"], indirect=True)
@pytest.mark.parametrize("kind", EXPORTED)
def test_an_export_of_closed_months_comes_back_unchanged(
    app: Flask, desk: Desk, session: Session, kind: str, run_command: Callable[..., Any]
) -> None:
    until = ("balance", "lock", "--until", "2026-10-31", "--reason", "Reported")
    assert run_command(*until).exit_code == 0
    file = exported(app, desk, kind, "csv")
    before = list(events(session))
    import_id = checked(desk, kind, file, "csv")
    assert counts(session, import_id) == (0, 0, 0, 0), desk.page(import_id)
    assert desk.apply(import_id).status_code == 303
    assert list(events(session)) == before


@pytest.mark.parametrize("language", ["en"], indirect=True)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_any_texts_come_back(app: Flask, desk: Desk, session: Session, flavour: str) -> None:
    number = itertools.count()

    @settings(
        max_examples=examples(10), deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(TEXTS)
    @example(list(ODD))
    def come_back(texts: list[str]) -> None:
        for words in (" ".join(text.split()) for text in texts):
            if words:
                CustomerFactory(
                    code=f"T-{next(number)}", name=f"{words} a", phone=words, city=words
                )
        session.commit()
        file = exported(app, desk, "customers", flavour, columns="code,name,phone,city")
        import_id = checked(desk, "customers", file, flavour)
        assert counts(session, import_id) == (0, 0, 0, 0), desk.page(import_id)

    come_back()
