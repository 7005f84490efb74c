"""A book with a row of every figure, each derived, and ways to make each of them wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from flask import current_app
from sqlalchemy import Integer, Numeric, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.app.extensions import db
from backoffice.billing.figures import BILLING_FIGURES
from backoffice.figures import Figure
from backoffice.gas.figures import GAS_FIGURES
from backoffice.ledger.figures import LEDGER_FIGURES
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.targets.figures import TARGET_FIGURES
from backoffice.wallets.actions import recharge
from backoffice.wallets.figures import WALLET_FIGURES
from backoffice.web import record_links as subjects
from backoffice.web.record_links import Place
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory, of, posted
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.wallets import WalletFactory

ADDED = Decimal(7)
"""The amount that a tampering adds to a stored number."""


def write_everything() -> None:
    """Write a closed order, a meter with every kind of document, a wallet, gas and a journal entry; committed."""
    customer = CustomerFactory(code="ACME", name="Acme")
    OrderFactory(
        number="SO-1", customer=customer, account_manager=AccountManagerFactory(name="Nancy"),
        closing_date=date(2026, 3, 20),
        lines=[("package", "Tofu", "3", "10"), ("addition", "Case", "1", "5"),
               ("promo", "Spring", "1", "2"), ("reduction", "Broken", "1", "1")],
    )  # fmt: skip
    meter = MeterAssignmentFactory(customer=customer, meter__number="M-1").meter
    invoice = InvoiceFactory(number="INV-1", customer=customer, meter=meter)
    PaymentFactory(reference="PAY-1", customer=customer, meter=meter, invoice=invoice)
    MeterAdjustmentFactory(number="ADJ-1", customer=customer, meter=meter)
    wallet = WalletFactory(number="WAL-1", customer=customer)
    recharge(db.session(), wallet.id, Decimal(100))
    GasPriceFactory(customer=customer)
    ReadingFactory(customer=customer, read_on=date(2026, 1, 5))
    DepositFactory(customer=customer)
    posted(of(AccountFactory(code="1100"), 100), of(AccountFactory(code="3000"), -100))
    db.session.commit()


@dataclass(frozen=True)
class Stored:
    """One stored number: a column of a figure's only row."""

    figure: Figure
    column: str

    def __str__(self) -> str:
        return f"{self.figure.name}.{self.column}"

    def tamper(self, surgery: psycopg.Connection[Any]) -> None:
        """Add an amount to it, without triggers."""
        self._add(surgery, ADDED)

    def mend(self, surgery: psycopg.Connection[Any]) -> None:
        """Subtract it again, without triggers."""
        self._add(surgery, -ADDED)

    def _add(self, surgery: psycopg.Connection[Any], amount: Decimal) -> None:
        table = self.figure.table.name
        surgery.execute(f"UPDATE {table} SET {self.column} = {self.column} + {amount}".encode())

    def addresses(self) -> list[str]:
        """The addresses of the row's record and of the number's explanation."""
        figure = self.figure
        owner, *values = db.session.execute(
            select(figure.table.c[figure.owner.key], *figure.key).limit(1)
        ).one()
        key = {column.key: str(value) for column, value in zip(figure.key, values, strict=True)}
        called = subjects.name_in_sql(literal(figure.name), literal(owner), literal(key, JSONB))
        place = Place(owner, key, db.session.scalar(select(called)) or "")
        db.session.rollback()
        with current_app.test_request_context("/"):
            found = (
                subjects.record_url(figure.name, place),
                subjects.calculation_url(figure.name, place, self.column),
            )
        return [address for address in dict.fromkeys(found) if address]


FIGURES = (
    *ORDER_FIGURES, *TARGET_FIGURES, *BILLING_FIGURES, *WALLET_FIGURES, *GAS_FIGURES, *LEDGER_FIGURES,
)  # fmt: skip
"""Every figure that the product declares, without sealing the registry while tests are collected."""


def everything_stored() -> Iterator[Stored]:
    """Every numeric column of every figure that PostgreSQL allows to be written."""
    for figure in (figure for figure in FIGURES if not figure.generated):
        for column in figure.columns:
            if isinstance(column.type, Numeric | Integer):
                yield Stored(figure, column.key)
