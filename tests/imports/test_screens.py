"""Importing in the browser: upload, columns, dry run, every error by line, failed rows, import."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.customers.models import Customer
from backoffice.drift.healing.performing import performed
from backoffice.imports.files import uploads
from backoffice.imports.models import Import, ImportContent
from backoffice.orders.models import Order
from backoffice.runs import actions
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.signing_in import someone

from .desk import LINES, ORDERS, Desk, said

GOOD = "code,name,city\nA,Anton,Berlin\nB,Berta,\n"

SOLD = [("package", "sold", "1", "5")]

SignIn = Callable[..., Any]


@pytest.fixture
def desk(sign_in: SignIn) -> Desk:
    return Desk(sign_in("finance"))


def names(session: Session) -> dict[str, str]:
    session.rollback()
    return {row.code: row.name for row in session.execute(select(Customer.code, Customer.name))}


def stored(session: Session, import_id: int) -> Import:
    session.rollback()
    return session.get_one(Import, import_id, populate_existing=True)


def trail(session: Session) -> int:
    """How many changes of the books are in the audit trail."""
    rows = select(func.count()).where(AuditEvent.table_name != "imports")
    return session.scalar(rows) or 0


# From upload to import


def test_a_good_file_is_dry_run_and_then_imported(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", GOOD)
    assert names(session) == {}
    page = desk.page(import_id)
    assert "Lines read 2 Created 2 Changed 0 Removed 0 Unchanged already 0 Bad lines 0" in page
    assert "Name: Anton" in page
    assert desk.apply(import_id).status_code == 303
    assert names(session) == {"A": "Anton", "B": "Berta"}
    assert "What was imported" in desk.page(import_id)
    event = session.scalars(select(AuditEvent).where(AuditEvent.table_name == "customers")).first()
    assert event is not None
    assert event.actor == f"user:{stored(session, import_id).user_id}"


def test_a_dry_run_shows_what_each_change_was_and_would_be(desk: Desk, session: Session) -> None:
    CustomerFactory(code="A", name="Old")
    session.commit()
    page = desk.page(desk.checked("customers", "code,name\nA,New\n"))
    assert "Changed A Name: Old → New" in page


def test_every_error_is_shown_by_line_and_summed_by_sentence(desk: Desk) -> None:
    lines = [f"C{number}," for number in range(60)]
    import_id = desk.checked("customers", "\n".join(["code,name", *lines, "ok,fine", "x,y,z"]))
    page = desk.page(import_id)
    assert "Bad lines 61" in page
    assert "60 × Name This must not be empty." in page
    assert "1 × This line has … cells, the header …." in page
    assert "2 Name This must not be empty." in page
    assert "1–50 of 61" in page
    second = desk.page(import_id, "?page=2")
    assert "63 This line has 3 cells, the header 2." in second
    only = desk.page(import_id, "?sentence=2")
    assert "63 This line has 3 cells" in only
    assert "2 Name This must not be empty." not in only


def test_all_or_nothing_unless_the_good_lines_are_asked_for(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", "code,name\nA,Anton\nB,\n")
    refused = desk.apply(import_id)
    assert refused.status_code == 422
    assert "There are bad lines." in said(refused)
    assert names(session) == {}
    assert desk.apply(import_id, good_lines_only=True).status_code == 303
    assert names(session) == {"A": "Anton"}
    assert "1 bad line was left out." in desk.page(import_id)


def test_bad_rows_are_downloaded_corrected_and_sent_again(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", 'kode;name\nA;Anton\nB;\n=C;"x\ny"\n')
    desk.apply(import_id, good_lines_only=True)
    failed = desk.failed(import_id)
    assert failed.startswith(b"\xef\xbb\xbfkode;name;error\r\n")
    text_ = failed.decode("utf-8-sig")
    assert "B;;line 3: Name: This must not be empty.\r\n" in text_
    assert "'=C;" in text_
    corrected = text_.replace("B;;", "B;Berta;").replace('"x\ny"', "Carla")
    again = desk.uploaded("customers", corrected.encode("utf-8-sig"))
    assert desk.check(again).status_code == 303
    assert desk.apply(again).status_code == 303
    assert names(session) == {"A": "Anton", "B": "Berta", "=C": "Carla"}


def test_the_same_file_again_changes_nothing(desk: Desk, session: Session) -> None:
    stored_order = OrderFactory(number="SO-1", lines=SOLD, promo=0, reductions=0)
    session.commit()
    file = f"{LINES}\nSO-1,package,Sugar,2,10\nSO-1,package,Tea,1,3.5\n"
    desk.apply(desk.checked("order-lines", file))
    before = (trail(session), session.scalar(select(Order.version)), stored_order.grand_total)
    session.rollback()
    again = desk.checked("order-lines", file)
    page = desk.page(again)
    assert "Unchanged already 2" in page
    assert "changes nothing" in page
    assert "These very files were imported before" in page
    assert desk.apply(again).status_code == 303
    session.expire_all()
    after = (trail(session), session.scalar(select(Order.version)), stored_order.grand_total)
    assert after == before


def test_what_an_import_takes_away_is_said_beforehand(desk: Desk, session: Session) -> None:
    OrderFactory(number="SO-1", lines=[*SOLD, *SOLD], promo=0, reductions=0)
    session.commit()
    import_id = desk.checked("order-lines", f"{LINES}\nSO-1,package,a,1,5\n")
    page = desk.page(import_id)
    assert "1 line that is stored now is not in the files and would be removed" in page
    assert "Removed SO-1" in page
    assert "Sum of Line amount 5" in page


# Lines that belong together


def test_an_order_with_a_bad_line_stays_out_whole(desk: Desk, session: Session) -> None:
    for number in ("SO-1", "SO-2"):
        OrderFactory(number=number, lines=SOLD, promo=0, reductions=0)
    session.commit()
    lines = ["SO-1,package,a,1,5", "SO-1,package,b,x,6", "SO-2,package,c,1,7", "SO-1,package,d,1,8"]
    import_id = desk.checked("order-lines", "\n".join([LINES, *lines]))
    page = desk.page(import_id)
    assert "Bad lines 3" in page
    assert "Another line with SO-1 is wrong; they are imported together or not at all." in page
    desk.apply(import_id, good_lines_only=True)
    session.rollback()
    found = {
        o.number: [line.description for line in o.lines] for o in session.scalars(select(Order))
    }
    assert found == {"SO-1": ["sold"], "SO-2": ["c"]}
    corrected = desk.failed(import_id).replace(b",x,", b",2,")
    assert corrected.count(b"SO-1,") == 3
    again = desk.checked("order-lines", corrected)
    assert desk.apply(again).status_code == 303
    session.rollback()
    found = {
        o.number: [line.description for line in o.lines] for o in session.scalars(select(Order))
    }
    assert found == {"SO-1": ["a", "b", "d"], "SO-2": ["c"]}


def test_a_line_that_may_belong_to_any_order_keeps_all_of_them_out(
    desk: Desk, session: Session
) -> None:
    OrderFactory(number="SO-1", lines=SOLD, promo=0, reductions=0)
    session.commit()
    file = f"{LINES}\nSO-1,package,a,1,5\n,package,b,1,6\n"
    import_id = desk.checked("order-lines", file)
    assert "Nothing can be imported before the bad lines are corrected" in desk.page(import_id)
    assert desk.apply(import_id, good_lines_only=True).status_code == 422
    session.rollback()
    assert [line.description for line in session.scalars(select(Order)).one().lines] == ["sold"]
    assert b"SO-1,package,a,1,5,\r\n" in desk.failed(import_id)


def test_an_order_that_would_be_negative_is_left_out_with_its_lines(
    desk: Desk, session: Session
) -> None:
    for number in ("SO-1", "SO-2"):
        OrderFactory(number=number, lines=SOLD, promo=0, reductions=0)
    session.commit()
    lines = ["SO-1,promo,a,1,900000000", "SO-1,promo,b,1,1", "SO-2,promo,c,1,1"]
    import_id = desk.checked("order-lines", "\n".join([LINES, *lines]))
    page = desk.page(import_id)
    assert "Bad lines 2" in page
    assert "cannot be negative" in page
    desk.apply(import_id, good_lines_only=True)
    session.rollback()
    promos = {o.number: o.promo for o in session.scalars(select(Order))}
    assert promos == {"SO-1": 0, "SO-2": 1}


# Idempotency


def test_a_second_post_imports_nothing(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", GOOD)
    desk.apply(import_id)
    before = trail(session)
    session.rollback()
    again = desk.apply(import_id)
    assert again.status_code == 303
    assert trail(session) == before
    assert desk.check(import_id).status_code == 409


def test_two_concurrent_imports_of_one_upload_have_one_effect(
    desk: Desk, sign_in: SignIn, session: Session
) -> None:
    lines = "".join(f"C{number},Customer {number}\n" for number in range(300))
    import_id = desk.checked("customers", f"code,name\n{lines}")
    desks = [Desk(sign_in("admin")) for _ in range(4)]
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda d=d: statuses.append(d.apply(import_id).status_code))
        for d in desks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {303, 409}
    assert 303 in statuses
    assert len(names(session)) == 300
    rows = select(func.count()).where(AuditEvent.table_name == "customers")
    assert session.scalar(rows) == 300


def test_a_customer_who_was_changed_after_the_dry_run_is_named(
    desk: Desk, session: Session
) -> None:
    customer = CustomerFactory(code="A", name="Old")
    session.commit()
    import_id = desk.checked("customers", "code,name\nA,New\nB,b\n")
    customer.name = "Newer"
    session.commit()
    assert desk.apply(import_id).status_code == 303
    assert names(session) == {"A": "Newer"}
    page = desk.page(import_id)
    assert "Nothing was imported: Customer A (file-0.csv, line 2) was changed" in page
    assert "Name: Newer → New" in page
    assert desk.apply(import_id, checks=1).status_code == 409
    assert desk.apply(import_id, checks=2).status_code == 303
    assert names(session) == {"A": "New", "B": "b"}


def test_an_error_that_came_since_the_dry_run_keeps_everything_out(
    desk: Desk, session: Session
) -> None:
    customer = CustomerFactory(code="A")
    AccountManagerFactory(email="m@x.example")
    session.commit()
    import_id = desk.checked("orders", f"{ORDERS}\nSO-1,A,m@x.example,2026-03-01,\n")
    session.delete(customer)
    session.commit()
    assert desk.apply(import_id).status_code == 303
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    assert "There is no customer A." in desk.page(import_id)


def test_what_is_stored_is_what_was_sent(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", GOOD)
    session.execute(text("UPDATE import_contents SET content = content || 'x'::bytea"))
    session.commit()
    assert desk.apply(import_id).status_code == 410
    assert names(session) == {}


def test_a_form_sent_twice_uploads_once(desk: Desk, session: Session) -> None:
    first = desk.upload("customers", GOOD)
    Desk.key -= 1
    second = desk.upload("customers", GOOD)
    assert first.location == second.location
    assert session.scalar(select(func.count()).select_from(Import)) == 1


def test_an_upload_can_be_thrown_away_until_it_is_imported(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", GOOD)
    assert desk.client.post(f"/imports/{import_id}/discard").status_code == 303
    assert desk.client.get(f"/imports/{import_id}").status_code == 404
    assert session.scalar(select(func.count()).select_from(ImportContent)) == 0
    session.rollback()
    import_id = desk.checked("customers", GOOD)
    desk.apply(import_id)
    assert desk.client.post(f"/imports/{import_id}/discard").status_code == 409


# The assignments of a meter


def test_uploads_are_shared_by_those_who_may_import(
    desk: Desk, sign_in: SignIn, app: Any, session: Session
) -> None:
    import_id = desk.checked("customers", GOOD)
    for role in ("finance", "admin"):
        other = Desk(sign_in(role))
        assert "file-0.csv" in said(other.client.get("/imports"))
        assert "Created 2" in other.page(import_id)
    for role in ("viewer", "account_manager"):
        client = sign_in(role)
        for address in ("/imports", "/imports/new", f"/imports/{import_id}"):
            assert client.get(address).status_code == 403
        assert client.post(f"/imports/{import_id}/apply").status_code == 403
    colleague = someone(app, "finance")
    assert colleague
    assert Desk(sign_in("admin")).apply(import_id).status_code == 303
    upload = stored(session, import_id)
    assert upload.applied_by_id != upload.user_id


def test_the_list_of_uploads_is_narrowed_and_exported(desk: Desk) -> None:
    desk.apply(desk.checked("customers", GOOD))
    desk.uploaded("orders", f"{ORDERS}\n", names=("orders.csv",))
    assert "1 upload" in said(desk.client.get("/imports?state=applied"))
    assert "orders.csv" not in said(desk.client.get("/imports?kind=customers"))
    assert "orders.csv" in said(desk.client.get("/imports?q=ORDERS"))
    exported = desk.client.get("/imports/export.csv?kind=customers")
    assert exported.status_code == 200
    assert b"file-0.csv" in exported.data
    assert b"orders.csv" not in exported.data


def forget_old_uploads(session: Session) -> None:
    """The daily housekeeping of a worker."""
    run = actions.request(session, "chore", {"chore": "uploads"})
    session.commit()
    assert performed(db.engine, run.id).run.status == "done"


def test_bytes_are_forgotten_after_ninety_days(desk: Desk, session: Session) -> None:
    import_id = desk.checked("customers", "code,name\nA,\nB,b\n")
    forget_old_uploads(session)
    assert desk.failed(import_id)
    session.execute(text("UPDATE imports SET created_at = now() - interval '91 days'"))
    session.commit()
    forget_old_uploads(session)
    page = desk.page(import_id)
    assert "These files are no longer stored." in page
    assert desk.client.get(f"/imports/{import_id}/failed.csv").status_code == 410
    assert desk.apply(import_id, good_lines_only=True).status_code == 410
    assert "file-0.csv" in said(desk.client.get("/imports"))


def test_the_trail_has_the_upload_but_not_its_bytes(desk: Desk, session: Session) -> None:
    desk.apply(desk.checked("customers", GOOD))
    tables = set(session.scalars(select(AuditEvent.table_name)))
    assert "imports" in tables
    assert not {name for name in tables if name.startswith("import_")}


# Refused uploads


def test_a_form_without_a_file_says_so(desk: Desk) -> None:
    answer = desk.upload("customers")
    assert answer.status_code == 422
    assert "Choose a file." in said(answer)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"", "is empty."),
        (b"PK\x03\x04rest of a workbook", "is neither a text file nor an Excel workbook"),
        (b"%PDF-1.7", "is neither a text file nor an Excel workbook"),
        (b"a,b\n" * (uploads.MOST_LINES + 100), "backoffice import customers FILE"),
        (b"x" * (uploads.MOST_BYTES + 1), "backoffice import customers FILE"),
    ],
)
def test_what_cannot_be_imported_here_is_refused_with_a_sentence(
    file: bytes, sentence: str, desk: Desk, session: Session
) -> None:
    answer = desk.upload("customers", file)
    assert answer.status_code == 422
    assert sentence in said(answer)
    assert session.scalar(select(func.count()).select_from(Import)) == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("<b>x</b>.csv", "b>.csv"),
        ("a\u202ecsv.exe", "acsv.exe"),
        ("…", "…"),
        ("x" * 500 + ".csv", "x" * 49 + "…" + "x" * 46 + ".csv"),
    ],
)
def test_a_files_name_is_only_a_name(name: str, shown: str, desk: Desk, session: Session) -> None:
    import_id = desk.uploaded("customers", GOOD, names=(name,))
    assert stored(session, import_id).name == shown
    desk.check(import_id)
    assert shown in desk.page(import_id)
    assert "<b>" not in desk.client.get(f"/imports/{import_id}").text
    assert desk.client.get(f"/imports/{import_id}/failed.csv").status_code == 200


def test_folders_of_windows_are_no_part_of_a_name() -> None:
    assert uploads.clean_name("C:\\Users\\ayu\\orders.csv") == "orders.csv"
    assert uploads.clean_name("..\\") == "file.csv"


def test_files_of_one_name_are_distinguished(desk: Desk, session: Session) -> None:
    import_id = desk.uploaded(
        "customers", "code,name\nA,a\n", "code,name\nB,\n", names=("c.csv",) * 2
    )
    assert stored(session, import_id).name == "c.csv, c.csv (2)"
    desk.check(import_id)
    assert "c.csv (2) 2 Name This must not be empty." in desk.page(import_id)
