"""Every kind of file, with new, changed, unchanged and mixed rows, in the browser, by the command and by the API.

A kind is under these laws by being declared: one without a case here fails.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.audit.tables import title_of
from backoffice.imports.kinds import KINDS
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory
from tests.factories.gas import GasPriceFactory
from tests.factories.ledger import AccountFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.wallets import WalletFactory
from tests.records.test_api import Program

from .desk import Desk

Run_ = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """Files of one kind: a row that is stored already, one that the file changes, and a new one.

    `rows` selects a key and the values of what is stored. `unchanged` is imported first, and so is `before`, which
    `changed` changes. `is_refused`: files of this kind change nothing, so that `changed` is a bad line.
    """

    header: str
    rows: str
    unchanged: tuple[str, ...]
    before: tuple[str, ...]
    changed: tuple[str, ...]
    new: tuple[str, ...]
    is_refused: bool = False

    def file(self, *lines: str) -> str:
        """A file of these lines."""
        return "\n".join([self.header, *lines]) + "\n"

    def content(self, sort: str) -> tuple[str, ...]:
        """The lines of the file with new, changed, unchanged or mixed rows."""
        if sort == "mixed":
            return (*self.unchanged, *(() if self.is_refused else self.changed), *self.new)
        lines: tuple[str, ...] = getattr(self, sort)
        return lines

    def counts(self, sort: str) -> tuple[int, int, int]:
        """How many lines create, change and leave a row."""
        lines = self.content(sort)
        counts = (
            len([line for line in lines if line in group])
            for group in (self.new, self.changed, self.unchanged)
        )
        created, updated, unchanged = counts
        return created, updated, unchanged


CASES = {
    "customers": Case(
        "code,name,city", "SELECT code, name, city FROM customers WHERE code IN ('U', 'C', 'N')",
        ("U,Uma,Ulm",), ("C,Cora,Cork",), ("C,Cora,Kiel",), ("N,Nils,Nice",),
    ),
    "account-managers": Case(
        "email,name", "SELECT email, name FROM users WHERE email LIKE '%@law.example'",
        ("u@law.example,Uma",), ("c@law.example,Cora",), ("c@law.example,Cara",), ("n@law.example,Nils",),
    ),
    "products": Case(
        "code,name,effective_from,unit_price",
        "SELECT code, name, effective_from, unit_price FROM products JOIN product_prices ON product_id = products.id",
        ("U,Clock,2026-01-01,5",), ("C,Chair,2026-01-01,6",), ("C,Chair,2026-01-01,7",), ("N,Nail,2026-01-01,8",),
    ),
    "orders": Case(
        "number,customer_code,account_manager_email,order_date,closing_date,total_price",
        "SELECT number, order_date, total_price FROM orders WHERE number LIKE 'SO-%'",
        ("SO-1,A,m@x.example,2026-01-05,,10",), ("SO-2,A,m@x.example,2026-01-05,,20",),
        ("SO-2,A,m@x.example,2026-01-06,,30",), ("SO-3,A,m@x.example,2026-01-07,,40",),
    ),
    "order-lines": Case(
        "order_number,kind,description,quantity,unit_price,product_code",
        "SELECT number, description, quantity, unit_price FROM orders JOIN order_lines ON order_id = orders.id",
        ("O-1,package,Desk,1,10,",), ("O-2,package,Lamp,2,10,",), ("O-2,package,Lamp,3,10,",),
        ("O-3,package,Sofa,4,10,",),
    ),
    "meters": Case(
        "meter_number,customer_code,is_active,assigned_from",
        "SELECT number, is_active, assigned_from FROM meters JOIN meter_assignments ON meter_id = meters.id "
        "WHERE number LIKE 'FB-%'",
        ("FB-1,A,yes,2026-01-01",), ("FB-2,A,yes,2026-01-01",), ("FB-2,A,no,2026-01-01",),
        ("FB-3,A,yes,2026-01-01",),
    ),
    "invoices": Case(
        "number,customer_code,meter_number,issued_on,due_on,amount",
        "SELECT number, amount FROM invoices WHERE number LIKE 'I-%'",
        ("I-1,A,M-1,2026-01-01,2026-01-31,10",), ("I-2,A,M-1,2026-01-01,2026-01-31,20",),
        ("I-2,A,M-1,2026-01-01,2026-01-31,25",), ("I-3,A,M-1,2026-01-01,2026-01-31,30",),
    ),
    "payments": Case(
        "reference,customer_code,meter_number,invoice_number,paid_on,amount",
        "SELECT reference, amount FROM payments",
        ("P-1,A,M-1,INV-1,2026-02-01,10",), ("P-2,A,M-1,INV-1,2026-02-01,20",),
        ("P-2,A,M-1,INV-1,2026-02-01,25",), ("P-3,A,M-1,INV-1,2026-02-01,30",),
    ),
    "wallet-charges": Case(
        "wallet_id,amount,service_type,idempotency_key",
        "SELECT idempotency_key, amount FROM wallet_transactions WHERE transaction_type = 'charge'",
        ("W-1,10,vps,u",), ("W-1,20,vps,c",), ("W-1,25,vps,c",), ("W-1,30,vps,n",), is_refused=True,
    ),
    "prices": Case(
        "customer_code,effective_from,price_per_sm3,correction_factor",
        "SELECT effective_from, price_per_sm3 FROM gas_prices WHERE effective_from >= '2026-03-01'",
        ("A,2026-03-01,10,1",), ("A,2026-04-01,20,1",), ("A,2026-04-01,25,1",), ("A,2026-05-01,30,1",),
    ),
    "readings": Case(
        "customer_code,read_on,metered_volume_m3", "SELECT read_on, metered_volume FROM readings",
        ("A,2026-03-01,10",), ("A,2026-04-01,20",), ("A,2026-04-01,25",), ("A,2026-05-01,30",),
    ),
    "deposits": Case(
        "customer_code,deposited_on,amount,note", "SELECT deposited_on, amount, note FROM deposits",
        ("A,2026-03-01,10,cash",), ("A,2026-04-01,20,cash",), ("A,2026-04-01,20,bank",), ("A,2026-05-01,30,cash",),
    ),
    "accounts": Case(
        "code,name,type,parent",
        "SELECT a.code, a.name, p.code FROM accounts a JOIN accounts p ON p.id = a.parent_id",
        ("71,Bank,asset,1100",), ("72,Cash,asset,1100",), ("72,Till,asset,1100",), ("73,Post,asset,1100",),
    ),
    "journal": Case(
        "entry_number,date,memo,account_code,debit,credit",
        "SELECT number || ' ' || debit || ' ' || credit, journal_entries.memo "
        "FROM journal_entries JOIN journal_lines ON entry_id = journal_entries.id",
        ("J-1,2026-01-02,Unchanged,1100,10,", "J-1,2026-01-02,Unchanged,3000,,10"),
        ("J-2,2026-01-02,Changed,1100,20,", "J-2,2026-01-02,Changed,3000,,20"),
        ("J-2,2026-01-02,Changed,1100,25,", "J-2,2026-01-02,Changed,3000,,25"),
        ("J-3,2026-01-02,New,1100,30,", "J-3,2026-01-02,New,3000,,30"), is_refused=True,
    ),
}  # fmt: skip

OTHERWISE = {
    "customers": "name = name || '!'",
    "users": "name = name || '!'",
    "products": "name = name || '!'",
    "product_prices": "unit_price = unit_price + 1",
    "orders": "order_date = order_date - 1",
    "order_lines": "description = description || '!'",
    "meters": "description = description || '!'",
    "meter_assignments": "assigned_from = assigned_from - 1",
    "invoices": "due_on = due_on + 1",
    "payments": "paid_on = paid_on - 1",
    "gas_prices": "price_per_sm3 = price_per_sm3 + 1",
    "readings": "metered_volume = metered_volume + 1",
    "deposits": "note = note || '!'",
    "accounts": "name = name || '!'",
    "journal_entries": "",  # the database refuses to change a posted entry
}
"""Table that lines name → the change that another program makes to a fact of it, without counting its version."""

SORTS = ("new", "changed", "unchanged", "mixed")
BY_LINE = [name for name, kind in KINDS.items() if kind.results is not None]
AT_ONCE = [name for name in KINDS if name not in BY_LINE]
NAMED = sorted(
    {(kind, reads.model.__tablename__) for kind in AT_ONCE for reads in KINDS[kind].reads}
)


@pytest.fixture
def company(session: Session) -> None:
    """A company with one record of each sort that files name."""
    customer = CustomerFactory(code="A")
    manager = AccountManagerFactory(email="m@x.example")
    nothing = dict.fromkeys(("additions", "promo", "reductions"), 0)
    for number in ("O-1", "O-2", "O-3"):
        OrderFactory(
            number=number, customer=customer, account_manager=manager, total_price=0, **nothing
        )
    meter = MeterFactory(number="M-1")
    MeterAssignmentFactory(meter=meter, customer=customer)
    whole = {"units": None, "rate": None, "fixed_charge": 0}
    InvoiceFactory(number="INV-1", customer=customer, meter=meter, amount=1500, **whole)
    WalletFactory(number="W-1", balance=0)
    session.execute(
        text(
            "INSERT INTO wallet_transactions (wallet_id, transaction_type, amount, idempotency_key) "
            "SELECT id, 'recharge', 1000, 'first' FROM wallets"
        )
    )
    GasPriceFactory(customer=customer)
    AccountFactory(code="1100")
    AccountFactory(code="3000", type="equity")
    session.commit()


@pytest.fixture
def desk(sign_in: Run_, company: None) -> Desk:
    """A user of the finance team."""
    return Desk(sign_in("finance"))


def stored(session: Session, kind: str) -> dict[str, tuple[str, ...]]:
    """What is stored, by its key, as texts."""
    session.rollback()
    rows = session.execute(text(CASES[kind].rows)).all()
    found = {str(row[0]): tuple(str(value) for value in row[1:]) for row in rows}
    assert len(found) == len(rows), "nothing is stored twice"
    return found


def import_before(kind: str, folder: Path, run_command: Run_) -> None:
    case = CASES[kind]
    path = folder / "before.csv"
    path.write_text(case.file(*case.unchanged, *case.before))
    done = run_command("import", kind, str(path))
    assert done.exit_code == 0, done.output


def finish_runs(session: Session) -> None:
    """What a worker does."""
    session.rollback()
    for run_id in session.scalars(select(Run.id).where(Run.finished_at.is_(None))).all():
        perform(db.engine, run_id)
    session.rollback()


def in_the_browser(kind: str, file: str, session: Session, desk: Desk) -> tuple[int, int, int]:
    """Upload, dry-run and import the file; the counts that its page says."""
    import_id = desk.checked(kind, file)
    before = stored(session, kind)
    assert "What would happen" in desk.page(import_id)
    desk.apply(import_id)
    finish_runs(session)
    page = desk.page(import_id)
    assert "What was imported" in page, page
    after = stored(session, kind)
    kept = session.scalar(text("SELECT rows FROM import_outcomes ORDER BY import_id DESC LIMIT 1"))
    assert kind in BY_LINE or kept == [], "what the dry run has kept goes when it is imported"
    desk.apply(import_id)  # a second click
    finish_runs(session)
    assert stored(session, kind) == after, "two clicks have one effect"
    assert before is not after
    counts = re.search(r"Created (\d+) Changed (\d+) Removed 0 Unchanged already (\d+)", page)
    assert counts is not None, page
    return int(counts[1]), int(counts[2]), int(counts[3])


def by_the_command(kind: str, path: Path, run_command: Run_) -> tuple[int, int, int]:
    """Import the file; the counts that the command prints, and says as JSON of the same file again."""
    dry = run_command("import", kind, str(path), "--dry-run", "--json")
    said = run_command("import", kind, str(path))
    assert said.exit_code == 0, said.output
    counts = re.search(r"(\d+) created, (\d+) updated, 0 removed, (\d+) unchanged", said.stdout)
    assert counts is not None, said.stdout
    found = int(counts[1]), int(counts[2]), int(counts[3])
    shown = json.loads(dry.stdout)
    assert (shown["created"], shown["updated"], shown["unchanged"]) == found
    again = json.loads(run_command("import", kind, str(path), "--json").stdout)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, sum(found))
    return found


def by_the_api(kind: str, file: str, program: Program) -> tuple[int, int, int]:
    """Send the file; the counts that the API says."""
    answer = program.send("POST", f"/api/imports/{kind}", data=file, content_type="text/csv")
    assert answer.status_code == 200, answer.text
    reported = answer.get_json()
    assert reported["problems"] == []
    return reported["created"], 0, reported["unchanged"]


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(KINDS)
    assert {table for _kind, table in NAMED} == set(OTHERWISE)


@pytest.mark.parametrize("kind", AT_ONCE)
def test_a_kind_that_is_imported_at_once_says_which_rows_it_names(kind: str) -> None:
    assert KINDS[kind].reads


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_file_is_imported_in_the_browser(
    kind: str, sort: str, session: Session, desk: Desk, tmp_path: Path, run_command: Run_
) -> None:
    import_before(kind, tmp_path, run_command)
    case, before = CASES[kind], stored(session, kind)
    if case.is_refused and sort == "changed":
        import_id = desk.checked(kind, case.file(*case.changed))
        assert "There is no good line in the files." in desk.page(import_id)
        desk.apply(import_id, good_lines_only=True)
        assert stored(session, kind) == before
        return
    counts = in_the_browser(kind, case.file(*case.content(sort)), session, desk)
    assert counts == case.counts(sort)
    assert stored(session, kind) == expected(kind, sort)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_file_is_imported_by_the_command(
    kind: str, sort: str, session: Session, company: None, tmp_path: Path, run_command: Run_
) -> None:
    import_before(kind, tmp_path, run_command)
    case, before = CASES[kind], stored(session, kind)
    path = tmp_path / "file.csv"
    path.write_text(case.file(*case.content(sort)))
    if case.is_refused and sort == "changed":
        refused = run_command("import", kind, str(path))
        assert refused.exit_code == 1
        assert "Nothing was changed." in refused.stdout
        assert stored(session, kind) == before
        return
    assert by_the_command(kind, path, run_command) == case.counts(sort)
    assert stored(session, kind) == expected(kind, sort)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.sent_by])
def test_a_file_is_imported_by_the_api(
    kind: str,
    sort: str,
    app: Flask,
    session: Session,
    company: None,
    tmp_path: Path,
    run_command: Run_,
) -> None:
    import_before(kind, tmp_path, run_command)
    case, before = CASES[kind], stored(session, kind)
    program = Program(app, session, f"{KINDS[kind].sent_by}:write")
    if case.is_refused and sort == "changed":
        answer = program.send(
            "POST", f"/api/imports/{kind}", data=case.file(*case.changed), content_type="text/csv"
        )
        assert answer.get_json()["bad_lines"] == 1
        assert "another request" in answer.get_json()["problems"][0]["message"]
        assert stored(session, kind) == before
        return
    assert by_the_api(kind, case.file(*case.content(sort)), program) == case.counts(sort)
    assert stored(session, kind) == expected(kind, sort)


def expected(kind: str, sort: str) -> dict[str, tuple[str, ...]]:
    """What is stored after the file, on top of what was before it."""
    case = CASES[kind]
    lines = [
        *case.unchanged,
        *(case.before if case.is_refused or sort in ("new", "unchanged") else case.changed),
    ]
    if sort in ("new", "mixed"):
        lines += case.new
    return dict(EXPECTED[kind][line] for line in lines)


def _rows(*rows: tuple[str, str, str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {line: (key, tuple(values.split("|"))) for line, key, values in rows}


EXPECTED = {
    "customers": _rows(
        ("U,Uma,Ulm", "U", "Uma|Ulm"), ("C,Cora,Cork", "C", "Cora|Cork"), ("C,Cora,Kiel", "C", "Cora|Kiel"),
        ("N,Nils,Nice", "N", "Nils|Nice"),
    ),
    "account-managers": _rows(
        ("u@law.example,Uma", "u@law.example", "Uma"), ("c@law.example,Cora", "c@law.example", "Cora"),
        ("c@law.example,Cara", "c@law.example", "Cara"), ("n@law.example,Nils", "n@law.example", "Nils"),
    ),
    "products": _rows(
        ("U,Clock,2026-01-01,5", "U", "Clock|2026-01-01|5.0000"),
        ("C,Chair,2026-01-01,6", "C", "Chair|2026-01-01|6.0000"),
        ("C,Chair,2026-01-01,7", "C", "Chair|2026-01-01|7.0000"),
        ("N,Nail,2026-01-01,8", "N", "Nail|2026-01-01|8.0000"),
    ),
    "orders": _rows(
        ("SO-1,A,m@x.example,2026-01-05,,10", "SO-1", "2026-01-05|10.00"),
        ("SO-2,A,m@x.example,2026-01-05,,20", "SO-2", "2026-01-05|20.00"),
        ("SO-2,A,m@x.example,2026-01-06,,30", "SO-2", "2026-01-06|30.00"),
        ("SO-3,A,m@x.example,2026-01-07,,40", "SO-3", "2026-01-07|40.00"),
    ),
    "order-lines": _rows(
        ("O-1,package,Desk,1,10,", "O-1", "Desk|1.000|10.0000"),
        ("O-2,package,Lamp,2,10,", "O-2", "Lamp|2.000|10.0000"),
        ("O-2,package,Lamp,3,10,", "O-2", "Lamp|3.000|10.0000"),
        ("O-3,package,Sofa,4,10,", "O-3", "Sofa|4.000|10.0000"),
    ),
    "meters": _rows(
        ("FB-1,A,yes,2026-01-01", "FB-1", "True|2026-01-01"), ("FB-2,A,yes,2026-01-01", "FB-2", "True|2026-01-01"),
        ("FB-2,A,no,2026-01-01", "FB-2", "False|2026-01-01"), ("FB-3,A,yes,2026-01-01", "FB-3", "True|2026-01-01"),
    ),
    "invoices": _rows(
        ("I-1,A,M-1,2026-01-01,2026-01-31,10", "I-1", "10.00"), ("I-2,A,M-1,2026-01-01,2026-01-31,20", "I-2", "20.00"),
        ("I-2,A,M-1,2026-01-01,2026-01-31,25", "I-2", "25.00"), ("I-3,A,M-1,2026-01-01,2026-01-31,30", "I-3", "30.00"),
    ),
    "payments": _rows(
        ("P-1,A,M-1,INV-1,2026-02-01,10", "P-1", "10.00"), ("P-2,A,M-1,INV-1,2026-02-01,20", "P-2", "20.00"),
        ("P-2,A,M-1,INV-1,2026-02-01,25", "P-2", "25.00"), ("P-3,A,M-1,INV-1,2026-02-01,30", "P-3", "30.00"),
    ),
    "wallet-charges": _rows(
        ("W-1,10,vps,u", "u", "10.00"), ("W-1,20,vps,c", "c", "20.00"), ("W-1,30,vps,n", "n", "30.00"),
    ),
    "prices": _rows(
        ("A,2026-03-01,10,1", "2026-03-01", "10.0000"), ("A,2026-04-01,20,1", "2026-04-01", "20.0000"),
        ("A,2026-04-01,25,1", "2026-04-01", "25.0000"), ("A,2026-05-01,30,1", "2026-05-01", "30.0000"),
    ),
    "readings": _rows(
        ("A,2026-03-01,10", "2026-03-01", "10.000"), ("A,2026-04-01,20", "2026-04-01", "20.000"),
        ("A,2026-04-01,25", "2026-04-01", "25.000"), ("A,2026-05-01,30", "2026-05-01", "30.000"),
    ),
    "deposits": _rows(
        ("A,2026-03-01,10,cash", "2026-03-01", "10.00|cash"), ("A,2026-04-01,20,cash", "2026-04-01", "20.00|cash"),
        ("A,2026-04-01,20,bank", "2026-04-01", "20.00|bank"), ("A,2026-05-01,30,cash", "2026-05-01", "30.00|cash"),
    ),
    "accounts": _rows(
        ("71,Bank,asset,1100", "71", "Bank|1100"), ("72,Cash,asset,1100", "72", "Cash|1100"),
        ("72,Till,asset,1100", "72", "Till|1100"), ("73,Post,asset,1100", "73", "Post|1100"),
    ),
    "journal": _rows(
        *(
            (f"J-{number},2026-01-02,{memo},{account},{debit or ''},{credit or ''}",
             f"J-{number} {debit or 0}.00 {credit or 0}.00", memo)
            for number, memo, amount in ((1, "Unchanged", 10), (2, "Changed", 20), (3, "New", 30))
            for account, debit, credit in (("1100", amount, 0), ("3000", 0, amount))
        ),
    ),
}  # fmt: skip
"""Kind → line → the key and the values of what it is stored as."""


# What changes between the dry run and the import


@pytest.mark.parametrize(("kind", "table"), [(k, t) for k, t in NAMED if OTHERWISE[t]])
def test_a_row_that_changes_after_the_dry_run_keeps_the_import_out(
    kind: str, table: str, session: Session, desk: Desk, tmp_path: Path, run_command: Run_
) -> None:
    import_before(kind, tmp_path, run_command)
    case = CASES[kind]
    lines = case.content("mixed")
    if kind == "order-lines":
        session.execute(text("INSERT INTO products (code, name) VALUES ('D', 'Desk')"))
        session.commit()
        lines = tuple(f"{line}D" for line in lines)
    import_id = desk.checked(kind, case.file(*lines))
    session.execute(text(f"UPDATE {table} SET {OTHERWISE[table]}"))
    session.commit()
    before = stored(session, kind)
    desk.apply(import_id)
    page = desk.page(import_id)
    said = re.search(
        r"Nothing was imported: (.+?) \(file-0.csv, line (\d+)\) was changed after", page
    )
    assert said is not None, page
    assert said[1].startswith(title_of(table)), said[1]
    assert 2 <= int(said[2]) <= len(lines) + 1
    assert stored(session, kind) == before
    desk.apply(import_id, checks=2)
    assert "What was imported" in desk.page(import_id)


@pytest.mark.parametrize("kind", AT_ONCE)
def test_a_key_that_is_taken_after_the_dry_run_keeps_the_import_out(
    kind: str, session: Session, desk: Desk, tmp_path: Path, run_command: Run_
) -> None:
    case = CASES[kind]
    import_id = desk.checked(kind, case.file(*case.new))
    path = tmp_path / "faster.csv"
    path.write_text(case.file(*case.new))
    assert run_command("import", kind, str(path)).exit_code == 0
    before = stored(session, kind)
    desk.apply(import_id)
    page = desk.page(import_id)
    verb = "changed" if kind == "order-lines" else "created"  # the order itself has lines now
    assert re.search(f"Nothing was imported: .+ was {verb} after the dry run", page), page
    assert f"Unchanged already {len(case.new)}" in page
    assert stored(session, kind) == before


def test_a_row_that_is_removed_after_the_dry_run_keeps_the_import_out(
    session: Session, desk: Desk, tmp_path: Path, run_command: Run_
) -> None:
    import_before("readings", tmp_path, run_command)
    case = CASES["readings"]
    import_id = desk.checked("readings", case.file(*case.changed))
    session.execute(text("DELETE FROM readings WHERE read_on = '2026-04-01'"))
    session.commit()
    desk.apply(import_id)
    page = desk.page(import_id)
    assert "Reading A (file-0.csv, line 2) was removed after the dry run." in page
    assert set(stored(session, "readings")) == {"2026-03-01"}


def test_a_line_that_is_refused_after_the_dry_run_keeps_the_import_out(
    session: Session, desk: Desk
) -> None:
    import_id = desk.checked("customers", "code,name\nS,Survivor\nD,Duplicate\n")
    other = desk.checked("customers", "code,name\nS,Survivor\nD,Another\n")
    desk.apply(other)
    session.execute(
        text(
            "UPDATE customers SET merged_into_id = (SELECT id FROM customers WHERE code = 'S') WHERE code = 'D'"
        )
    )
    session.commit()
    desk.apply(import_id)
    page = desk.page(import_id)
    assert "line 3 of file-0.csv could be imported in the dry run, but not any more" in page
    assert "Customer D was merged into S." in page
    session.rollback()
    assert session.scalar(text("SELECT name FROM customers WHERE code = 'D'")) == "Another"


def test_a_total_that_changes_after_the_dry_run_keeps_nothing_out(
    session: Session, desk: Desk
) -> None:
    """The customer's balance is another one, but no fact of the customer."""
    case = CASES["payments"]
    import_id = desk.checked("payments", case.file(*case.new))
    desk.apply(desk.checked("payments", case.file(*case.before)))
    desk.apply(import_id)
    assert "What was imported" in desk.page(import_id)
    assert stored(session, "payments") == {"P-2": ("20.00",), "P-3": ("30.00",)}


