"""Every way in which the app's session, or another program, can write an order's facts and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, insert, literal, select, text, update

from backoffice.orders.models import Order, OrderLine

from .shop import LINES, ORDERS, Shop

Values = dict[str, Any]


# The changes


@dataclass(frozen=True)
class Change:
    """One column of one row set to a value, and its effect in the model."""

    model: type[Any]
    row: Callable[[Shop], int]
    column: str
    value: Callable[[Shop], Any]
    meaning: Callable[[Shop], None]


def _of_line(line: str, column: str, value: Any) -> Change:
    return Change(
        OrderLine,
        lambda shop: getattr(shop, line),
        column,
        lambda _: value,
        lambda shop: shop.book.change(getattr(shop, line), **{column: value}),
    )


def _nothing(_: Shop) -> None:
    """The effect in the model of a write into a figure: none."""


def _itemise_promo(shop: Shop) -> None:
    shop.book.orders[shop.entered].itemised.add("promo")


def _enter_reductions(shop: Shop) -> None:
    shop.book.orders[shop.entered].entered["reductions"] = Decimal("123.45")


CHANGES: dict[str, Change] = {
    "a quantity": _of_line("first_line", "quantity", Decimal("7.125")),
    "a unit price that ends in a tie": _of_line("second_line", "unit_price", Decimal("0.9805")),
    "the kind of a line": _of_line("discount", "kind", "reduction"),
    "the order of a line": Change(
        OrderLine,
        lambda shop: shop.first_line,
        "order_id",
        lambda shop: shop.entered,
        lambda shop: shop.book.change(shop.first_line, order_id=shop.entered),
    ),
    "which kinds are itemised": Change(
        Order,
        lambda shop: shop.entered,
        "itemised",
        lambda _: ["addition", "promo"],
        _itemise_promo,
    ),
    "an entered component": Change(
        Order,
        lambda shop: shop.entered,
        "reductions",
        lambda _: Decimal("123.45"),
        _enter_reductions,
    ),
    "the stored amount of a line": Change(
        OrderLine, lambda shop: shop.second_line, "amount", lambda _: Decimal(1), _nothing
    ),
    "the stored sum of an itemised component": Change(
        Order, lambda shop: shop.itemised, "total_price", lambda _: Decimal(1), _nothing
    ),
    "the stored grand total": Change(
        Order, lambda shop: shop.entered, "grand_total", lambda _: Decimal(1), _nothing
    ),
}

# Changing a column


def unit_of_work(session: Any, model: type[Any], key: int, values: Values) -> None:
    """Set attributes of an instance."""
    instance = session.get(model, key)
    for name, value in values.items():
        setattr(instance, name, value)


def orm_bulk_update(session: Any, model: type[Any], key: int, values: Values) -> None:
    """`session.execute(update(Model))`."""
    session.execute(update(model).where(model.id == key).values(**values))


def orm_bulk_update_by_key(session: Any, model: type[Any], key: int, values: Values) -> None:
    """`session.execute(update(Model), [rows])`."""
    session.execute(update(model), [{"id": key, **values}])


def query_update(session: Any, model: type[Any], key: int, values: Values) -> None:
    """`session.query(Model).update(…)`."""
    session.query(model).filter_by(id=key).update(values)


def bulk_save_objects(session: Any, model: type[Any], key: int, values: Values) -> None:
    """Legacy bulk save of a changed instance."""
    instance = session.get(model, key)
    assert instance.id == key  # an expired key would not be saved
    session.expunge(instance)
    for name, value in values.items():
        setattr(instance, name, value)
    session.bulk_save_objects([instance])


def bulk_update_mappings(session: Any, model: type[Any], key: int, values: Values) -> None:
    """Legacy bulk update of plain dicts."""
    session.bulk_update_mappings(model, [{"id": key, **values}])


def core(session: Any, model: type[Any], key: int, values: Values) -> None:
    """A Core statement on the table."""
    table = model.__table__
    session.execute(table.update().where(table.c.id == key).values(**values))


def session_connection(session: Any, model: type[Any], key: int, values: Values) -> None:
    """A Core statement on the session's connection."""
    table = model.__table__
    session.connection().execute(table.update().where(table.c.id == key).values(**values))


def text_after_a_flush(session: Any, model: type[Any], key: int, values: Values) -> None:
    """SQL in a string, after the unit of work has written something else."""
    session.scalars(select(Order).limit(1)).one().version += 1
    session.flush()
    session.execute(text(update_statement(model, values, ":{}")), {**values, "key": key})


