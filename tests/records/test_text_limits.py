"""Every text that a form limits has the same limit in the database, whatever program writes it."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Column

from backoffice.app.domain import declared
from backoffice.app.late_checks import text_limits
from backoffice.base import Base
from backoffice.commands.upgrade import upgrade
from backoffice.database import checks
from backoffice.records import Text
from tests.addresses import records_called_x
from tests.factories.orders import OrderFactory


def limits(app: Flask) -> dict[str, dict[str, int]]:
    with app.app_context():
        return text_limits()


def columns(app: Flask) -> Iterator[tuple[Column[Any], int]]:
    for table, found in limits(app).items():
        for name, longest in found.items():
            yield Base.metadata.tables[table].c[name], longest


def test_every_field_that_limits_a_text_is_known(app: Flask) -> None:
    modules = [module for name, module in sys.modules.items() if name.startswith("backoffice.")]
    values = [value for module in modules for value in vars(module).values()]
    values += [one for value in values if isinstance(value, tuple) for one in value]
    fields = {found for found in values if isinstance(found, Text)}
    known = limits(app)
    assert len(fields) > 20
    for found in fields:
        [column] = found.column.property.columns
        if column.table.metadata is Base.metadata:
            assert known[column.table.name][column.name] >= found.longest, str(column)


def test_the_database_refuses_one_character_more(
    app: Flask, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    records_called_x()
    session.commit()
    tried = set()
    for column, longest in columns(app):
        table = column.table.name
        change = f'UPDATE {table} SET "{column.name}" = repeat(%s, %s)'
        with surgery.transaction(force_rollback=True):
            surgery.execute("SET LOCAL session_replication_role = replica")
            surgery.execute(f"DELETE FROM {table} WHERE ctid <> (SELECT min(ctid) FROM {table})")
            try:
                with surgery.transaction():
                    is_there = surgery.execute(change.encode(), ("9", longest)).rowcount
            except psycopg.errors.CheckViolation as error:  # a month, of which all have one length
                if error.diag.constraint_name == f"ck_{table}_text_lengths":
                    raise
                continue
            if is_there:
                tried.add(table)
                with pytest.raises(psycopg.errors.CheckViolation, match=f"ck_{table}_text_lengths"):
                    surgery.execute(change.encode(), ("9", longest + 1))
    assert len(tried) > 12


def test_every_limit_has_its_check(app: Flask, session: Any) -> None:
    declared_checks = list(checks.length_checks(Base.metadata, limits(app)))
    assert len(declared_checks) > 15
    assert checks.missing(session.connection(), declared_checks) == []


def test_a_row_that_is_longer_is_named_by_the_upgrade_and_stays(
    app: Flask, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    order = OrderFactory()
    session.commit()
    surgery.execute("ALTER TABLE orders DROP CONSTRAINT ck_orders_text_lengths")
    surgery.execute("UPDATE orders SET number = repeat('9', 5001)")
    try:
        said = " ".join(upgrade(app))
        assert f"orders (id {order.id})" in said
        assert "longer than forms allow" in said
        with pytest.raises(psycopg.errors.CheckViolation):
            surgery.execute("UPDATE orders SET number = repeat('8', 5001)")
    finally:
        surgery.execute("UPDATE orders SET number = 'SO-1'")
        assert upgrade(app) == []
    valid = "SELECT convalidated FROM pg_constraint WHERE conname = 'ck_orders_text_lengths'"
    assert surgery.execute(valid).fetchone() == (True,)


@pytest.mark.parametrize("digits", [40, 5001])
def test_a_new_order_after_a_number_of_many_digits_has_a_number(
    app: Flask,
    session: Any,
    surgery: psycopg.Connection[Any],
    sign_in: Callable[..., FlaskClient],
    digits: int,
) -> None:
    OrderFactory()
    session.commit()
    surgery.execute("ALTER TABLE orders DROP CONSTRAINT ck_orders_text_lengths")
    surgery.execute(f"UPDATE orders SET number = repeat('9', {digits})")
    try:
        client = sign_in("admin")
        assert client.get("/orders/new").status_code == 200
        record = declared().records["orders"]
        [number] = [field for field in record.fields if field.given is not None]
        assert number.given(session, {}) == "SO-0001"  # type: ignore[misc]
        session.rollback()
    finally:
        surgery.execute("UPDATE orders SET number = 'SO-1'")
        upgrade(app)
