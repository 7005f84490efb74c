"""Files that create a row and another row that refers to it are dry-run and imported in the browser."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backoffice.billing.models import Meter, MeterAssignment
from backoffice.gas.models import GasPrice, Reading, TransactionCalculation
from backoffice.ledger.models import Account
from backoffice.products.models import Product, ProductPrice
from tests.factories.customers import CustomerFactory

from .desk import Desk

DATA = Path(__file__).parent.parent / "data" / "parents-with-children"


@pytest.fixture
def desk(session: Session, sign_in: Callable[..., Any]) -> Desk:
    """A user of the finance team, and the customer ZK1."""
    CustomerFactory(code="ZK1", name="Z K")
    session.commit()
    return Desk(sign_in("finance"))


def imported(desk: Desk, session: Session, kind: str, file: str, created: int) -> None:
    """Upload, dry-run and import the file, and assert what its page says."""
    import_id = desk.checked(kind, file)
    assert f"Created {created} Changed 0" in desk.page(import_id)
    desk.apply(import_id)
    page = desk.page(import_id)
    assert "What was imported" in page, page
    assert f"Created {created} Changed 0" in page
    session.rollback()
    assert session.scalar(text("SELECT state FROM imports ORDER BY id DESC LIMIT 1")) == "applied"


def test_a_new_meter_is_imported_with_its_assignment(desk: Desk, session: Session) -> None:
    imported(desk, session, "meters", (DATA / "meters.csv").read_text(), 1)
    rows = select(Meter.number, MeterAssignment.assigned_from).join(
        MeterAssignment, MeterAssignment.meter_id == Meter.id
    )
    assert [(number, str(day)) for number, day in session.execute(rows)] == [("FB-1", "2026-01-01")]


def test_a_new_reading_is_imported_with_its_price(desk: Desk, session: Session) -> None:
    imported(desk, session, "prices", (DATA / "prices.csv").read_text(), 1)
    imported(desk, session, "readings", (DATA / "readings.csv").read_text(), 1)
    assert session.scalars(select(GasPrice.price_per_sm3)).all() == [Decimal(100)]
    assert session.scalars(select(Reading.metered_volume)).all() == [Decimal(5)]
    assert session.scalars(select(TransactionCalculation.total_price)).all() == [Decimal(500)]


def test_a_new_product_is_imported_with_its_price(desk: Desk, session: Session) -> None:
    imported(
        desk, session, "products", "code,name,effective_from,unit_price\nD,Desk,2026-01-01,9\n", 1
    )
    rows = select(Product.code, ProductPrice.unit_price).join(
        ProductPrice, ProductPrice.product_id == Product.id
    )
    assert [tuple(row) for row in session.execute(rows)] == [("D", Decimal(9))]


def test_a_new_account_is_imported_below_another_new_one(desk: Desk, session: Session) -> None:
    file = "code,name,type,parent\n1,Assets,asset,\n11,Bank,asset,1\n"
    imported(desk, session, "accounts", file, 2)
    parents = dict(session.execute(select(Account.code, Account.parent_id)).all())
    top = session.scalar(select(Account.id).where(Account.code == "1"))
    assert (parents["1"], parents["11"]) == (None, top)
