"""The audit trail: every change of every business row, by any writer, exactly once."""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEvent
from backoffice.base.actor import acting_as
from backoffice.customers.models import Customer
from backoffice.orders.models import Order, OrderLine
from backoffice.people.models import User
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory


def events(session: Session, table_name: str) -> list[AuditEvent]:
    """The trail of a table, oldest first."""
    session.rollback()
    wanted = select(AuditEvent).where(AuditEvent.table_name == table_name).order_by(AuditEvent.id)
    return list(session.scalars(wanted))


def last(session: Session, table_name: str) -> AuditEvent:
    """The latest event of a table."""
    return events(session, table_name)[-1]


# What is recorded


def test_an_insert_records_every_entered_column(session: Session) -> None:
    customer = CustomerFactory(code="ALFKI", name="Alfreds", phone="030")
    session.commit()
    (event,) = events(session, "customers")
    assert (event.action, event.row_id, event.before) == ("INSERT", str(customer.id), None)
    assert event.after is not None
    assert event.after.pop("created_at").endswith("+00:00")
    assert event.after == {
        "id": customer.id,
        "code": "ALFKI",
        "name": "Alfreds",
        "contact_name": "",
        "phone": "030",
        "city": "Jakarta",
        "country": "Indonesia",
        "merged_into_id": None,
        "use_realtime_calculation": True,
    }


def test_an_update_records_the_changed_columns_only(session: Session) -> None:
    customer = CustomerFactory(name="Old", city="Jakarta")
    session.commit()
    customer.name, customer.city = "New", "Jakarta"
    session.commit()
    event = last(session, "customers")
    assert event.action == "UPDATE"
    assert (event.before, event.after) == ({"name": "Old"}, {"name": "New"})


def test_an_update_to_null_and_back_is_recorded(session: Session) -> None:
    order = OrderFactory(closing_date=date(2026, 3, 31))
    session.commit()
    order.closing_date = None
    session.commit()
    event = last(session, "orders")
    assert (event.before, event.after) == ({"closing_date": "2026-03-31"}, {"closing_date": None})


def test_a_delete_records_the_row_that_was(session: Session) -> None:
    customer = CustomerFactory(code="GONE")
    session.commit()
    session.delete(customer)
    session.commit()
    event = last(session, "customers")
    assert (event.action, event.after) == ("DELETE", None)
    assert event.before is not None
    assert event.before["code"] == "GONE"


def test_an_update_that_changes_nothing_leaves_no_trace(session: Session) -> None:
    CustomerFactory()
    OrderFactory()
    session.commit()
    before = len(events(session, "customers")), len(events(session, "orders"))
    session.execute(text("UPDATE customers SET name = name"))
    session.execute(text("UPDATE orders SET version = version + 1, updated_at = now()"))
    session.commit()
    assert (len(events(session, "customers")), len(events(session, "orders"))) == before


def test_a_change_that_is_rolled_back_leaves_no_trace(session: Session) -> None:
    CustomerFactory()
    session.rollback()
    assert events(session, "customers") == []


def test_one_statement_over_many_rows_leaves_an_event_for_each(session: Session) -> None:
    CustomerFactory.create_batch(30)
    session.commit()
    session.execute(text("UPDATE customers SET city = 'Nairobi' WHERE id % 2 = 0"))
    session.commit()
    changed = [e for e in events(session, "customers") if e.action == "UPDATE"]
    assert len(changed) == 15
    assert len({event.xid for event in changed}) == 1


def test_amounts_stay_exact(session: Session) -> None:
    OrderFactory(
        total_price=Decimal("9999999999999.99"),
        additions=Decimal("0.10"),
        promo=Decimal("0.10"),
        reductions=0,
    )
    session.execute(text("UPDATE orders SET total_price = 0.3"))
    session.commit()
    inserted, updated = events(session, "orders")
    assert inserted.after is not None
    assert inserted.after["total_price"] == "9999999999999.99"
    assert inserted.after["additions"] == "0.10"
    assert updated.before == {"total_price": "9999999999999.99"}
    assert updated.after == {"total_price": "0.30"}


