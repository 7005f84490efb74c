"""The shop in which the tests of figures write."""

from typing import Any

import psycopg
import pytest

from .shop import Shop, open_shop


@pytest.fixture
def outside(owner_connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Another program: it sees what is committed, and nothing watches what it writes."""
    return owner_connection


@pytest.fixture
def shop(session: Any, outside: psycopg.Connection[Any]) -> Shop:
    """Two orders, stored and right."""
    return open_shop(session, outside)