def text_with_a_leading_statement(session: Any, model: type[Any], key: int, values: Values) -> None:
    """Several statements in one string, the first of them read-only."""
    table = model.__table__
    quoted = {
        name: session.scalar(select(func.quote_nullable(literal(value, table.c[name].type))))
        for name, value in values.items()
    }
    changes = ", ".join(f"{name} = {value}" for name, value in quoted.items())
    session.execute(text(f"SELECT 1; UPDATE {table.name} SET {changes} WHERE id = {key}"))


def driver_sql(session: Any, model: type[Any], key: int, values: Values) -> None:
    """`exec_driver_sql` on the session's connection."""
    session.connection().exec_driver_sql(
        update_statement(model, values, "%({})s"), {**values, "key": key}
    )


def driver_cursor(session: Any, model: type[Any], key: int, values: Values) -> None:
    """A psycopg cursor of the session's connection."""
    driver = session.connection().connection.driver_connection
    driver.cursor().execute(update_statement(model, values, "%({})s"), {**values, "key": key})


def driver_execute(session: Any, model: type[Any], key: int, values: Values) -> None:
    """The psycopg connection's own `execute`, which makes a cursor by itself."""
    driver = session.connection().connection.driver_connection
    driver.execute(update_statement(model, values, "%({})s"), {**values, "key": key})


def merge_statement(session: Any, model: type[Any], key: int, values: Values) -> None:
    """MERGE."""
    session.execute(text(merge_of(model, values, ":{}")), {**values, "key": key})


def writing_cte(session: Any, model: type[Any], key: int, values: Values) -> None:
    """A WITH that updates, inside a SELECT."""
    changed = (
        update(model.__table__)
        .where(model.__table__.c.id == key)
        .values(**values)
        .returning(model.__table__.c.id)
        .cte()
    )
    assert session.scalar(select(func.count()).select_from(changed)) == 1


def upsert_statement(session: Any, model: type[Any], key: int, values: Values) -> None:
    """INSERT … ON CONFLICT DO UPDATE."""
    table = model.__table__
    kept = [c for c in table.c if c.name not in (*values, "id")]
    names = ", ".join(["id", *values, *(c.name for c in kept)])
    given = ", ".join([*(f":{n}" for n in values), *(c.name for c in kept)])
    changes = ", ".join(f"{n} = excluded.{n}" for n in values)
    session.execute(
        text(
            f"INSERT INTO {table.name} ({names}) OVERRIDING SYSTEM VALUE "
            f"SELECT id, {given} FROM {table.name} WHERE id = :key "
            f"ON CONFLICT (id) DO UPDATE SET {changes}"
        ),
        {**values, "key": key},
    )


def update_statement(model: type[Any], values: Values, form: str) -> str:
    changes = ", ".join(f"{n} = {form.format(n)}" for n in values)
    return f"UPDATE {model.__table__.name} SET {changes} WHERE id = {form.format('key')}"


def merge_of(model: type[Any], values: Values, form: str) -> str:
    changes = ", ".join(f"{n} = {form.format(n)}" for n in values)
    return (
        f"MERGE INTO {model.__table__.name} AS t USING (SELECT CAST({form.format('key')} AS bigint) AS id) "
        f"AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET {changes}"
    )


WAYS_TO_CHANGE = (
    unit_of_work,
    orm_bulk_update,
    orm_bulk_update_by_key,
    query_update,
    bulk_save_objects,
    bulk_update_mappings,
    core,
    session_connection,
    text_after_a_flush,
    text_with_a_leading_statement,
    driver_sql,
    driver_cursor,
    driver_execute,
    merge_statement,
    writing_cte,
    upsert_statement,
)


# Adding rows

NEW: Values = {
    "kind": "reduction",
    "description": "Returned bottles",
    "quantity": Decimal("2.5"),
    "unit_price": Decimal("0.33"),
}


def added_by_unit_of_work(session: Any, order_id: int) -> None:
    order = session.get(Order, order_id)
    order.lines.append(OrderLine(**NEW))
    session.flush()


def added_by_orm_bulk_insert(session: Any, order_id: int) -> None:
    session.execute(insert(OrderLine), [{"order_id": order_id, **NEW}])


def added_by_bulk_save_objects(session: Any, order_id: int) -> None:
    session.bulk_save_objects([OrderLine(order_id=order_id, **NEW)])