def test_a_changed_primary_key_is_one_row_gone_and_one_come(
    session: Session, owner_connection: psycopg.Connection[Any]
) -> None:
    number = CustomerFactory(code="A").id
    session.commit()
    owner_connection.execute("UPDATE customers SET id = 900 WHERE code = 'A'")
    gone, come = sorted(events(session, "customers")[1:], key=lambda event: event.action)
    assert (gone.action, gone.row_id, gone.after) == ("DELETE", str(number), None)
    assert (come.action, come.row_id, come.before) == ("INSERT", "900", None)
    assert come.after is not None
    assert come.after["code"] == "A"


def test_truncate_is_noted(session: Session, owner_connection: psycopg.Connection[Any]) -> None:
    OrderFactory(lines=[("package", "x", "1", "1")])
    session.commit()
    owner_connection.execute("TRUNCATE orders, order_lines")
    for table_name in ("orders", "order_lines"):
        event = last(session, table_name)
        assert (event.action, event.row_id) == ("TRUNCATE", None)
        assert (event.before, event.after) == (None, None)


# Figures and entered facts


def test_derived_amounts_are_left_out(session: Session) -> None:
    OrderFactory(lines=[("package", "Queso", "12", "14.00")])
    session.commit()
    (line,) = events(session, "order_lines")
    assert line.after is not None
    assert "amount" not in line.after
    assert line.after["quantity"] == "12.000"
    for event in events(session, "orders"):
        assert "grand_total" not in {**(event.before or {}), **(event.after or {})}


def test_an_entered_component_is_recorded_and_a_derived_one_is_not(session: Session) -> None:
    order = OrderFactory(lines=[("package", "Queso", "12", "14.00")])
    session.commit()
    order.promo = Decimal(7)
    order.lines[0].quantity = Decimal(13)
    session.commit()
    assert session.get_one(Order, order.id).total_price == 182
    event = last(session, "orders")
    assert (event.before, event.after) == ({"promo": "1000000.00"}, {"promo": "7.00"})


def test_an_amount_that_lines_replace_is_recorded_as_lost(session: Session) -> None:
    order = OrderFactory(promo=Decimal(500))
    session.commit()
    order.lines.append(
        OrderLine(kind="promo", quantity=Decimal(1), unit_price=Decimal(500), description="Was it")
    )
    session.commit()
    event = last(session, "orders")
    assert event.before == {"itemised": [], "promo": "500.00"}
    assert event.after == {"itemised": ["promo"]}


def test_an_amount_that_replaces_lines_is_recorded_as_entered(session: Session) -> None:
    order = OrderFactory(lines=[("promo", "Off", "1", "500")])
    session.commit()
    order.lines, order.itemised, order.promo = [], [], Decimal(500)
    session.commit()
    event = last(session, "orders")
    assert event.before == {"itemised": ["promo"]}
    assert event.after == {"itemised": [], "promo": "500.00"}


# Secrets


def test_of_a_password_only_that_it_changed_is_recorded(session: Session) -> None:
    user = UserFactory()
    session.commit()
    user.password_hash = "$argon2id$first"
    session.commit()
    user.password_hash = "$argon2id$second"
    session.commit()
    session.delete(user)
    session.commit()
    inserted, first, second, deleted = events(session, "users")
    assert inserted.after is not None
    assert "password_hash" not in inserted.after
    assert (first.before, first.after) == ({}, {"password_hash": "changed"})
    assert (second.before, second.after) == ({}, {"password_hash": "changed"})
    assert deleted.before is not None
    assert "password_hash" not in deleted.before


def test_a_user_who_is_created_with_a_password_says_so(session: Session) -> None:
    UserFactory(password_hash="$argon2id$x")
    session.commit()
    (event,) = events(session, "users")
    assert event.after is not None
    assert event.after["password_hash"] == "changed"


# Who


