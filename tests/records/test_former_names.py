"""A renamed record is read by its former names and never changed; a name in use is its present owner's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from backoffice.records import Record
from tests.factories.billing import MeterFactory
from tests.factories.customers import CustomerFactory
from tests.factories.ledger import AccountFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory

from .declared import EVERY_RENAMED_RECORD, entered, prepare
from .test_api import Program, address, is_problem
from .test_conformance import Desk

SignIn = Callable[..., FlaskClient]


@EVERY_RENAMED_RECORD
def test_old_addresses_lead_to_the_present_ones(
    app: Flask, sign_in: SignIn, session: Any, record: Record
) -> None:
    prepare(session, record)
    program, desk = (
        Program(app, session, f"{record.domain}:write"),
        Desk(sign_in("finance"), record),
    )
    made = program.send("POST", address(record), json=entered(record, 1)).get_json()
    old, new = made[record.argument], f"new-{made[record.argument]}"
    changed = program.send("PATCH", address(record, old), match=1, json={record.argument: new})
    assert changed.status_code == 200, changed.text
    with app.test_request_context():
        views = [view for view in VIEWS if f"{record.domain}.{view}" in app.view_functions]
    assert {"record", "edit"} <= set(views)
    for view in views:
        left = desk.browser.get(desk.at(view, **desk.named(old)) + "?sort=-id")
        assert left.status_code == 308, view
        assert left.location.endswith(desk.at(view, **desk.named(new)) + "?sort=-id")
        assert "no-store" in left.headers["Cache-Control"], "the old name may be given again"
        assert desk.browser.get(left.location).status_code == 200
    assert program.send("GET", address(record, old)).get_json()["id"] == made["id"]
    assert desk.browser.get(desk.at("record", **desk.named("never-1"))).status_code == 404
    assert is_problem(program.send("GET", address(record, "never-1")), 404)
    again = program.send("POST", address(record), json=entered(record, 2) | {record.argument: old})
    assert again.status_code == 201, again.text
    assert desk.browser.get(desk.at("record", **desk.named(old))).status_code == 200
    assert program.send("GET", address(record, old)).get_json()["id"] == again.get_json()["id"]


def rename_both(session: Any) -> None:
    """A customer OLD who is called NEW now, and a meter M-1 that is called M-2."""
    customer, meter = CustomerFactory(code="OLD"), MeterFactory(number="M-1")
    session.commit()
    customer.code, meter.number = "NEW", "M-2"
    session.commit()


def test_old_statements_lead_to_the_present_ones(sign_in: SignIn, session: Any) -> None:
    rename_both(session)
    browser = sign_in("finance")
    for old, new in (
        ("/billing/customers/OLD/statement", "/billing/customers/NEW/statement"),
        ("/billing/meters/M-1/statement", "/billing/meters/M-2/statement"),
    ):
        left = browser.get(old)
        assert (left.status_code, left.location) == (308, new)
        assert browser.get(new).status_code == 200


def test_an_old_address_tells_no_stranger_the_new_name(
    app: Flask, sign_in: SignIn, session: Any
) -> None:
    from tests.factories.orders import OrderFactory

    order = OrderFactory(number="SO-1")
    stranger = AccountManagerFactory(email="other@x.example")
    session.commit()
    order.number = "SECRET-1"
    session.commit()
    assert sign_in("finance").get("/orders/SO-1").status_code == 308
    answer = sign_in(stranger).get("/orders/SO-1")
    assert answer.status_code == 404
    assert "SECRET" not in str(answer.headers) + answer.text


@EVERY_RENAMED_RECORD
def test_a_write_to_a_former_name_changes_nothing(app: Flask, session: Any, record: Record) -> None:
    prepare(session, record)
    program = Program(app, session, f"{record.domain}:write")
    made = program.send("POST", address(record), json=entered(record, 1)).get_json()
    old, new = made[record.argument], f"new-{made[record.argument]}"
    program.send("PATCH", address(record, old), match=1, json={record.argument: new})
    [before] = rows_of(session, record, made["id"])
    assert before[record.name.key] == new
    at = address(record, old)
    verbs = [f"{at}/{verb.address}" for verb in record.program_verbs]
    sent = [("PATCH", at, {record.argument: "third"}), *(("POST", verb, {}) for verb in verbs)]
    for method, path, body in sent:
        answer = program.send(method, path, match=before["version"], json=body)
        assert is_problem(answer, 404), path
        assert answer.get_json()["detail"] == f"{old} is now {new}. Use the present name."
        assert rows_of(session, record, made["id"]) == [before], path


def test_a_repeated_deletion_deletes_no_renamed_record(app: Flask, session: Any) -> None:
    program = Program(app, session, "customers:write")
    CustomerFactory(code="C-1", name="Renamed", version=2)
    session.commit()
    assert (
        program.send("PATCH", "/api/customers/C-1", match=2, json={"code": "C-9"}).status_code
        == 200
    )
    CustomerFactory(code="C-1", name="Second", version=3)
    session.commit()
    deletion = "/api/customers/C-1/delete"
    assert program.send("POST", deletion, match=3).status_code == 204
    again = program.send("POST", deletion, match=3)
    assert again.get_json()["detail"] == "C-1 is now C-9. Use the present name."
    assert session.execute(text("SELECT code, name FROM customers")).all() == [("C-9", "Renamed")]


@pytest.mark.parametrize(
    "query",
    [
        "_method=POST",
        "endpoint=x",
        "_scheme=ftp&_external=1&_anchor=a",
        "code=X&number=X&name=X",
        "tag=a&tag=b&tag=",
        "q=%C3%A9+%26%0D%0A&empty",
    ],
)
def test_an_old_address_keeps_its_query_as_it_was_sent(
    sign_in: SignIn, session: Any, query: str
) -> None:
    rename_both(session)
    browser = sign_in("finance")
    for old, new in (
        ("/customers/OLD", "/customers/NEW"),
        ("/customers/OLD/edit", "/customers/NEW/edit"),
        ("/billing/meters/M-1/statement", "/billing/meters/M-2/statement"),
    ):
        left = browser.get(f"{old}?{query}")
        assert (left.status_code, left.location) == (308, f"{new}?{query}")
        assert browser.get(left.location).status_code == 200


def rows_of(session: Any, record: Record, row_id: int) -> list[dict[str, Any]]:
    """The stored row of that id, by its columns."""
    session.rollback()
    table = record.model.__table__
    found = session.execute(select(table).where(table.c.id == row_id))
    return [dict(row._mapping) for row in found]


VIEWS = ("record", "changes", "edit", "calculation")
MASTER = {
    "customers": (CustomerFactory, "code", "code,name\n", "{},Changed\n"),
    "products": (ProductFactory, "code", "code,name\n", "{},Changed\n"),
    "accounts": (AccountFactory, "code", "code,name,type\n", "{},Changed,expense\n"),
    "meters": (
        MeterFactory, "number", "meter_number,customer_code,is_active,description\n", "{},A,no,Changed\n",
    ),
}  # fmt: skip
"""Kind of file → how a row is made, its code, and the header and a line of a file."""

ROWS = {
    "customers": "SELECT code, name FROM customers WHERE code <> 'A'", "products": "SELECT code, name FROM products",
    "accounts": "SELECT code, name || ', ' || type FROM accounts", "meters": "SELECT number, description FROM meters",
}  # fmt: skip


@pytest.fixture(params=MASTER)
def kind(request: Any, session: Any) -> str:
    """A kind of file, whose only row BUGPAY-1 was renamed BUGPAY-2."""
    make, name, *_content = MASTER[request.param]
    CustomerFactory(code="A")
    row = make(**{name: "BUGPAY-1"})
    session.commit()
    setattr(row, name, "BUGPAY-2")
    session.commit()
    return str(request.param)


def file_of(tmp_path: Path, kind: str, *codes: str) -> str:
    """A file with a line for each of these codes."""
    _make, _name, header, line = MASTER[kind]
    path = tmp_path / "file.csv"
    path.write_text(header + "".join(line.format(code) for code in codes))
    return str(path)


def codes_changed(session: Any, kind: str) -> dict[str, bool]:
    """The rows of that kind by code, and whether the file's line was written into each."""
    session.rollback()
    rows = session.execute(text(ROWS[kind])).all()
    return {code: "Changed" in (said or "") for code, said in rows}