def test_lines_that_were_bad_in_the_dry_run_stay_out(session: Session, desk: Desk) -> None:
    """What the user has seen as bad is not imported, even if it would be good since then."""
    import_id = desk.checked(
        "orders", CASES["orders"].file(*CASES["orders"].new, "SO-4,LATE,m@x.example,2026-01-05,,10")
    )
    assert "There is no customer LATE." in desk.page(import_id)
    CustomerFactory(code="LATE")
    session.commit()
    desk.apply(import_id, good_lines_only=True)
    assert "What was imported" in desk.page(import_id)
    assert set(stored(session, "orders")) == {"SO-3"}


def test_files_that_an_earlier_version_checked_need_another_dry_run(
    session: Session, desk: Desk
) -> None:
    import_id = desk.checked("customers", CASES["customers"].file("N,Nils,Nice"))
    session.execute(text("UPDATE import_outcomes SET rows = NULL"))
    session.commit()
    page = desk.page(import_id)
    assert "An earlier version of the program made this dry run." in page
    assert "New dry run" in page
    assert desk.apply(import_id).status_code == 409
    assert stored(session, "customers") == {}
    desk.check(import_id)
    desk.apply(import_id, checks=2)
    assert stored(session, "customers") == {"N": ("Nils", "Nice")}


