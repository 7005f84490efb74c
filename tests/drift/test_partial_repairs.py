"""Whatever is wrong, no correction elsewhere makes wrong what is right.

Every column that a figure keeps is tampered with without triggers; then come legitimate actions:
saves, voids, moves and deletions by another program, a correction of one figure of one owner.
What was right stays right, a correction writes what follows from the facts, and what is wrong stays found.
"""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    Numeric,
    func,
    select,
    text,
)

from backoffice.app.extensions import db
from backoffice.audit.facts import facts_by_table
from backoffice.billing.figures import RECALCULATED, invoice_amount, invoice_paid
from backoffice.drift.healing.performing import performed
from backoffice.drift.outside import watch
from backoffice.figures import Figure, registry
from backoffice.figures.models import Correction
from backoffice.gas.figures import GAS_FIGURES
from backoffice.ledger.figures import LEDGER_FIGURES
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.runs import actions
from backoffice.targets.figures import TARGET_FIGURES
from backoffice.wallets.actions import recharge
from backoffice.wallets.figures import WALLET_FIGURES
from tests.drift.books import run_of
from tests.drift.comparing import Row, Rows, compared, value_of, wrong
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory, draft, of, posted
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.wallets import WalletFactory
from tests.surgery import tell_of_everything
from tests.sweeping import Sweeper

pytestmark = pytest.mark.slow

DECLARED = (
    *ORDER_FIGURES, *TARGET_FIGURES, invoice_amount, invoice_paid, *RECALCULATED, *WALLET_FIGURES, *GAS_FIGURES,
    *LEDGER_FIGURES,
)  # fmt: skip
COLUMNS = [
    (figure, column)
    for figure in DECLARED
    for column in figure.columns
    if isinstance(column.type, Numeric | Integer) and not figure.generated
]
NO_LIMIT = actions.Limits(10**9, Decimal(10**15))

ORDERS = {
    "a line is changed": "UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = 1 AND position = 0",
    "a line is added": "INSERT INTO order_lines (order_id, kind, quantity, unit_price, position)"
    " VALUES (1, 'package', 2, 5, 7)",
    "a line is taken away": "DELETE FROM order_lines WHERE order_id = 1 AND position = 1",
    "a component is entered": "UPDATE orders SET promo = promo + 1 WHERE id = 1",
    "an order is closed in another month": "UPDATE orders SET closing_date = closing_date + 31 WHERE id = 1",
    "an order is opened again": "UPDATE orders SET closing_date = NULL WHERE id = 2",
    "an order changes hands": "UPDATE orders SET account_manager_id = 2 WHERE id = 1",
    "a line moves to another order": "UPDATE order_lines SET order_id = 2 WHERE order_id = 1 AND position = 0",
    "an order's lines and the order are deleted": "DELETE FROM order_lines WHERE order_id = 1;"
    "DELETE FROM orders WHERE id = 1",
    "an order is deleted with its lines": "DELETE FROM orders WHERE id = 1",
}
BILLING = {
    "an invoice is changed": "UPDATE invoices SET units = units + 1 WHERE id = 1",
    "another invoice of the meter is changed": "UPDATE invoices SET units = units + 1 WHERE id = 2",
    "an invoice is void": "UPDATE invoices SET status = 'void', void_reason = 'Twice' WHERE id = 1",
    "an invoice is changed and void": "UPDATE invoices SET units = units + 1 WHERE id = 1;"
    "UPDATE invoices SET status = 'void', void_reason = 'Twice' WHERE id = 1",
    "an invoice moves to another meter": "UPDATE invoices SET meter_id = 2 WHERE id = 1",
    "an invoice is itemised no more": "UPDATE invoices SET units = NULL, rate = NULL, amount = 77 WHERE id = 1",
    "a payment is recorded": "INSERT INTO payments (reference, customer_id, meter_id, invoice_id, paid_on, amount)"
    " VALUES ('NEW', 1, 1, 1, '2026-03-20', 10)",
    "a payment is void": "UPDATE payments SET status = 'void', void_reason = 'Twice' WHERE id = 1",
    "an adjustment is void": "UPDATE meter_adjustments SET status = 'void', void_reason = 'Twice' WHERE id = 1",
    "a meter is assigned": "INSERT INTO meter_assignments (meter_id, customer_id) VALUES (3, 1)",
    "an assignment ends": "UPDATE meter_assignments SET is_active = false, assigned_to = '2026-03-31' WHERE id = 1",
    "a meter changes hands": "UPDATE meter_assignments SET customer_id = 2 WHERE id = 1",
}
_MOVED = (
    "INSERT INTO wallet_transactions (wallet_id, transaction_type, amount, balance_before, balance_after) "
    "SELECT id, '{}', 10, balance, balance {} 10 FROM wallets WHERE id = {}"
)
"""A transaction as it is posted: with the balances read under the wallet's lock."""
WALLETS = {
    "something is recharged": _MOVED.format("recharge", "+", 1),
    "something is charged": _MOVED.format("charge", "-", 2),
    "a limit is changed": "UPDATE wallets SET low_limit = low_limit + 1 WHERE id = 1",
}
GAS = {
    "a reading is changed": "UPDATE readings SET metered_volume = metered_volume + 1 WHERE id = 1",
    "a reading moves to another month": "UPDATE readings SET read_on = read_on + 31 WHERE id = 1",
    "a reading is another customer's": "UPDATE readings SET customer_id = 2, read_on = read_on + 3 WHERE id = 1",
    "a reading is deleted": "DELETE FROM readings WHERE id = 1",
    "a factor is changed": "UPDATE gas_prices SET correction_factor = correction_factor + 0.5 WHERE id = 1",
    "a price is inserted": "INSERT INTO gas_prices (customer_id, effective_from, price_per_sm3, correction_factor) "
    "VALUES (1, '2026-01-06', 7, 1)",
    "a deposit is deleted": "DELETE FROM deposits WHERE id = 1",
    "a customer is switched off": "UPDATE customers SET use_realtime_calculation = false WHERE id = 1",
}
LEDGER = {
    "an entry is posted": "UPDATE journal_entries SET status = 'posted' WHERE id = 2",
    "an account is renamed": "UPDATE accounts SET name = name || '!' WHERE id = 1",
}
"""The actions of another program in each tower, with the ids of the book; each tested separately."""