def test_a_file_with_a_former_code_is_refused_with_the_present_one(
    kind: str, session: Any, tmp_path: Path, run_command: Any
) -> None:
    before = session.execute(text(ROWS[kind])).all()
    for options in ((), ("--dry-run",)):
        done = run_command("import", kind, file_of(tmp_path, kind, "BUGPAY-1"), *options)
        assert done.exit_code == 1
        assert "BUGPAY-1 is now BUGPAY-2. Use the present code." in plain(done.output)
        session.rollback()
        assert session.execute(text(ROWS[kind])).all() == before


def test_a_file_with_both_codes_is_refused_at_the_former_one_alone(
    kind: str, session: Any, tmp_path: Path, run_command: Any
) -> None:
    path = file_of(tmp_path, kind, "BUGPAY-2", "BUGPAY-1", "OTHER-1")
    done = run_command("import", kind, path, "--skip-bad-rows")
    output = plain(done.output)
    assert "BUGPAY-1 is now BUGPAY-2. Use the present code." in output
    assert "already" not in output, "the codes are two"
    assert codes_changed(session, kind) == {"BUGPAY-2": True, "OTHER-1": True}


def test_a_code_in_use_belongs_to_its_present_owner(
    kind: str, session: Any, tmp_path: Path, run_command: Any
) -> None:
    make, name, *_content = MASTER[kind]
    make(**{name: "BUGPAY-1"})
    session.commit()
    done = run_command("import", kind, file_of(tmp_path, kind, "BUGPAY-1"))
    assert done.exit_code == 0, done.output
    assert codes_changed(session, kind) == {"BUGPAY-1": True, "BUGPAY-2": False}


