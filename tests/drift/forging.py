"""A book with a row in every audited table, and a forger who writes without triggers."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Integer,
    Numeric,
    Text,
    create_engine,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.pool import NullPool

from backoffice.app.extensions import db
from backoffice.audit.facts import Forgery, facts_by_table, last_event
from backoffice.audit.models import AuditEvent
from backoffice.customers.models import CustomerMerge
from backoffice.drift.facts.models import FactDecision
from backoffice.gas.models import AcceptedMonth
from backoffice.imports.models import Import
from backoffice.ledger.models import Period
from backoffice.people.models import ApiToken
from backoffice.targets.models import AccountManagerTarget
from backoffice.wallets.actions import recharge
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import moved
from tests.factories.orders import OrderFactory, OrderLineFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory
from tests.factories.wallets import WalletFactory


def a_row_of_every_table() -> dict[str, int]:
    """Table → the id of a row of it, every one entered through the triggers."""
    manager = AccountManagerFactory()
    place = MeterAssignmentFactory()
    customer, meter = place.customer, place.meter
    entered = InvoiceFactory(
        customer=customer, meter=meter, units=None, rate=None, amount=Decimal(70), fixed_charge=0
    )
    order = OrderFactory(customer=customer, account_manager=manager)
    session = db.session()
    others = [
        ApiToken(name="metrics", scope="metrics", token_hash="x" * 64),
        CustomerMerge(
            survivor_id=customer.id, duplicate_id=CustomerFactory().id, before={}, after={},
        ),
        Import(kind="customers", name="a.csv", files=[{"name": "a.csv"}], digest="d", user_id=manager.id),
        FactDecision(
            finding_id=1, table_name="meters", row_id=1, kind="changed", decision="accepted",
            stored={"number": "A"}, trail={"number": "B"}, reason="So it is.", decided_by="user:1",
        ),
        AccountManagerTarget(account_manager_id=manager.id, month=date(2026, 3, 1), target=5),
        AcceptedMonth(
            customer_id=customer.id, year_month="1990-01", opening_balance=0, total_deposits=1, total_purchases=0,
            closing_balance=1, total_volume_sm3=0, calculation_details={"readings": 0, "unpriced": 0, "deposits": 0},
        ),
        Period(month=date(1990, 1, 1), closed_at=datetime(1990, 2, 1, tzinfo=UTC), closed_by="user:1"),
    ]  # fmt: skip
    session.add_all(others)
    wallet = WalletFactory(customer=customer)
    recharged = recharge(session, wallet.id, Decimal(100), reference="R-1")
    product = ProductFactory(prices={"2026-01-01": "14.00"})
    entry = moved()
    [line, _other] = entry.lines
    made = [
        entry, line, line.account,
        manager, customer, meter, place, entered, order, *others, product, wallet, recharged,
        GasPriceFactory(customer=customer), ReadingFactory(customer=customer), DepositFactory(customer=customer),
        PaymentFactory(customer=customer, meter=meter, invoice=entered, amount=Decimal(40)),
        MeterAdjustmentFactory(customer=customer, meter=meter),
        OrderLineFactory(order=OrderFactory(customer=customer, account_manager=manager)),
    ]  # fmt: skip
    session.commit()
    ids = {row.__tablename__: int(row.id) for row in made}
    ids["book"] = 1
    ids["product_prices"] = session.execute(text("SELECT max(id) FROM product_prices")).scalar_one()
    session.rollback()
    return ids


OTHERWISE = {
    Numeric: ("coalesce({0}, 0) + 1", "coalesce({0}, 0) - 10000", "'NaN'"),
    Integer: ("coalesce({0}, 0) + 1000",),
    Boolean: ("NOT {0}",),
    Date: ("coalesce({0}, '2026-01-01') + 1", "'infinity'"),
    DateTime: ("coalesce({0}, now()) + interval '1 microsecond'", "'-infinity'"),
    ARRAY: ("{0} || ARRAY['forged']",),
    JSONB: ("jsonb_build_object('forged', true)", "jsonb_build_array(1.50, NULL)"),
    Text: ("coalesce({0}, '') || '~'", "' ' || coalesce({0}, '')"),
}
"""Type of a column → SQL for values other than the stored one."""


def other_values(column: Column[Any]) -> list[str]:
    """SQL for values that the column of an existing row does not hold."""
    if column.primary_key:
        return []
    texts = next(texts for kind, texts in OTHERWISE.items() if isinstance(column.type, kind))
    return [text.format(column.key) for text in texts] + ["NULL"] * bool(column.nullable)


def tell_of_the_book(owner_connection: psycopg.Connection[Any]) -> None:
    """Record the event of the book's one row, which the sweep between tests leaves while it empties the trail."""
    names = [column.key for column in facts_by_table()["book"].columns]
    owner_connection.execute("SELECT audit_accept('book', 1, %s, NULL)", (names,))


def everything_forged(
    connection: Connection, tables: Collection[str] | None = None
) -> list[Forgery]:
    """The findings of a verification of all facts, or of some tables, without those of the book itself: see above."""
    found, last = [], last_event(connection)
    reported = set(connection.scalars(select(AuditEvent.table_name).distinct()))
    for facts in facts_by_table().values():
        if facts.name == "book" or (tables is not None and facts.name not in tables):
            continue
        ids = set(facts.ids_between(connection, 0, 2**62))
        if facts.name in reported:
            ids |= set(facts.gone(connection, 0, last))
        found += facts.forged(connection, ids)
    return found


def forged_now(engine: Engine, tables: Collection[str] | None = None) -> list[Forgery]:
    """The same in a snapshot of its own, as verification takes one."""
    with engine.connect() as plain:
        snapshot = plain.execution_options(isolation_level="REPEATABLE READ")
        return everything_forged(snapshot, tables)


class Forger:
    """A superuser in a transaction of their own, without triggers and constraints."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def do(self, sql: str, **values: Any) -> Any:
        """Execute."""
        return self.connection.execute(text(sql), values)

    def forged(self, table: str, *ids: int) -> list[Forgery]:
        """The verification result for these rows."""
        return facts_by_table()[table].forged(self.connection, ids)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Changes within the block are rolled back."""
        point = self.connection.begin_nested()
        yield
        point.rollback()


def engine_of(url: str) -> Engine:
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)


@contextmanager
def a_forger(admin_database_url: str) -> Iterator[Forger]:
    """A forger; all its changes are rolled back at the end."""
    with engine_of(admin_database_url).connect() as connection:
        forger = Forger(connection)
        forger.do("SET LOCAL session_replication_role = replica")
        rows = forger.do(
            "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint c"
            " JOIN pg_class t ON t.oid = conrelid"
            " WHERE contype = 'c' AND t.relnamespace = 'public'::regnamespace"
        ).all()
        for table, name in rows:
            forger.do(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        yield forger
        connection.rollback()