BOOK = "two managers and two customers"


def _innocent(figure: Figure) -> dict[str, str]:
    if figure in WALLET_FIGURES:
        return WALLETS
    if figure in GAS_FIGURES:
        return GAS
    if figure in LEDGER_FIGURES:
        return LEDGER
    return ORDERS if figure in (*ORDER_FIGURES, *TARGET_FIGURES) else BILLING


@pytest.fixture
def book(kept_book: Any, session: Any) -> Iterator[None]:
    """Two managers' orders; two customers, each with a wallet and meters with documents of every kind."""
    kept_book(BOOK, lambda: _write(session))
    yield
    session.rollback()


def _write(session: Any) -> None:
    managers = [AccountManagerFactory(), AccountManagerFactory()]
    customers = [CustomerFactory(), CustomerFactory()]
    for number in range(3):
        OrderFactory(
            account_manager=managers[0], closing_date=date(2026, 3, 5 + number),
            lines=[("package", "Tofu", "3", "10"), ("package", "Queso", "1", "7"), ("addition", "Rice", "2", "4")],
        )  # fmt: skip
    for number in range(3):
        customer, meter = customers[number % 2], MeterFactory()
        if number < 2:
            MeterAssignmentFactory(meter=meter, customer=customer)
        invoices = [InvoiceFactory(meter=meter, customer=customer) for _ in range(2)]
        PaymentFactory(meter=meter, customer=customer, invoice_id=invoices[0].id)
        MeterAdjustmentFactory(meter=meter, customer=customer)
    for customer in customers:
        recharge(session, WalletFactory(customer=customer).id, Decimal(100))
        GasPriceFactory(customer=customer)
        DepositFactory(customer=customer)
        for day in (5, 6, 27):
            ReadingFactory(customer=customer, read_on=date(2026, 1, day))
    debited, credited = AccountFactory(), AccountFactory(type="equity")
    for write in (posted, draft):
        write(of(debited, 7), of(credited, -7))
    session.commit()
    _renumber(session)


def _renumber(session: Any) -> None:
    """Set the book's ids to those in the statements; the tables were empty."""
    for table in (
        "users",
        "customers",
        "orders",
        "invoices",
        "meters",
        "meter_assignments",
        "wallets",
        "accounts",
        "journal_entries",
    ):
        assert session.scalar(text(f"SELECT min(id) FROM {table}")) == 1, table


def _tamper(surgery: psycopg.Connection[Any], column: Column[Any]) -> None:
    """Add to the column in every row, so that the order does not matter.

    Where it holds an amount that is entered in some rows, as if a user had accepted it.
    """
    table, name = column.table.name, column.key
    surgery.execute(f"UPDATE {table} SET {name} = {name} + 7".encode())
    facts = facts_by_table().get(table)
    if facts is not None and name in {fact.key for fact in facts.columns}:
        tell_of_everything(surgery, {table})


