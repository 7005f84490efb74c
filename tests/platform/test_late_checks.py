"""CHECKs that are younger than the rows are added while people work, each in transactions of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, event

from backoffice.app.late_checks import late_checks
from backoffice.commands.upgrade import upgrade
from tests.factories.orders import OrderFactory

pytestmark = pytest.mark.slow

Surgery = psycopg.Connection[Any]

LOCKED = """
SELECT array_agg(DISTINCT c.relname::text ORDER BY c.relname::text)
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND c.relkind = 'r'
  AND c.relnamespace = 'public'::regnamespace
"""

STATE = "SELECT convalidated FROM pg_constraint WHERE conname = 'ck_orders_text_lengths'"


@contextmanager
def before_each(step: str, do: Callable[[str], None]) -> Iterator[None]:
    """Call `do` with every statement that holds the text, before PostgreSQL gets it."""

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if step in statement:
            do(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", listen)


@pytest.fixture
def before_them(app: Flask, surgery: Surgery) -> Iterator[int]:
    """The database as before its late CHECKs; their number."""
    with app.app_context():
        checks = late_checks()
    for check in checks:
        surgery.execute(
            f"ALTER TABLE {check.table.name} DROP CONSTRAINT {check.full_name}".encode()
        )
    yield len(checks)
    upgrade(app)


def test_no_table_is_locked_for_longer_than_its_own_check_is_added(
    app: Flask, surgery: Surgery, before_them: int
) -> None:
    seen: dict[str, list[str]] = {}

    def look(statement: str) -> None:
        [locked] = surgery.execute(LOCKED).fetchone() or [None]
        seen[statement] = locked or []

    with before_each("ALTER TABLE", look):
        assert upgrade(app) == []
    validating = {step: locked for step, locked in seen.items() if "VALIDATE" in step}
    adding = {step: locked for step, locked in seen.items() if "ADD CONSTRAINT" in step}
    assert len(validating) == len(adding) == before_them > 30
    assert {step: locked for step, locked in validating.items() if locked} == {}
    for step, locked in adding.items():
        assert set(locked) <= {step.split()[2]}, step


class Killed(Exception):
    """Raised in place of the statement at which the upgrade is killed."""


def test_an_upgrade_that_is_killed_between_the_steps_goes_on_there(
    app: Flask, surgery: Surgery, before_them: int
) -> None:
    def kill(statement: str) -> None:
        if "ck_orders_text_lengths" in statement:
            raise Killed

    with before_each("VALIDATE", kill), pytest.raises(Killed):
        upgrade(app)
    assert surgery.execute(STATE).fetchone() == (False,)
    steps: list[str] = []
    with before_each("ck_orders_text_lengths", steps.append):
        assert upgrade(app) == []
    assert steps == ["ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_text_lengths"]
    assert surgery.execute(STATE).fetchone() == (True,)


def test_rows_that_offend_a_check_do_not_keep_the_others_from_being_added(
    app: Flask, session: Any, surgery: Surgery, before_them: int
) -> None:
    order = OrderFactory()
    session.commit()
    surgery.execute("UPDATE orders SET number = repeat('9', 5001), order_date = '2500-01-01'")
    try:
        said = " ".join(upgrade(app))
        assert said.count(f"orders (id {order.id})") == 2
        assert "date before 1900 or after 2199" in said
        assert "longer than forms allow" in said
        invalid = "SELECT conname::text FROM pg_constraint WHERE NOT convalidated ORDER BY 1"
        assert surgery.execute(invalid).fetchall() == [
            ("ck_orders_in_calendar",),
            ("ck_orders_text_lengths",),
        ]
    finally:
        surgery.execute("UPDATE orders SET number = 'SO-1', order_date = '2026-01-01'")
    assert upgrade(app) == []