# Another user saves at the very moment of the import


@pytest.fixture
def beside(owner_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Another program, whose transaction is open."""
    with psycopg.connect(owner_database_url) as connection:
        yield connection
        connection.rollback()


def apply_beside(desk: Desk, import_id: int, beside: psycopg.Connection[Any], url: str) -> None:
    """Press Import; the other program commits when the import waits for it, or is over."""
    thread = threading.Thread(target=desk.apply, args=(import_id,))
    thread.start()
    waits = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    with psycopg.connect(url, autocommit=True) as observer:
        while thread.is_alive():
            if observer.execute(waits, [beside.info.backend_pid]).fetchone() != (0,):
                break
    beside.commit()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (name, reads.model.__tablename__)
        for name, kind in KINDS.items()
        for reads in kind.reads
        if reads.is_locked_here
    ],
)
def test_a_row_that_is_saved_at_the_same_moment_is_not_overwritten(
    kind: str, table: str, session: Session, desk: Desk, tmp_path: Path, run_command: Run_,
    beside: psycopg.Connection[Any], owner_database_url: str,
) -> None:  # fmt: skip
    import_before(kind, tmp_path, run_command)
    import_id = desk.checked(kind, CASES[kind].file(*CASES[kind].changed))
    beside.execute(f"UPDATE {table} SET {OTHERWISE[table]}")
    apply_beside(desk, import_id, beside, owner_database_url)
    page = desk.page(import_id)
    assert "was changed after the dry run" in page
    assert "What was imported" not in page


def test_a_key_that_is_taken_at_the_same_moment_keeps_the_import_out(
    session: Session, desk: Desk, beside: psycopg.Connection[Any], owner_database_url: str
) -> None:
    import_id = desk.checked("customers", "code,name,city\nN,Nils,Nice\nM,Mia,Metz\n")
    beside.execute("INSERT INTO customers (code, name) VALUES ('N', 'Faster')")
    apply_beside(desk, import_id, beside, owner_database_url)
    assert "another user saved one of these rows at the same moment" in desk.page(import_id)
    assert stored(session, "customers") == {"N": ("Faster", "")}


CREATING = [name for name, kind in KINDS.items() if kind.creates]


def test_every_kind_that_creates_records_says_which_code_they_get() -> None:
    assert set(KINDS) - set(CREATING) == {
        "account-managers", "order-lines", "wallet-charges", "prices", "readings", "deposits",
    }  # fmt: skip


@pytest.mark.parametrize("kind", CREATING)
def test_a_file_with_a_number_in_another_case_is_refused_with_the_same_sentence(
    kind: str, session: Session, company: None, tmp_path: Path, run_command: Run_
) -> None:
    case, creates = CASES[kind], KINDS[kind].creates
    assert creates is not None
    path, name = tmp_path / "file.csv", case.new[0].split(",")[0]
    lines = [line.replace(name, f"{name}x", 1) for line in case.new]
    path.write_text(case.file(*lines))
    assert run_command("import", kind, str(path)).exit_code == 0
    rows = session.execute(text(case.rows)).all()
    session.rollback()
    path.write_text(case.file(*(line.replace(f"{name}x", f"{name}X", 1) for line in lines)))
    refused = run_command("import", kind, str(path))
    assert refused.exit_code == 1, refused.output
    assert creates.taken % {creates.column.key: f"{name}x"} in " ".join(refused.output.split()), (
        refused.output
    )
    assert session.execute(text(case.rows)).all() == rows