def _assert_nothing_right_became_wrong(
    before: set[tuple[str, str, str]], rows: Rows, since: int, doing: str
) -> None:
    after = wrong(rows)
    assert after <= before, f"{doing} made wrong: {after - before}"
    for correction in db.session.scalars(select(Correction).where(Correction.id > since)):
        figure = registry.get(correction.figure)
        key = str([str(correction.key[column.key]) for column in figure.key])
        row = rows.get((figure.name, key), Row(None, None))
        written = correction.after and {
            name: value_of(figure.table.c[name], value) for name, value in correction.after.items()
        }
        assert written == row.expected, (doing, figure.name)
    db.session.rollback()


def _last_correction() -> int:
    last = db.session.scalar(select(func.coalesce(func.max(Correction.id), 0))) or 0
    db.session.rollback()
    return last


@pytest.fixture
def again(book: None, sweeper: Sweeper) -> Iterator[Callable[[], None]]:
    """Restores the book."""

    def put_back() -> None:
        db.session.rollback()
        sweeper.put_down(BOOK)

    yield put_back
    put_back()


def test_every_declared_figure_is_here() -> None:
    assert set(DECLARED) == set(registry.figures)


@pytest.mark.parametrize(
    ("figure", "column"), COLUMNS, ids=lambda part: str(getattr(part, "name", part))
)
def test_innocent_writes_of_another_program_are_followed_by_the_facts(
    figure: Figure,
    column: Column[Any],
    again: Callable[[], None],
    asked_database: Engine,
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    before: set[tuple[str, str, str]] | None = None
    for doing, statements in _innocent(figure).items():
        again()
        _tamper(surgery, column)
        before, since = before or wrong(compared(asked_database)), _last_correction()
        for statement in statements.split(";"):
            owner_connection.execute(statement.encode())
        assert watch.drain(db.engine).failures == []
        _assert_nothing_right_became_wrong(before, compared(asked_database), since, doing)


@pytest.mark.parametrize(
    ("figure", "column"), COLUMNS, ids=lambda part: str(getattr(part, "name", part))
)
def test_a_correction_of_one_figure_of_one_owner_makes_nothing_else_wrong(
    figure: Figure,
    column: Column[Any],
    again: Callable[[], None],
    asked_database: Engine,
    surgery: psycopg.Connection[Any],
) -> None:
    before: set[tuple[str, str, str]] | None = None
    for chosen in (f for f in DECLARED if _innocent(f) is _innocent(figure)):
        again()
        _tamper(surgery, column)
        before, since = before or wrong(compared(asked_database)), _last_correction()
        scope = {"figures": {chosen.name: [1]}}
        dry = run_of("figures.heal", scope, dry_run=True)
        if dry.changed:
            applied = actions.apply(db.session(), dry.id, reason="Counted again", limits=NO_LIMIT)
            db.session.commit()
            done = performed(db.engine, applied.id).run
            assert done.status == "done", chosen.name
        _assert_nothing_right_became_wrong(before, compared(asked_database), since, chosen.name)


A_PAYMENT = BILLING["a payment is recorded"].encode()
TAMPERED = (
    "meters SET invoiced = invoiced + 7",
    "meters SET balance = balance + 7",
    "customers SET balance = balance + 7",
    "invoices SET paid = paid + 7",
)
"""What is tampered with, without triggers, before another program writes."""


@pytest.mark.parametrize("tampered", TAMPERED)
def test_a_write_of_another_program_recomputes_what_was_tampered_with_before(
    tampered: str,
    again: Callable[[], None],
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    again()
    surgery.execute(f"UPDATE {tampered}".encode())
    since = _last_correction()
    owner_connection.execute(A_PAYMENT)
    assert watch.drain(db.engine).failures == []
    written = db.session.scalars(select(Correction).where(Correction.id > since)).all()
    authors = {(c.cause, c.db_user) for c in written}
    names = {c.figure for c in written}
    db.session.rollback()
    assert authors == {("bypass", "backoffice_owner")}
    assert names == {"meters.documents", "meters.balance", "customers.balance", "invoices.paid"}


def test_who_writes_is_named_for_what_follows_and_whoever_comes_later_for_theirs(
    again: Callable[[], None],
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
    app_connection: psycopg.Connection[Any],
) -> None:
    again()
    since = _last_correction()
    owner_connection.execute("UPDATE meters SET balance = balance + 100 WHERE id = 2")
    app_connection.execute("UPDATE invoices SET units = units + 1 WHERE id = 1")
    app_connection.commit()
    assert watch.drain(db.engine).failures == []
    written = db.session.scalars(select(Correction).where(Correction.id > since)).all()
    said = {(c.figure, c.owner, c.cause, c.db_user) for c in written}
    db.session.rollback()
    assert ("meters.balance", 2, "bypass", "backoffice_owner") in said
    assert ("meters.balance", 1, "bypass", "backoffice_app") in said
    assert {cause for *_, cause, _ in said} == {"bypass"}
