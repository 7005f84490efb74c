"""The orders to which the tests of figures write."""

from typing import Any

import psycopg
import pytest

from .shop import Shop, open_shop


@pytest.fixture
def outside(owner_connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Another program: it sees committed rows only, and no session hook sees what it writes."""
    return owner_connection


@pytest.fixture
def shop(session: Any, outside: psycopg.Connection[Any]) -> Shop:
    """Two stored orders without drift."""
    return open_shop(session, outside)
