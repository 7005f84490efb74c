"""A manager's month follows the orders closed in it, whichever program writes them, in whatever way."""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, select, update

from backoffice import figures
from backoffice.audit.models import AuditEvent
from backoffice.orders.models import Order
from backoffice.targets.figures import achieved
from backoffice.targets.models import AccountManagerTarget
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory
from tests.surgery import tell_of_everything

D = Decimal
JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


def months_of(session: Any) -> dict[tuple[int, date], tuple[Decimal, int]]:
    """Achieved and the number of orders, by manager and month."""
    session.expire_all()
    rows = session.scalars(select(AccountManagerTarget)).all()
    return {(r.account_manager_id, r.month): (r.achieved, r.orders_closed) for r in rows}


def closed(manager: Any, day: date | None, total: int) -> Order:
    """An order of that grand total, closed on that day."""
    amounts = {"total_price": D(total), "additions": D(0), "promo": D(0), "reductions": D(0)}
    return OrderFactory(
        account_manager=manager, order_date=date(2025, 12, 1), closing_date=day, **amounts
    )


def test_an_open_order_counts_nowhere_and_a_closed_one_in_its_month(session: Any) -> None:
    nancy = UserFactory(role="account_manager")
    order = closed(nancy, None, 100)
    session.commit()
    assert months_of(session) == {}
    order.closing_date = date(2026, 1, 31)
    session.commit()
    assert months_of(session) == {(nancy.id, JANUARY): (D(100), 1)}


def test_moving_an_order_between_months_and_managers_keeps_both_right(session: Any) -> None:
    nancy, andrew = UserFactory(), UserFactory()
    order, other = closed(nancy, date(2026, 1, 5), 100), closed(nancy, date(2026, 1, 6), 30)
    session.commit()
    order.closing_date = FEBRUARY
    session.commit()
    assert months_of(session) == {
        (nancy.id, JANUARY): (D(30), 1),
        (nancy.id, FEBRUARY): (D(100), 1),
    }
    session.execute(update(Order).where(Order.id == order.id).values(account_manager_id=andrew.id))
    session.commit()
    assert months_of(session) == {
        (nancy.id, JANUARY): (D(30), 1),
        (andrew.id, FEBRUARY): (D(100), 1),
    }
    session.execute(delete(Order).where(Order.id == other.id))
    session.commit()
    assert months_of(session) == {(andrew.id, FEBRUARY): (D(100), 1)}


def test_a_change_of_a_component_reaches_the_month_in_the_same_transaction(session: Any) -> None:
    nancy = UserFactory()
    order = closed(nancy, date(2026, 1, 5), 100)
    session.commit()
    order.promo = D(40)
    assert session.scalar(select(AccountManagerTarget.achieved)) == D(60)
    session.rollback()
    assert months_of(session) == {(nancy.id, JANUARY): (D(100), 1)}


def test_an_entered_target_is_never_surplus(session: Any) -> None:
    nancy = UserFactory()
    session.flush()
    session.add(AccountManagerTarget(account_manager_id=nancy.id, month=JANUARY, target=D(500)))
    session.commit()
    order = closed(nancy, date(2026, 1, 5), 100)
    session.commit()
    session.delete(order)
    session.commit()
    assert months_of(session) == {(nancy.id, JANUARY): (D(0), 0)}
    assert figures.heal(session, [achieved]).corrections == 0
    session.execute(update(AccountManagerTarget).values(target=None))
    session.commit()
    assert months_of(session) == {}, "without orders and without a target there is no row"


@pytest.mark.leaves_drift
def test_a_tampered_month_and_a_missing_one_are_found_by_name_and_healed(
    session: Any, admin_database_url: str
) -> None:
    nancy = UserFactory()
    closed(nancy, date(2026, 1, 5), 100)
    closed(nancy, date(2026, 2, 5), 70)
    session.commit()
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        surgery.execute(
            "UPDATE account_manager_targets SET achieved = 1 WHERE month = '2026-01-01'"
        )
        surgery.execute("DELETE FROM account_manager_targets WHERE month = '2026-02-01'")
    found = {f.key["month"]: f for f in figures.verify(session, [achieved])}
    assert set(found) == {JANUARY, FEBRUARY}
    assert figures.heal(session, [achieved]).corrections == 2
    assert months_of(session) == {
        (nancy.id, JANUARY): (D(100), 1),
        (nancy.id, FEBRUARY): (D(70), 1),
    }
    assert figures.heal(session, [achieved]).corrections == 0


def test_a_tampered_line_shows_in_the_month_with_the_line_as_its_root(
    session: Any, admin_database_url: str
) -> None:
    order = closed(UserFactory(), date(2026, 1, 5), 100)
    session.commit()
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        surgery.execute("UPDATE orders SET promo = 10")
        tell_of_everything(surgery)
    found = {f.figure.name: f for f in figures.verify(session)}
    assert set(found) == {"orders.grand_total", "account_manager_targets.achieved"}
    month = found["account_manager_targets.achieved"]
    assert [root.key for root in month.roots] == [(("id", order.id),)]
    figures.heal(session)
    assert months_of(session)[order.account_manager_id, JANUARY] == (D(90), 1)


def test_a_month_is_explained_down_to_the_orders_behind_it(session: Any) -> None:
    nancy = UserFactory()
    first, second = closed(nancy, date(2026, 1, 5), 100), closed(nancy, date(2026, 1, 31), 30)
    closed(nancy, FEBRUARY, 7), closed(UserFactory(), JANUARY, 9)
    session.commit()
    row = session.scalars(
        select(AccountManagerTarget).filter_by(account_manager_id=nancy.id, month=JANUARY)
    ).one()
    explanation = figures.explain(session, achieved, row.id)
    assert explanation is not None
    assert explanation.is_right
    amount, count = explanation.columns
    assert [(r.id, r.amount, r.figure) for r in amount.terms[0].rows] == [
        (first.id, D(100), "orders.grand_total"),
        (second.id, D(30), "orders.grand_total"),
    ]
    assert (amount.terms[0].value, amount.terms[0].row_count) == (D(130), 2)
    assert [r.amount for r in count.terms[0].rows] == [1, 1]


def test_the_trail_holds_the_targets_that_people_enter_and_no_derived_row(session: Any) -> None:
    nancy = UserFactory()
    closed(nancy, date(2026, 1, 5), 100)
    session.commit()
    trail = select(AuditEvent).filter_by(table_name="account_manager_targets")
    assert session.scalars(trail).all() == []
    session.execute(update(AccountManagerTarget).values(target=D(500)))
    session.commit()
    session.execute(delete(Order))
    session.commit()
    session.execute(update(AccountManagerTarget).values(target=None))
    session.commit()
    events = session.scalars(trail.order_by(AuditEvent.id)).all()
    assert [(e.action, e.before["target"], e.after["target"]) for e in events] == [
        ("UPDATE", None, "500.00"),
        ("UPDATE", "500.00", None),
    ]
