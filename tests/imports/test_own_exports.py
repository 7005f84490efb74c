"""What we export comes back: a file that was not edited changes nothing, an edited cell changes that cell."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.base.formula_guard import guarded, is_formula, unguarded
from backoffice.customers.models import Customer
from backoffice.imports.files.reading import CsvFile
from backoffice.imports.files.sources import StoredFile, compressed
from backoffice.imports.kinds import KINDS
from backoffice.lists import Column
from backoffice.lists.csv_files import FLAVOURS, cell_of
from tests.factories.customers import CustomerFactory

from .desk import Desk

DATA = Path(__file__).parents[1] / "data" / "imports"


@pytest.fixture
def desk(sign_in: Callable[..., Any]) -> Desk:
    return Desk(sign_in("finance"))


def changes(session: Session) -> int:
    """How many changes of the company's data are in the audit trail."""
    session.rollback()
    rows = select(func.count()).where(AuditEvent.table_name != "imports")
    return session.scalar(rows) or 0


# The guard against formulas

TEXTS = st.text("'=+-@\t\r\na1 ", max_size=6)


@given(TEXTS)
@example("+62 812 3456")
@example("'=SUM(A1:A9) Ltd")
@example("''")
@example("'tis")
def test_removing_the_guard_gives_every_text_back(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    assert (cell == text) is not is_formula(text)


def test_postgresql_guards_the_same_texts(session: Session) -> None:
    text = bindparam("text", type_=Text())
    statement = select(cell_of(Column("name", "Name", text), FLAVOURS["csv"]))

    @settings(deadline=None)
    @given(TEXTS)
    @example("'=SUM(A1:A9) Ltd")
    @example("''+1")
    @example("'tis")
    def is_same(text: str) -> None:
        assert db.session.scalar(statement, {"text": text}) == guarded(text)

    is_same()


def test_an_exported_customer_with_formulas_comes_back_unchanged(
    desk: Desk, session: Session
) -> None:
    CustomerFactory(
        code="FX1", name="=SUM(A1:A9) Ltd", phone="+62 812 3456", contact_name="", city=""
    )
    session.commit()
    before = changes(session)
    import_id = desk.checked("customers", (DATA / "customers-export.csv").read_bytes())
    assert "Unchanged already 1" in desk.page(import_id)
    assert desk.apply(import_id).status_code == 303
    assert changes(session) == before
    customer = session.scalars(select(Customer)).one()
    assert (customer.name, customer.phone) == ("=SUM(A1:A9) Ltd", "+62 812 3456")


# The footer

FOOTER = (
    "Total,,5.00", "Filter,everything", "Exported by,Ann", "Exported at,2026-11-25 10:00:00", "Rows,2",
    "Total: Balance,5.00", "Holds amounts that are known to be wrong,Balance",
)  # fmt: skip
JUMLAH = (
    "Total,,5.00", "Filter,semua", "Diekspor oleh,Ann", "Diekspor pada,2026-11-25 10:00:00", "Baris,2",
    "Total: Saldo,5.00",
)  # fmt: skip


def codes_of(*lines: str) -> list[str]:
    """The first cells of the rows that an import reads below a header."""
    content = compressed(io.BytesIO("\n".join(["code,name,balance", *lines]).encode()))
    file = CsvFile(StoredFile("f.csv", content), KINDS["customers"].columns)
    return [row.cells[0] for row in file.rows() if row.cells]


@pytest.mark.parametrize("footer", [FOOTER, JUMLAH, (*FOOTER, ""), [f"{line}," for line in FOOTER]])
def test_a_footer_is_no_record(footer: Sequence[str]) -> None:
    assert codes_of("A,a,1", "B,b,4", *footer) == ["A", "B"]
    assert codes_of(*footer) == []


def test_rows_below_a_footer_and_rows_called_like_one_are_records() -> None:
    assert codes_of("A,a,1", *FOOTER, "B,b,4") == ["A", "B"]
    assert codes_of("A,a,1", *FOOTER, "", "B,b,4", *FOOTER) == ["A", "B"]
    called = ["Total,t,1", "Filter,f,1", "Exported by,e,1", "Rows,r,1", "Total: Balance,x,1"]
    assert codes_of(*called) == [line.split(",")[0] for line in called]
    assert codes_of("Total,t,1", "A,a,4", *FOOTER[1:]) == ["Total", "A"]
