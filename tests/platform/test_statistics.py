"""Work over a whole book renews the planner's statistics first: it may have been imported a moment ago."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select, text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.database import statistics
from backoffice.runs import actions
from backoffice.runs.models import Run
from backoffice.runs.working import perform

pytestmark = pytest.mark.slow


def counted(session: Any, table: str) -> float:
    """The planner's estimate of the number of rows; zero or below: it has not been updated since there are any."""
    session.rollback()
    query = text("SELECT reltuples FROM pg_class WHERE oid = cast(:name AS regclass)")
    rows = session.scalar(query, {"name": table})
    assert rows is not None
    return float(rows)


@pytest.fixture(autouse=True)
def no_autovacuum(owner_connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Disable autovacuum, which would occasionally be quicker than a test."""
    owner_connection.execute("ALTER TABLE customers SET (autovacuum_enabled = off)")
    yield
    owner_connection.execute("ALTER TABLE customers RESET (autovacuum_enabled)")


@pytest.fixture
def book(session: Any) -> None:
    """Enough customers that missing statistics must be renewed."""
    rows = [{"code": f"C-{n}", "name": f"Customer {n} " + "x" * 80} for n in range(900)]
    session.execute(insert(Customer), rows)
    session.commit()


def test_what_is_new_to_the_planner_is_analyzed_once(session: Any, book: None) -> None:
    assert counted(session, "customers") <= 0
    assert ("customers", True) in statistics.stale(session.connection())
    session.rollback()
    statistics.refresh(db.engine)
    assert counted(session, "customers") == 900
    assert "customers" not in dict(statistics.stale(session.connection()))


def test_what_was_analyzed_while_it_was_empty_is_new_too(
    session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute("ANALYZE customers")
    rows = [{"code": f"C-{n}", "name": "x" * 90 + str(n)} for n in range(900)]
    session.execute(insert(Customer), rows)
    session.commit()
    assert ("customers", True) in statistics.stale(session.connection())


def test_a_small_table_is_left_alone(session: Any) -> None:
    session.add(Customer(code="C-1", name="One"))
    session.commit()
    statistics.refresh(db.engine)
    assert counted(session, "customers") <= 0


def test_a_verification_of_everything_asks_for_them(session: Any, book: None) -> None:
    assert not list(figures.verify(db.engine))
    assert counted(session, "customers") == 900


def test_a_run_asks_for_them(session: Any, book: None) -> None:
    run = actions.request(session, "figures.verify", {}, is_paced=False, is_here=True)
    run_id = run.id
    session.commit()
    perform(db.engine, run_id)
    assert session.scalar(select(Run.status).where(Run.id == run_id)) == "done"
    assert counted(session, "customers") == 900


@pytest.mark.parametrize(
    "lock", ["customers IN SHARE UPDATE EXCLUSIVE MODE", "import_layouts IN ACCESS EXCLUSIVE MODE"]
)
def test_what_another_user_holds_is_passed_over(
    session: Any, book: None, admin_database_url: str, lock: str
) -> None:
    """Locks as of a session that analyzes or builds an index, or that rebuilds a table that no figure reads."""
    with psycopg.connect(admin_database_url) as other:
        other.execute(f"LOCK TABLE {lock}".encode())
        statistics.refresh(db.engine)
        assert not list(figures.verify(db.engine))
        assert counted(session, "customers") <= 0
        other.rollback()
    statistics.refresh(db.engine)
    assert counted(session, "customers") == 900
