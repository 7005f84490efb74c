"""An order's history shows the grand total before and after every save, whatever was saved."""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from backoffice.orders.history import totals_by_save
from backoffice.orders.models import Order, OrderLine
from backoffice.orders.records import ORDER
from backoffice.orders.rules import MOST_LINES
from backoffice.records import history
from backoffice.records.history import SHOWN, events_of
from tests.depth import examples
from tests.factories.orders import OrderFactory

AMOUNTS = st.integers(0, 10**7).map(lambda cents: Decimal(cents) / 100)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["promo", "additions", "reductions"]), AMOUNTS),
        st.tuples(st.just("line"), AMOUNTS),
        st.tuples(st.just("price"), AMOUNTS),
        st.tuples(st.just("unline"), AMOUNTS),
    ),
    max_size=6,
)


def recorded_events(session: Any, order: Order) -> Any:
    return ORDER.trail(session, order, SHOWN)


def edit(session: Any, order: Order, what: str, amount: Decimal) -> None:
    """One save."""
    line = next(iter(order.lines), None)
    if what == "line":
        order.itemised = ["package"]
        order.lines.append(
            OrderLine(
                position=len(order.lines),
                kind="package",
                quantity=Decimal("1.5"),
                unit_price=amount,
            )
        )
    elif what == "price" and line is not None:
        line.unit_price = amount
    elif what == "unline" and line is not None:
        session.execute(delete(OrderLine).where(OrderLine.id == line.id))
    elif what in ("promo", "additions", "reductions"):
        setattr(order, what, amount)
    order.version += 1
    session.commit()
    session.expire_all()


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(edits=EDITS)
def test_every_total_that_was_stored_is_told_between_the_saves(session: Any, edits: Any) -> None:
    order = OrderFactory()
    session.commit()
    stored = [order.grand_total]
    for what, amount in edits:
        before = len(recorded_events(session, order))
        edit(session, order, what, amount)
        if len(recorded_events(session, order)) > before:  # else the edit changed nothing
            stored.append(order.grand_total)
    reported = totals_by_save(session, order, recorded_events(session, order))
    pairs = list(reversed(reported.values()))
    assert pairs == list(zip([None, *stored], stored, strict=False))
    session.rollback()


def test_the_history_shows_it(session: Any) -> None:
    order = OrderFactory(total_price=100, additions=0, promo=0, reductions=0)
    session.commit()
    edit(session, order, "promo", Decimal(30))
    newest, created = events_of(session, ORDER, order)
    assert newest.changes[-1].label == "Grand total"
    assert (newest.changes[-1].before, newest.changes[-1].after) == ("100.00", "70.00")
    assert (created.changes[-1].before, created.changes[-1].after) == ("", "100.00")


def test_a_save_of_more_lines_than_are_shown_is_shown_whole(session: Any) -> None:
    lines = [("package", f"Line {number}", "1", "10") for number in range(SHOWN // 2 + 1)]
    order = OrderFactory(total_price=0, additions=0, promo=0, reductions=0, lines=lines)
    session.commit()
    totals = [Decimal(10 * len(lines))]
    for price in (20, 30):
        session.execute(update(OrderLine).values(unit_price=price))
        session.commit()
        totals.insert(0, Decimal(price * len(lines)))
    session.expire_all()
    saves = [event.changes[-1] for event in events_of(session, ORDER, order)]
    written = [f"{total:,.2f}" for total in totals]
    assert [(save.before, save.after) for save in saves] == [
        (written[1], written[0]),
        (written[2], written[1]),
    ]


def test_an_order_of_very_many_lines_is_told_to_be_created(session: Any) -> None:
    lines = [("package", f"Line {number}", "1", "10") for number in range(SHOWN)]
    order = OrderFactory(total_price=0, additions=0, promo=0, reductions=0, lines=lines)
    session.commit()
    [created] = events_of(session, ORDER, order)
    assert created.kind == "created"
    assert (created.changes[-1].before, created.changes[-1].after) == ("", "5,000.00")


def test_the_history_tells_whole_saves_however_many_lines_they_have(
    session: Any, sign_in: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(history, "SHOWN", 10)
    monkeypatch.setattr(history, "MOST", 40)
    lines = [("package", f"Crate {number}", "1", "2.00") for number in range(12)]
    order = OrderFactory(number="SO-1", additions=0, promo=0, reductions=0, lines=lines)
    session.commit()
    edit(session, order, "promo", Decimal(3))
    told = history.history_of(session, ORDER, order)
    assert [event.kind for event in told.events] == ["changed", "created"]
    assert [event.changes[-1].before for event in told.events] == ["24.00", ""]
    assert [event.changes[-1].after for event in told.events] == ["21.00", "24.00"]
    assert not told.has_earlier
    earlier = "Only the newest entries are shown here"
    assert earlier not in sign_in("viewer").get("/orders/SO-1/history").text
    for amount in range(10, 20):
        edit(session, order, "promo", Decimal(amount))
    told = history.history_of(session, ORDER, order)
    assert ([event.kind for event in told.events], told.has_earlier) == (["changed"] * 10, True)
    assert told.events[-1].changes[-1].before == "21.00"
    assert earlier in sign_in("viewer").get("/orders/SO-1/history").text


def test_a_save_of_more_lines_than_are_read_is_cut_and_said_to_be(
    session: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(history, "SHOWN", 10)
    monkeypatch.setattr(history, "MOST", 10)
    lines = [("package", f"Crate {number}", "1", "2.00") for number in range(30)]
    order = OrderFactory(additions=0, promo=0, reductions=0, lines=lines)
    session.commit()
    assert history.history_of(session, ORDER, order).has_earlier


def test_a_save_of_the_most_lines_is_told_as_one(session: Any) -> None:
    lines = [("package", f"Crate {number}", "1", "2.00") for number in range(MOST_LINES)]
    order = OrderFactory(additions=0, promo=0, reductions=0, lines=lines)
    session.commit()
    [created] = events_of(session, ORDER, order)
    assert created.kind == "created"
    assert (created.changes[-1].before, created.changes[-1].after) == ("", "10,000.00")
    order.lines.clear()
    order.itemised, order.total_price = [], Decimal(7)
    order.version += 1
    session.commit()
    newest = events_of(session, ORDER, order)[0]
    assert newest.kind == "changed"
    assert (newest.changes[-1].before, newest.changes[-1].after) == ("10,000.00", "7.00")
