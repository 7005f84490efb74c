"""Columns that may be empty need not exist, and a column that is missing changes nothing of what is stored."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from backoffice.imports.kinds import KINDS

from .test_every_kind import (
    Run_,
    company,  # noqa: F401 (a fixture)
)

FULL = {
    "customers": ("code,name,contact_name,phone,city,country", "C,Cora,Ms C,1234,Cork,IE"),
    "products": ("code,name,kind,unit,effective_from,unit_price", "P,Chair,addition,pc,2026-01-01,6"),
    "orders": (
        "number,customer_code,account_manager_email,order_date,closing_date,total_price,additions,promo,reductions",
        "SO-2,A,m@x.example,2026-01-05,2026-01-09,20,3,2,1",
    ),
    "order-lines": (
        "order_number,kind,description,quantity,unit_price,product_code", "O-2,package,Lamp,2,10,X",
    ),
    "meters": (
        "meter_number,customer_code,is_active,assigned_from,assigned_to,description",
        "FB-2,A,no,2026-01-01,2026-02-01,Cellar",
    ),
    "invoices": (
        "number,customer_code,meter_number,issued_on,due_on,amount,units,rate,fixed_charge",
        "I-2,A,M-1,2026-01-01,2026-01-31,25,10,2,5",
    ),
    "payments": (
        "reference,customer_code,meter_number,invoice_number,paid_on,amount,method",
        "P-2,A,M-1,INV-1,2026-02-01,20,cash",
    ),
    "deposits": ("customer_code,deposited_on,amount,note", "A,2026-02-01,20,By cheque"),
    "accounts": ("code,name,type,parent,is_active,role", "72,Cash,asset,1100,no,cash"),
    "journal": (
        "entry_number,date,memo,account_code,debit,credit,line_memo,source,document,document_date",
        "E-2,2026-01-05,Sold,1100,5,0,Till,Statement 7,,\nE-2,2026-01-05,Sold,3000,0,5,Sales,Statement 7,,",
    ),
}  # fmt: skip
"""Kind → a header with every column, and lines with a value in each."""

TABLES = (
    "customers", "products", "product_prices", "orders", "order_lines", "meters", "meter_assignments", "invoices",
    "payments", "deposits", "accounts", "journal_entries", "journal_lines",
)  # fmt: skip

TOGETHER = (
    {"effective_from", "unit_price"}, {"units", "rate", "fixed_charge"}, {"document", "document_date"},
)  # fmt: skip
"""Columns that come together: they are missing together."""

REFUSED = {("journal", "debit"), ("journal", "credit")}
"""Columns that each line needs where the other one is empty: such a file is refused."""

BY_LINE = {"wallet-charges", "account-managers", "prices", "readings"}
"""Kinds without such columns, or that never change a row."""

MISSING = [
    (kind, column.name) for kind in FULL for column in KINDS[kind].columns if column.may_be_missing
]


def without(names: set[str], header: str, lines: str) -> str:
    kept = [place for place, name in enumerate(header.split(",")) if name not in names]
    rows = [row.split(",") for row in (header, *lines.split("\n"))]
    return "\n".join(",".join(row[place] for place in kept) for row in rows) + "\n"


def stored(session: Session) -> dict[str, list[Any]]:
    session.rollback()
    query = "SELECT to_jsonb(t) FROM {} t ORDER BY id"
    return {table: list(session.scalars(text(query.format(table)))) for table in TABLES}


def test_every_kind_has_a_file_with_all_columns() -> None:
    assert FULL.keys() | BY_LINE == set(KINDS)
    for kind, (header, _lines) in FULL.items():
        assert set(header.split(",")) == {column.name for column in KINDS[kind].columns}


@pytest.mark.parametrize(("kind", "column"), MISSING)
def test_a_missing_column_changes_nothing_of_what_is_stored(
    kind: str,
    column: str,
    session: Session,
    company: None,  # noqa: F811
    tmp_path: Path,
    run_command: Run_,
) -> None:
    path, (header, lines) = tmp_path / "file.csv", FULL[kind]
    if kind == "order-lines":
        products = tmp_path / "products.csv"
        products.write_text("code,name\nX,Lamp\n")
        assert run_command("import", "products", str(products)).exit_code == 0
    path.write_text(f"{header}\n{lines}\n")
    first = run_command("import", kind, str(path))
    assert first.exit_code == 0, first.output
    before = stored(session)
    names = next((pair for pair in TOGETHER if column in pair), {column})
    path.write_text(without(names, header, lines))
    again = run_command("import", kind, str(path))
    assert again.exit_code == ((kind, column) in REFUSED), again.output
    assert stored(session) == before


NEW = [
    ("orders", {"closing_date"}, "SELECT closing_date IS NULL FROM orders WHERE number = 'SO-2'"),
    ("invoices", {"meter_number"}, "SELECT meter_id IS NULL FROM invoices WHERE number = 'I-2'"),
    ("invoices", {"amount"}, "SELECT amount = 25 FROM invoices WHERE number = 'I-2'"),
    ("payments", {"invoice_number"}, "SELECT invoice_id IS NULL AND amount = 20 FROM payments"),
    ("payments", {"invoice_number", "meter_number"}, "SELECT meter_id IS NULL FROM payments"),
    ("journal", {"memo"}, "SELECT memo = '' AND status = 'posted' FROM journal_entries"),
    ("order-lines", {"description", "product_code"}, "SELECT description = '' FROM order_lines"),
]


@pytest.mark.parametrize(("kind", "names", "query"), NEW)
def test_a_new_row_of_a_file_without_the_column_has_it_empty(
    kind: str,
    names: set[str],
    query: str,
    session: Session,
    company: None,  # noqa: F811
    tmp_path: Path,
    run_command: Run_,
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(without(names, *FULL[kind]))
    done = run_command("import", kind, str(path))
    assert done.exit_code == 0, done.output
    assert list(session.scalars(text(query))) == [True]
