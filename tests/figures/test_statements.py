"""The statements that the core compiles: their constants, their errors, and the pass that finds suspects."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, ForeignKey, Text, bindparam, create_engine, func, literal, select
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, Quantity, UnitPrice, rounded
from backoffice.figures import Registry, total
from backoffice.figures.computing import definitions
from backoffice.figures.computing.relations import ONE_OWNER, OWNERS
from backoffice.figures.computing.statements import Statement, lock, lock_rows
from backoffice.figures.verifying.verification import verify

from .conftest import sqlalchemy_url
from .models import Shelf, shelf_total
from .models import registry as world_registry

ZERO = Decimal(0)


class Base(DeclarativeBase):
    """Tables of these tests alone."""


class Depot(Base):
    """The values of consignments sent from here and received here."""

    __tablename__ = "t_depots"
    id: Mapped[Id]
    sent: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    received: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    net: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Consignment(Base):
    """Goods from one depot to another; its value belongs to the sender."""

    __tablename__ = "t_consignments"
    id: Mapped[Id]
    from_id: Mapped[int] = mapped_column(ForeignKey(Depot.id), index=True)
    to_id: Mapped[int] = mapped_column(ForeignKey(Depot.id), index=True)
    quantity: Mapped[Quantity]
    price: Mapped[UnitPrice]
    amount: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


registry = Registry("test_statements")
registry.figure(
    Consignment.amount,
    rounded(Consignment.quantity * Consignment.price),
    owner=Consignment.from_id,
    title="Value",
)
registry.figure(
    Depot.sent, func.coalesce(total(Consignment.amount, by=Consignment.from_id), 0), title="Sent"
)
registry.figure(
    Depot.received,
    func.coalesce(total(Consignment.amount, by=Consignment.to_id), 0),
    title="Received",
)
registry.figure(Depot.net, Depot.received - Depot.sent, title="Net")


@pytest.fixture
def depots(owner_database_url: str) -> Iterator[Engine]:
    """Two depots and a consignment of 3 × 5 from the first to the second; every figure is right."""
    engine = create_engine(sqlalchemy_url(owner_database_url))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO t_depots (id, sent, received, net) OVERRIDING SYSTEM VALUE "
            "VALUES (1, 15, 0, -15), (2, 0, 15, 15)"
        )
        connection.exec_driver_sql(
            "INSERT INTO t_consignments (from_id, to_id, quantity, price, amount) VALUES (1, 2, 3, 5, 15)"
        )
        definitions.sync(connection, registry)
    yield engine
    Base.metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "DELETE FROM schema_fingerprints WHERE \"group\" LIKE 'test_statements%%'"
        )
    engine.dispose()


def drifted(engine: Engine) -> list[tuple[str, int]]:
    """Figure and owner of all findings."""
    return sorted((f.figure.name, f.owner) for f in verify(engine, registry))


def test_right_figures_are_not_suspected(depots: Engine) -> None:
    assert drifted(depots) == []


def test_a_tampered_fact_is_found_above_both_foreign_keys(depots: Engine) -> None:
    # The value belongs to the sender, so the receiver's pass may not read it as stored.
    with depots.begin() as connection:
        connection.exec_driver_sql("UPDATE t_consignments SET quantity = 4")
    assert drifted(depots) == [
        ("t_consignments.amount", 1),
        ("t_depots.net", 1),
        ("t_depots.net", 2),
        ("t_depots.received", 2),
        ("t_depots.sent", 1),
    ]


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE t_consignments SET amount = 9", [("t_consignments.amount", 1)]),
        ("UPDATE t_depots SET sent = 9 WHERE id = 1", [("t_depots.sent", 1)]),
        ("UPDATE t_depots SET received = 9 WHERE id = 1", [("t_depots.received", 1)]),
        ("UPDATE t_depots SET net = 9 WHERE id = 2", [("t_depots.net", 2)]),
        (
            "UPDATE t_consignments SET amount = 9; UPDATE t_depots SET sent = 9, net = -9 WHERE id = 1",
            [("t_consignments.amount", 1), ("t_depots.net", 1), ("t_depots.sent", 1)],
        ),
    ],
)
def test_a_tampered_figure_is_found_even_where_what_builds_on_it_agrees(
    depots: Engine, tampering: str, found: list[tuple[str, int]]
) -> None:
    with depots.begin() as connection:
        connection.exec_driver_sql(tampering, execution_options={"no_parameters": True})
    assert drifted(depots) == found


@pytest.mark.parametrize("constant", ["50 %", "%s %(x)s", "it's", "back\\slash", "“”"])
def test_a_constant_of_a_declaration_arrives_as_it_was_written(
    figure_engine: Engine, constant: str
) -> None:
    with figure_engine.connect() as connection:
        statement = Statement(select(literal(constant)))
        assert statement.run(connection).scalar() == constant
        assert statement.rows(connection) == [(constant,)]


def test_a_lock_that_is_not_had_in_time_is_an_error_of_sqlalchemy(
    shelf: Shelf, figure_engine: Engine, owner_database_url: str
) -> None:
    bundle = world_registry.bundle_of(shelf_total)
    with psycopg.connect(owner_database_url) as other, figure_engine.begin() as connection:
        other.execute("SELECT FROM t_shelves FOR NO KEY UPDATE")
        connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        with pytest.raises(OperationalError) as refused:
            lock(bundle, ONE_OWNER).rows(connection, owner=1)
        assert getattr(refused.value.orig, "sqlstate", "") == "55P03"
        connection.rollback()


def test_one_owner_and_many_are_locked_alike(shelf: Shelf, figure_engine: Engine) -> None:
    bundle = world_registry.bundle_of(shelf_total)
    with figure_engine.begin() as connection:
        assert lock(bundle, ONE_OWNER).rows(connection, owner=1) == [(1,)]
        assert lock(bundle, ONE_OWNER).rows(connection, owner=99) == []
        assert lock(bundle, OWNERS).rows(connection, owners=[1, 99]) == [(1,)]


def test_owners_and_rows_are_locked_in_id_order(
    shelf: Shelf, figure_engine: Engine, owner_database_url: str
) -> None:
    """Also where PostgreSQL reads them in another order: who waits for the least id holds no later one."""
    bundle = world_registry.bundle_of(shelf_total)
    for locking, ids in ((lock(bundle, OWNERS), "owners"), (lock_rows(Shelf.__table__), "ids")):
        with (
            psycopg.connect(owner_database_url) as writer,
            psycopg.connect(owner_database_url, autocommit=True) as third,
            figure_engine.connect() as connection,
        ):
            third.execute("INSERT INTO t_shelves (id) OVERRIDING SYSTEM VALUE VALUES (901), (902)")
            third.execute("UPDATE t_shelves SET total = 0 WHERE id = 901")  # lies behind 902 now
            writer.execute("SELECT FROM t_shelves WHERE id = 901 FOR UPDATE")
            connection.exec_driver_sql("SET enable_indexscan = off")
            connection.exec_driver_sql("SET enable_bitmapscan = off")
            waits = threading.Thread(target=partial(locking.rows, connection, **{ids: [901, 902]}))
            waits.start()
            try:
                wait_for_a_waiter(third, writer.info.backend_pid)
                free = "SELECT id FROM t_shelves WHERE id > 900 FOR UPDATE SKIP LOCKED"
                assert third.execute(free).fetchall() == [(902,)]
            finally:
                writer.rollback()
                waits.join()
                connection.rollback()
                connection.invalidate()  # with its settings
                third.execute("DELETE FROM t_shelves WHERE id > 900")


def wait_for_a_waiter(connection: psycopg.Connection[Any], holder: int) -> None:
    """Return when another session waits for a lock of the session `holder`."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    while connection.execute(waiting, [holder]).fetchone() is None:
        pass


def test_an_error_names_the_statement_but_not_its_values(figure_engine: Engine) -> None:
    statement = Statement(select(func.no_such_function(bindparam("value", type_=Text))))
    with figure_engine.connect() as connection, pytest.raises(ProgrammingError) as refused:
        statement.rows(connection, value="secret")
    assert "no_such_function" in str(refused.value)
    assert "secret" not in str(refused.value)
