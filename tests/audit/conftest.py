"""A sealed trail, and a superuser connection that bypasses every trigger and privilege."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.audit.chain.anchors import anchors_in
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.verifying import Verification, verify
from tests.factories.customers import CustomerFactory


@pytest.fixture
def engine(session: Session) -> Engine:
    """The app's own engine."""
    return db.engine


@pytest.fixture
def keys(app: Flask) -> Keyring:
    """The deployment's keys."""
    return Keyring.of(app.config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a test's anchors."""
    return tmp_path / "anchors"


@pytest.fixture
def surgeon(admin_database_url: str, app: Flask) -> Iterator[psycopg.Connection[Any]]:
    """A superuser connection that fires no trigger."""
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


@pytest.fixture
def write(session: Session) -> Callable[..., None]:
    """`write(3)`: three transactions, each of which leaves one event."""

    def write(count: int = 1, size: int = 1) -> None:
        for _ in range(count):
            CustomerFactory.create_batch(size)
            session.commit()

    return write


@pytest.fixture
def verified(engine: Engine, keys: Keyring, folder: Path) -> Callable[[], Verification]:
    """Verifies the chain with the deployment's keys and the test's anchors."""
    return lambda: verify(engine, keys, anchors_in([folder], keys))
