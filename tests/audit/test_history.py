"""One record's history, and the state of every row rebuilt from the trail alone."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEvent
from backoffice.audit.queries import history
from backoffice.orders.models import Order, OrderLine
from tests.depth import examples
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory, OrderLineFactory


def test_a_records_history_is_its_own_newest_first(session: Session) -> None:
    customer, other = CustomerFactory(name="a"), CustomerFactory()
    session.commit()
    for name in ("b", "c"):
        customer.name = name
        other.name = name
        session.commit()
    trail = history(session, "customers", customer.id)
    assert [event.action for event in trail] == ["UPDATE", "UPDATE", "INSERT"]
    assert [event.after and event.after["name"] for event in trail] == ["c", "b", "a"]
    assert {event.row_id for event in trail} == {str(customer.id)}
    assert len(history(session, "customers", customer.id, limit=2)) == 2


def test_an_orders_history_has_its_lines_those_too_that_are_gone(session: Session) -> None:
    order = OrderFactory(lines=[("package", "stays", "1", "1"), ("package", "goes", "1", "1")])
    other = OrderFactory(lines=[("package", "elsewhere", "1", "1")])
    session.commit()
    order.lines.pop()
    session.commit()
    session.execute(
        text("UPDATE order_lines SET order_id = :other WHERE description = 'stays'"),
        {"other": other.id},
    )
    session.commit()
    trail = history(session, "orders", order.id, parts=[OrderLine.order_id])
    lines = [
        (event.action, (event.after or event.before or {}).get("description"))
        for event in trail
        if event.table_name == "order_lines"
    ]
    assert sorted(lines, key=str) == sorted(
        [("INSERT", "stays"), ("INSERT", "goes"), ("DELETE", "goes"), ("UPDATE", None)], key=str
    )


def test_the_lines_that_an_order_lost_are_found_by_an_index(session: Session) -> None:
    OrderLineFactory.create_batch(30)
    for number in range(10):
        session.execute(update(OrderLine).values(description=f"Crate {number}"))
    session.execute(select(func.public.renew_statistics("audit_events")))
    session.execute(text("SET LOCAL enable_seqscan = off"))
    wanted = select(AuditEvent.row_id).where(
        AuditEvent.table_name == "order_lines", AuditEvent.before["order_id"].astext == "7"
    )
    literal = wanted.compile(session.connection(), compile_kwargs={"literal_binds": True})
    plan = "\n".join(session.scalars(text(f"EXPLAIN {literal}")))
    assert "ix_audit_events_order_lines_order_id" in plan


class TrailMachine(RuleBasedStateMachine):
    """Random edits of orders and lines; replaying the trail gives the current facts."""

    session: Session

    @initialize()
    def begin(self) -> None:
        """Create three orders."""
        self.orders = [OrderFactory().id for _ in range(3)]
        self.session.commit()

    @rule(which=st.integers(0, 2), amount=st.integers(0, 10**6), days=st.integers(0, 9))
    def edit(self, which: int, amount: int, days: int) -> None:
        """Change entered amounts and a date."""
        order = self.session.get_one(Order, self.orders[which])
        order.additions = Decimal(amount)
        order.closing_date = order.order_date + timedelta(days=days)
        self.session.commit()

    @rule(
        which=st.integers(0, 2),
        kind=st.sampled_from(["package", "addition"]),
        cents=st.integers(0, 10**6),
    )
    def add_line(self, which: int, kind: str, cents: int) -> None:
        """Itemise a kind."""
        order = self.session.get_one(Order, self.orders[which])
        order.lines.append(
            OrderLine(kind=kind, quantity=Decimal(1), unit_price=Decimal(cents).scaleb(-2))
        )
        self.session.commit()

    @rule(which=st.integers(0, 2))
    def unitemise(self, which: int) -> None:
        """Replace an order's lines by an amount."""
        order = self.session.get_one(Order, self.orders[which])
        order.lines, order.itemised, order.total_price = [], [], Decimal(5)
        self.session.commit()

    @rule(old=st.integers(0, 2), new=st.integers(0, 2))
    def move(self, old: int, new: int) -> None:
        """Give one order's lines to another."""
        self.session.execute(
            text("UPDATE order_lines SET order_id = :to WHERE order_id = :from"),
            {"from": self.orders[old], "to": self.orders[new]},
        )
        self.session.commit()
        self.session.expire_all()

    @rule(which=st.integers(0, 2), amount=st.integers(0, 99))
    def roll_back(self, which: int, amount: int) -> None:
        """Change something and roll it back."""
        self.session.get_one(Order, self.orders[which]).promo = Decimal(amount)
        self.session.flush()
        self.session.rollback()

    def teardown(self) -> None:
        """Compare the replayed trail with the stored rows."""
        if not hasattr(self, "orders"):
            return
        for table_name in ("orders", "order_lines"):
            assert replayed(self.session, table_name) == stored(self.session, table_name)


def replayed(session: Session, table_name: str) -> dict[str, dict[str, Any]]:
    """Every row's recorded columns, from the trail alone."""
    rows: dict[str, dict[str, Any]] = {}
    trail = select(AuditEvent).where(AuditEvent.table_name == table_name).order_by(AuditEvent.id)
    for event in session.scalars(trail):
        assert event.row_id is not None
        row = rows.setdefault(event.row_id, {})
        for name, value in (event.before or {}).items():
            assert row.pop(name) == value, "the trail contradicts itself"
        row.update(event.after or {})
        if event.action == "DELETE":
            assert rows.pop(event.row_id) == {}
    return rows


def stored(session: Session, table_name: str) -> dict[str, dict[str, Any]]:
    """Every row as the trail would record it now: read from a deletion that is rolled back."""
    session.rollback()
    highest = session.scalar(select(AuditEvent.id).order_by(AuditEvent.id.desc()).limit(1)) or 0
    session.execute(text(f"DELETE FROM {table_name}"))
    deleted = select(AuditEvent).where(AuditEvent.id > highest, AuditEvent.table_name == table_name)
    rows = {event.row_id: event.before for event in session.scalars(deleted)}
    session.rollback()
    return rows  # type: ignore[return-value]


def test_the_trail_replayed_gives_what_is_stored(session: Session) -> None:
    TrailMachine.session = session
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        TrailMachine,
        settings=settings(
            max_examples=examples(15),
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
