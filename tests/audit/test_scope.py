"""Which tables are audited, and that the database's triggers match the declarations."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, MetaData, create_engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from backoffice import audit, figures
from backoffice.audit.scope import BOOKKEEPING, NOT_AUDITED, UNWATCHED, audited_tables
from backoffice.audit.triggers import audit_objects
from backoffice.base import Base
from backoffice.base.actor import acting_as
from backoffice.customers.models import Customer
from backoffice.figures.computing.registry import Registry, registry
from backoffice.figures.keeping import hooks
from backoffice.figures.keeping.drain import Drained
from backoffice.schedules.models import Scheduler


def tables_of(connection: psycopg.Connection[Any]) -> set[str]:
    """Every table in the database."""
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in rows}


def test_every_table_is_audited_or_listed_with_a_reason(
    owner_connection: psycopg.Connection[Any],
) -> None:
    audited = {a.table.name for a in audited_tables(Base.metadata, registry)}
    assert {"customers", "users", "orders", "order_lines"} <= audited
    assert not audited & set(NOT_AUDITED)
    in_database = tables_of(owner_connection)
    assert set(Base.metadata.tables) <= in_database
    assert in_database <= audited | set(NOT_AUDITED), "audit these tables, or say why not"
    assert all(len(reason) > 20 for reason in (*NOT_AUDITED.values(), *BOOKKEEPING.values()))


def test_every_audited_table_has_its_four_triggers(
    owner_connection: psycopg.Connection[Any],
) -> None:
    rows = owner_connection.execute(
        "SELECT tgrelid::regclass::text, array_agg(tgname::text) FROM pg_trigger"
        " WHERE tgname LIKE 'backoffice\\_audit\\_%' AND tgenabled = 'O' GROUP BY tgrelid"
    )
    found = {name: set(triggers) for name, triggers in rows}
    assert found == {
        a.table.name: {
            f"backoffice_audit_{a.table.name}_{event}"
            for event in ("insert", "update", "delete", "truncate")
        }
        for a in audited_tables(Base.metadata, registry)
    }


def test_the_functions_run_as_the_owner_with_a_pinned_search_path(
    owner_connection: psycopg.Connection[Any],
) -> None:
    rows = owner_connection.execute(
        "SELECT proname, prosecdef, proconfig, pg_get_userbyid(proowner)"
        " FROM pg_proc WHERE proname LIKE 'backoffice\\_audit\\_%'"
    ).fetchall()
    assert rows
    for name, is_definer, settings, owner in rows:
        assert is_definer, name
        assert "search_path=pg_catalog, pg_temp" in settings, name
        assert owner == "backoffice_owner", name


def owners(url: str) -> Any:
    """A transaction of the owner role that is rolled back."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)


def in_rolled_back_transaction(url: str, work: Any) -> None:
    """Run `work` with a connection of the owner role and roll back its changes."""
    engine = owners(url)
    with engine.connect() as connection:
        work(connection)
        connection.rollback()


def test_syncing_again_changes_nothing(owner_database_url: str) -> None:
    def work(connection: Connection) -> None:
        assert audit.sync(connection) == []
        assert audit.out_of_date(connection) == {}

    in_rolled_back_transaction(owner_database_url, work)


def test_a_trigger_that_differs_from_the_code_is_named_and_replaced(
    owner_database_url: str,
) -> None:
    def work(connection: Connection) -> None:
        connection.exec_driver_sql(
            "UPDATE schema_fingerprints SET fingerprint = 'old'"
            " WHERE name = 'backoffice_audit_orders_update'"
        )
        assert list(audit.out_of_date(connection)) == ["backoffice_audit_orders_update"]
        assert audit.sync(connection) == ["backoffice_audit_orders_update"]
        assert audit.out_of_date(connection) == {}

    in_rolled_back_transaction(owner_database_url, work)


def test_a_table_that_is_no_longer_ours_loses_its_triggers(owner_database_url: str) -> None:
    fewer = MetaData()
    for name, table in Base.metadata.tables.items():
        if name != "order_lines":
            table.to_metadata(fewer)

    def work(connection: Connection) -> None:
        assert set(audit.sync(connection, fewer)) >= {"backoffice_audit_order_lines_insert"}
        left = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_proc WHERE proname LIKE 'backoffice_audit_order_lines_%%'"
        ).scalar()
        assert left == 0

    in_rolled_back_transaction(owner_database_url, work)


def test_a_new_figure_changes_the_triggers_of_its_table() -> None:
    def insert_trigger(figures: Registry) -> str:
        objects = audit_objects(audited_tables(Base.metadata, figures))
        return next(o.create_sql for o in objects if o.name == "backoffice_audit_orders_insert")

    assert "grand_total" in insert_trigger(Registry())
    assert "grand_total" not in insert_trigger(registry)


def test_exactly_the_unwatched_tables_have_no_trigger_and_take_no_actor(session: Any) -> None:
    has_a_trigger = (
        "SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        # These name the user themselves, or only refuse.
        " AND tgname NOT IN ('backoffice_runs_requested', 'backoffice_runs_approved',"
        " 'backoffice_number_series_forward')"
    )
    takes_the_actor = (
        "SELECT adrelid::regclass::text FROM pg_attrdef"
        " WHERE pg_get_expr(adbin, adrelid) LIKE '%backoffice.actor%'"
    )
    watched = set(session.scalars(text(f"{has_a_trigger} UNION {takes_the_actor}")))
    assert set(Base.metadata.tables) - watched == UNWATCHED - {"alembic_version"}


def test_no_row_that_follows_another_is_updated_by_a_reference(session: Any) -> None:
    cascading = (
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confupdtype NOT IN ('a', 'r')"
    )
    assert session.scalars(text(cascading)).all() == []


def test_only_a_write_that_a_trigger_sees_is_drained_and_names_its_actor(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drained: list[str] = []
    monkeypatch.setattr(hooks, "drain", lambda *_, **__: drained.append(actor_now()) or Drained())

    def actor_now() -> str:
        return str(session.scalar(text("SELECT current_setting('backoffice.actor', true)")) or "")

    with acting_as("user:7"):
        session.execute(insert(Scheduler).values(name="one", looked_at=func.now()))
        session.commit()
        assert drained == []
        session.execute(insert(Scheduler).values(name="two", looked_at=func.now()))
        session.execute(insert(Customer).values(code="C-1", name="C"))
        session.commit()
    assert drained == ["user:7"]


def test_whether_a_trigger_has_seen_a_write_is_known_whatever_came_after(session: Any) -> None:
    def row(code: str) -> Customer:
        return Customer(code=code, name="C")

    def fail_within_a_savepoint() -> None:
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(Customer).values(code="C-1", name="twice"))

    assert not figures.has_written(session)
    session.execute(insert(Scheduler).values(name="one", looked_at=func.now()))
    session.scalars(select(Customer.balance)).all()
    assert not figures.has_written(session)
    session.add(row("C-1"))
    assert figures.has_written(session)
    session.scalars(select(Customer.balance)).all()  # this drains
    assert figures.has_written(session)
    fail_within_a_savepoint()
    session.scalars(select(Customer.balance)).all()
    assert figures.has_written(session)
    session.commit()
    assert not figures.has_written(session)