def added_by_bulk_insert_mappings(session: Any, order_id: int) -> None:
    session.bulk_insert_mappings(OrderLine, [{"order_id": order_id, **NEW}])


def added_by_core(session: Any, order_id: int) -> None:
    session.execute(LINES.insert().values(order_id=order_id, **NEW))


def added_by_core_from_a_select(session: Any, order_id: int) -> None:
    chosen = select(ORDERS.c.id, *(literal(v, LINES.c[n].type) for n, v in NEW.items()))
    session.execute(
        LINES.insert().from_select(["order_id", *NEW], chosen.where(ORDERS.c.id == order_id))
    )


def added_by_session_connection(session: Any, order_id: int) -> None:
    session.connection().execute(LINES.insert(), [{"order_id": order_id, **NEW}])


def added_by_text(session: Any, order_id: int) -> None:
    session.execute(text(_insert(":{}")), {"order_id": order_id, **NEW})


def added_by_executemany(session: Any, order_id: int) -> None:
    driver = session.connection().connection.driver_connection
    driver.cursor().executemany(_insert("%({})s"), [{"order_id": order_id, **NEW}])


def added_by_copy(session: Any, order_id: int) -> None:
    driver = session.connection().connection.driver_connection
    with driver.cursor().copy(f"COPY order_lines (order_id, {', '.join(NEW)}) FROM STDIN") as copy:
        copy.write_row((order_id, *NEW.values()))


def added_by_merge(session: Any, order_id: int) -> None:
    names = ", ".join(NEW)
    values = ", ".join(f":{n}" for n in NEW)
    session.execute(
        text(
            f"MERGE INTO order_lines AS t USING (SELECT CAST(:order_id AS bigint) AS id) AS s "
            f"ON t.id = -1 WHEN NOT MATCHED THEN INSERT (order_id, {names}) VALUES (s.id, {values})"
        ),
        {"order_id": order_id, **NEW},
    )


def _insert(form: str) -> str:
    names = ("order_id", *NEW)
    values = ", ".join(form.format(n) for n in names)
    return f"INSERT INTO order_lines ({', '.join(names)}) VALUES ({values})"


WAYS_TO_ADD = (
    added_by_unit_of_work,
    added_by_orm_bulk_insert,
    added_by_bulk_save_objects,
    added_by_bulk_insert_mappings,
    added_by_core,
    added_by_core_from_a_select,
    added_by_session_connection,
    added_by_text,
    added_by_executemany,
    added_by_copy,
    added_by_merge,
)


# Removing rows


def removed_by_unit_of_work(session: Any, line_id: int) -> None:
    session.delete(session.get(OrderLine, line_id))


def removed_from_the_collection(session: Any, line_id: int) -> None:
    line = session.get(OrderLine, line_id)
    line.order.lines.remove(line)


def removed_by_orm_bulk_delete(session: Any, line_id: int) -> None:
    session.execute(delete(OrderLine).where(OrderLine.id == line_id))


def removed_by_query_delete(session: Any, line_id: int) -> None:
    session.query(OrderLine).filter_by(id=line_id).delete()


def removed_by_core(session: Any, line_id: int) -> None:
    session.execute(LINES.delete().where(LINES.c.id == line_id))


def removed_by_session_connection(session: Any, line_id: int) -> None:
    session.connection().execute(LINES.delete().where(LINES.c.id == line_id))


def removed_by_text(session: Any, line_id: int) -> None:
    session.execute(text("DELETE FROM order_lines WHERE id = :id"), {"id": line_id})


def removed_by_driver_cursor(session: Any, line_id: int) -> None:
    driver = session.connection().connection.driver_connection
    driver.cursor().execute("DELETE FROM order_lines WHERE id = %s", (line_id,))


def removed_by_merge(session: Any, line_id: int) -> None:
    merge = (
        "MERGE INTO order_lines AS t USING (SELECT CAST(:id AS bigint) AS id) AS s "
        "ON t.id = s.id WHEN MATCHED THEN DELETE"
    )
    session.execute(text(merge), {"id": line_id})


WAYS_TO_REMOVE = (
    removed_by_unit_of_work,
    removed_from_the_collection,
    removed_by_orm_bulk_delete,
    removed_by_query_delete,
    removed_by_core,
    removed_by_session_connection,
    removed_by_text,
    removed_by_driver_cursor,
    removed_by_merge,
)