def test_the_actor_is_whom_the_app_names(session: Session) -> None:
    with acting_as("user:7"):
        CustomerFactory()
        session.commit()
    event = last(session, "customers")
    assert (event.actor, event.db_user) == ("user:7", "backoffice_app")


def test_an_actor_lasts_for_one_transaction(session: Session) -> None:
    with acting_as("user:7"):
        CustomerFactory()
        session.commit()
    CustomerFactory()
    session.commit()
    assert [e.actor for e in events(session, "customers")] == ["user:7", "backoffice_app"]


def test_an_outside_program_is_known_by_its_database_user(
    session: Session, owner_connection: psycopg.Connection[Any]
) -> None:
    CustomerFactory()
    session.commit()
    owner_connection.execute("UPDATE customers SET city = 'Mombasa'")
    event = last(session, "customers")
    assert (event.actor, event.db_user) == ("backoffice_owner", "backoffice_owner")


def test_who_only_claims_to_be_a_user_is_still_known_to_the_database(
    session: Session, app_connection: psycopg.Connection[Any]
) -> None:
    app_connection.execute("SELECT set_config('backoffice.actor', 'user:1', false)")
    app_connection.execute("INSERT INTO customers (code, name) VALUES ('A', 'A')")
    event = last(session, "customers")
    assert (event.actor, event.db_user) == ("user:1", "backoffice_app")


# Every way of writing


WAYS = {
    "INSERT": "INSERT INTO customers (code, name) VALUES ('X', 'x'), ('Y', 'y')",
    "UPDATE": "UPDATE customers SET name = 'z'",
    "DELETE": "DELETE FROM customers",
    "upsert": "INSERT INTO customers (code, name) VALUES ('A', 'z'), ('Y', 'y') "
    "ON CONFLICT (code) DO UPDATE SET name = excluded.name",
    "MERGE": "MERGE INTO customers c USING (VALUES ('A', 'z'), ('Y', 'y')) AS v(code, name) "
    "ON v.code = c.code WHEN MATCHED THEN UPDATE SET name = v.name "
    "WHEN NOT MATCHED THEN INSERT (code, name) VALUES (v.code, v.name)",
}

EXPECTED = {
    "INSERT": ["INSERT", "INSERT"],
    "UPDATE": ["UPDATE"],
    "DELETE": ["DELETE"],
    "upsert": ["INSERT", "UPDATE"],
    "MERGE": ["INSERT", "UPDATE"],
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_statement_from_outside_leaves_its_events(
    way: str, session: Session, app_connection: psycopg.Connection[Any]
) -> None:
    CustomerFactory(code="A", name="a")
    session.commit()
    app_connection.execute(WAYS[way])  # type: ignore[call-overload]
    assert sorted(e.action for e in events(session, "customers")[1:]) == EXPECTED[way]


def test_copy_leaves_its_events(session: Session, app_connection: psycopg.Connection[Any]) -> None:
    with app_connection.cursor().copy("COPY customers (code, name) FROM STDIN") as copy:
        for number in range(50):
            copy.write_row((f"C{number}", "Customer"))
    assert [e.action for e in events(session, "customers")] == ["INSERT"] * 50


def test_lines_that_go_with_their_order_leave_their_events(session: Session) -> None:
    order = OrderFactory(lines=[("package", "a", "1", "1"), ("promo", "b", "1", "1")])
    session.commit()
    session.execute(text("DELETE FROM orders WHERE id = :id"), {"id": order.id})
    session.commit()
    assert [e.action for e in events(session, "order_lines")][2:] == ["DELETE", "DELETE"]


def test_bulk_statements_of_the_orm_leave_their_events(session: Session) -> None:
    session.bulk_insert_mappings(Customer, [{"code": "A", "name": "a"}, {"code": "B", "name": "b"}])  # type: ignore[arg-type]
    session.query(Customer).update({"city": "Hanoi"})
    session.query(User).delete()
    session.commit()
    actions = [event.action for event in events(session, "customers")]
    assert actions == ["INSERT", "INSERT", "UPDATE", "UPDATE"]