def test_of_two_former_owners_a_code_leads_to_the_last(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    for new in ("FIRST", "LAST"):
        customer = CustomerFactory(code="OLD")
        session.commit()
        customer.code = new
        session.commit()
    last = customer.id
    path = tmp_path / "old.csv"
    path.write_text("code,name\nOLD,Renamed\n")
    done = run_command("import", "customers", str(path))
    assert "OLD is now LAST. Use the present code." in plain(done.output)
    path.write_text("meter_number,customer_code,is_active\nM-1,OLD,yes\n")
    done = run_command("import", "meters", str(path))
    assert done.exit_code == 0, done.output
    assert session.scalars(text("SELECT customer_id FROM meter_assignments")).all() == [last]


def test_an_account_may_name_its_parent_by_a_former_code(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    parent = AccountFactory(code="1100", type="asset")
    session.commit()
    parent.code = "1110"
    session.commit()
    path = tmp_path / "old.csv"
    path.write_text("code,name,type,parent\n1111,Petty cash,asset,1100\n")
    done = run_command("import", "accounts", str(path))
    assert done.exit_code == 0, done.output
    rows = session.execute(text("SELECT code, parent_id FROM accounts ORDER BY code")).all()
    assert rows == [("1110", None), ("1111", parent.id)]


def plain(output: str) -> str:
    """The output without its line breaks."""
    return " ".join(output.split())


def test_an_old_file_of_invoices_names_the_renamed_customer_and_meter(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    customer, meter = CustomerFactory(code="OLD"), MeterFactory(number="M-1")
    session.commit()
    customer.code, meter.number = "NEW", "M-2"
    session.commit()
    path = tmp_path / "old.csv"
    path.write_text(
        "number,customer_code,meter_number,issued_on,due_on,amount\n"
        "I-1,OLD,M-1,2026-01-01,2026-01-31,25\nI-2,NEW,M-2,2026-01-01,2026-01-31,25\n"
    )
    done = run_command("import", "invoices", str(path))
    assert done.exit_code == 0, done.output
    rows = session.execute(text("SELECT customer_id, meter_id FROM invoices")).all()
    assert rows == [(customer.id, meter.id)] * 2


def test_a_number_of_a_document_that_was_given_up_is_free_for_another(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    from backoffice.orders.models import Order
    from tests.factories.orders import OrderFactory

    order = OrderFactory(number="SO-1", customer=CustomerFactory(code="A"))
    AccountManagerFactory(email="m@x.example")
    session.commit()
    order.number = "SO-2"
    session.commit()
    path = tmp_path / "new.csv"
    path.write_text(
        "number,customer_code,account_manager_email,order_date\nSO-1,A,m@x.example,2026-01-05\n"
    )
    assert run_command("import", "orders", str(path)).exit_code == 0
    assert set(session.scalars(select(Order.number))) == {"SO-1", "SO-2"}


def test_a_code_from_before_texts_were_composed_is_found_by_a_file(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    CustomerFactory(code="KAFE\u0301", name="Before")
    session.commit()
    path = tmp_path / "old.csv"
    path.write_text("code,name\nKAFE\u0301,After\n")
    assert run_command("import", "customers", str(path)).exit_code == 0
    assert session.execute(text("SELECT code, name FROM customers")).all() == [
        ("KAFE\u0301", "After")
    ]
