"""What the tests of customers share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event

from backoffice.app.extensions import db


@pytest.fixture
def statements(app: Flask, session: Any) -> Callable[[], Any]:
    """`with statements() as found:` the statements that are sent meanwhile."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        found: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            found.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        yield found
        event.remove(db.engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def outside(owner_connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Another program: it sees committed rows only."""
    return owner_connection
