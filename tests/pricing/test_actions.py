"""The preview of a new price, and that applying it does exactly what was previewed."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.orders.models import Order, OrderLine
from backoffice.orders.queries import visible_to
from backoffice.people.models import User
from backoffice.pricing import actions, effects
from backoffice.pricing.effects import NewPrice, effects_of
from backoffice.pricing.models import PriceChange, PriceChangeOrder
from backoffice.products.models import ProductPrice
from backoffice.products.queries import price_on
from tests.factories.people import UserFactory
from tests.factories.products import ProductFactory
from tests.orders.books import Book, stored

from .shops import FROM, Shop, order_of

Outside = psycopg.Connection[Any]


@pytest.fixture
def user(session: Any) -> User:
    """A finance user."""
    made: User = UserFactory(role="finance")
    session.commit()
    return made


def by_number(found: effects.Effects) -> dict[str, effects.Effect]:
    return {row.number: row for row in found.rows}


def apply_all(session: Any, user: Any, new: NewPrice) -> PriceChange:
    """Apply the price to every order that it can change."""
    rows = [row for row in effects_of(session, visible_to(user), new).rows if row.is_possible]
    return actions.apply(
        session, visible_to(user), new, {row.order_id: row.version for row in rows}
    )


def outcomes(session: Any, change: PriceChange) -> dict[str, str]:
    rows = session.scalars(select(PriceChangeOrder).filter_by(price_change_id=change.id))
    return {row.number: row.outcome for row in rows}


# The preview


def test_open_orders_from_that_day_on_are_shown_with_their_totals_now_and_then(
    session: Any, user: User, shop: Shop
) -> None:
    found = by_number(effects_of(session, visible_to(user), shop.price("12.5")))
    assert set(found) == {"SO-1", "SO-2", "SO-5"}
    plain = found["SO-1"]
    assert (plain.quantity, plain.prices) == (5, (10,))
    assert (plain.now, plain.then, plain.difference) == (150, Decimal("162.50"), Decimal("12.50"))
    assert found["SO-2"].difference == 15


def test_nothing_is_written_by_looking(
    session: Any, user: User, shop: Shop, owner_connection: Outside
) -> None:
    before = stored(owner_connection)
    effects_of(session, visible_to(user), shop.price("12.5"))
    session.commit()
    assert stored(owner_connection) == before
    assert shop.plain.version == 1


def test_an_order_at_the_new_price_already_is_none_that_changes(
    session: Any, user: User, shop: Shop
) -> None:
    assert set(by_number(effects_of(session, visible_to(user), shop.price("9.5")))) == {
        "SO-1",
        "SO-5",
    }


def test_a_negotiated_price_is_marked_and_not_chosen_by_default(
    session: Any, user: User, shop: Shop
) -> None:
    found = effects_of(session, visible_to(user), shop.price("12"))
    rows = by_number(found)
    assert rows["SO-2"].remark == "negotiated"
    assert not rows["SO-2"].is_default
    assert rows["SO-1"].is_default
    assert [row.number for row in found.rows] == ["SO-1", "SO-5", "SO-2"]


def test_an_order_with_a_line_at_the_list_price_and_a_negotiated_one_counts_as_negotiated(
    session: Any, user: User, shop: Shop
) -> None:
    shop.plain.lines.append(
        OrderLine(
            kind="package", product_id=shop.tea.id, quantity=Decimal(1), unit_price=Decimal(7)
        )
    )
    session.commit()
    row = by_number(effects_of(session, visible_to(user), shop.price("12")))["SO-1"]
    assert (row.remark, row.prices, row.quantity) == ("negotiated", (7, 10), 6)


def test_orders_for_which_the_list_has_a_later_price_are_not_chosen_by_default(
    session: Any, user: User, shop: Shop
) -> None:
    session.add(
        ProductPrice(
            product_id=shop.tea.id, effective_from=date(2026, 3, 2), unit_price=Decimal(10)
        )
    )
    session.commit()
    rows = by_number(effects_of(session, visible_to(user), shop.price("12", date(2026, 2, 1))))
    assert rows["SO-1"].remark == "later"
    assert rows["SO-4"].is_default


def test_a_total_that_would_not_be_possible_is_shown_with_the_reason_and_last(
    session: Any, user: User, shop: Shop
) -> None:
    found = effects_of(session, visible_to(user), shop.price("9"))
    tight = found.rows[-1]
    assert (tight.number, tight.then, tight.is_possible) == ("SO-5", -5, False)
    assert (tight.after, tight.difference) == (tight.now, 0)  # it is unchanged
    assert "cannot be negative" in str(tight.problem)


def test_a_price_that_comes_to_more_than_can_be_stored_is_a_problem(
    session: Any, user: User, shop: Shop
) -> None:
    shop.plain.lines[0].quantity = Decimal(999_999_999)
    session.commit()
    row = by_number(effects_of(session, visible_to(user), shop.price("99999999")))["SO-1"]
    assert "more than can be stored" in str(row.problem)


def test_an_account_manager_sees_the_effects_on_their_own_orders_only(
    session: Any, shop: Shop
) -> None:
    manager = shop.plain.account_manager
    assert set(by_number(effects_of(session, visible_to(manager), shop.price("12")))) == {"SO-1"}


def test_too_many_orders_are_said_to_be_too_many(
    session: Any, user: User, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "MOST", 2)
    found = effects_of(session, visible_to(user), shop.price("12"))
    assert found.are_too_many
    assert found.rows == ()


def test_the_effects_are_the_same_however_many_are_previewed_in_one_statement(
    session: Any, user: User, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = effects_of(session, visible_to(user), shop.price("12")).rows
    monkeypatch.setattr(effects, "CHUNK", 1)
    assert effects_of(session, visible_to(user), shop.price("12")).rows == rows


# Applying


def test_the_chosen_orders_get_the_price_and_the_others_stay(
    session: Any, user: User, shop: Shop
) -> None:
    change = actions.apply(session, visible_to(user), shop.price("12"), {shop.plain.id: 1})
    session.commit()
    assert (shop.plain.grand_total, shop.plain.version) == (160, 2)
    assert [line.unit_price for line in shop.plain.lines] == [12, 100]
    assert (shop.negotiated.grand_total, shop.negotiated.version) == (Decimal("147.50"), 1)
    assert price_on(session, shop.tea.id, FROM) == 12
    assert price_on(session, shop.tea.id, date(2026, 2, 28)) == 10
    record = session.get(PriceChangeOrder, (change.id, shop.plain.id))
    assert (record.outcome, record.before, record.after) == ("applied", 150, 160)
    assert change.previous_price == 10


def test_a_closed_order_and_one_from_before_never_change_whatever_is_posted(
    session: Any, user: User, shop: Shop
) -> None:
    chosen = {shop.closed.id: 1, shop.early.id: 1, shop.plain.id: 1}
    change = actions.apply(session, visible_to(user), shop.price("12"), chosen)
    session.commit()
    assert outcomes(session, change) == {"SO-1": "applied", "SO-3": "closed", "SO-4": "changed"}
    assert (shop.closed.grand_total, shop.closed.version) == (150, 1)
    assert (shop.early.grand_total, shop.early.version) == (150, 1)


def test_an_order_that_was_saved_closed_or_deleted_since_is_left_and_reported(
    session: Any, user: User, shop: Shop
) -> None:
    chosen = {
        row.order_id: row.version
        for row in effects_of(session, visible_to(user), shop.price("12")).rows
    }
    shop.plain.version = 2
    shop.negotiated.closing_date = date(2026, 3, 30)
    session.delete(shop.tight)
    session.commit()
    change = actions.apply(session, visible_to(user), shop.price("12"), chosen)
    session.commit()
    assert outcomes(session, change) == {"SO-1": "changed", "SO-2": "closed", "": "gone"}
    assert shop.plain.grand_total == 150


def test_an_order_whose_total_would_not_be_possible_is_left(
    session: Any, user: User, shop: Shop
) -> None:
    change = actions.apply(
        session, visible_to(user), shop.price("9"), {shop.tight.id: 1, shop.plain.id: 1}
    )
    session.commit()
    assert outcomes(session, change) == {"SO-5": "impossible", "SO-1": "applied"}
    assert shop.tight.grand_total == 0


def test_another_managers_order_is_none_for_an_account_manager(session: Any, shop: Shop) -> None:
    manager = shop.plain.account_manager
    change = actions.apply(session, visible_to(manager), shop.price("12"), {shop.negotiated.id: 1})
    session.commit()
    assert outcomes(session, change) == {"": "gone"}
    assert shop.negotiated.grand_total == Decimal("147.50")


def test_a_price_without_orders_is_stored_and_the_same_again_is_nothing_to_do(
    session: Any, user: User, shop: Shop
) -> None:
    actions.apply(session, visible_to(user), shop.price("12"), {})
    session.commit()
    assert price_on(session, shop.tea.id, FROM) == 12
    with pytest.raises(actions.NothingToApply):
        actions.apply(session, visible_to(user), shop.price("12"), {})


def test_the_rest_can_follow_and_is_still_not_taken_for_negotiated(
    session: Any, user: User, shop: Shop
) -> None:
    actions.apply(session, visible_to(user), shop.price("12"), {shop.plain.id: 1})
    session.commit()
    found = effects_of(session, visible_to(user), shop.price("12"))
    assert found.before == 10
    assert {row.number: row.remark for row in found.rows} == {"SO-5": "", "SO-2": "negotiated"}


def test_the_way_back_is_the_previous_price_from_the_same_day(
    session: Any, user: User, shop: Shop
) -> None:
    change = actions.apply(session, visible_to(user), shop.price("12"), {shop.plain.id: 1})
    session.commit()
    back = NewPrice(shop.tea.id, change.effective_from, change.previous_price or Decimal(0))
    rows = [row for row in effects_of(session, visible_to(user), back).rows if row.is_default]
    assert [row.number for row in rows] == ["SO-1"]
    actions.apply(session, visible_to(user), back, {row.order_id: row.version for row in rows})
    session.commit()
    assert (shop.plain.grand_total, shop.plain.version) == (150, 3)
    assert price_on(session, shop.tea.id, FROM) == 10


@pytest.mark.parametrize("closes", [True, False])
def test_a_save_that_comes_between_wins_and_the_order_is_left(
    app: Any, session: Any, user: User, shop: Shop, owner_connection: Outside, closes: bool
) -> None:
    found = apply_while_another_saves(app, session, user, shop, owner_connection, closes=closes)
    assert found == ["closed" if closes else "changed"]
    assert session.get(Order, shop.plain.id).grand_total == 150


def test_without_the_lock_a_closed_order_is_changed(
    app: Any,
    session: Any,
    user: User,
    shop: Shop,
    owner_connection: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def only_read(session: Any, visible: Any, chosen: Any) -> dict[int, Any]:
        rows = session.execute(select(Order.id, Order.number, Order.version, Order.closing_date))
        return {row.id: row for row in rows if row.id in chosen}

    monkeypatch.setattr(actions, "_locked", only_read)
    found = apply_while_another_saves(app, session, user, shop, owner_connection, closes=True)
    assert found == ["applied"], "Without the lock nothing went wrong: the lock guards nothing."
    assert session.get(Order, shop.plain.id).grand_total == 160


def apply_while_another_saves(
    app: Any, session: Any, user: User, shop: Shop, outside: Outside, *, closes: bool
) -> list[str]:
    """Apply the price while another session has locked the order, which it then saves; returns the outcome."""
    order_id, user_id, tea_id = shop.plain.id, user.id, shop.tea.id

    def apply_meanwhile() -> list[str]:
        with app.app_context():
            new = NewPrice(tea_id, FROM, Decimal(12))
            who = db.session.get_one(User, user_id)
            change = actions.apply(db.session(), visible_to(who), new, {order_id: 1})
            db.session.commit()
            return list(outcomes(db.session, change).values())

    order = session.get(Order, order_id, with_for_update={"key_share": True})
    with ThreadPoolExecutor(1) as pool:
        applying = pool.submit(apply_meanwhile)
        wait_for_another_waiting(outside, applying)
        order.version += 1
        if closes:
            order.closing_date = date(2026, 3, 20)
        session.commit()
        found = applying.result()
    session.expire_all()
    return found


def wait_for_another_waiting(connection: Outside, waiting: Future[Any]) -> None:
    """Wait until another session waits for a lock that this test holds."""
    while connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
        assert not waiting.done(), waiting.result()
        connection.execute("SELECT pg_sleep(0.005)")


def test_two_prices_at_once_are_applied_one_after_the_other(
    app: Any, session: Any, user: User, shop: Shop
) -> None:
    order_id, user_id, tea_id = shop.plain.id, user.id, shop.tea.id
    session.rollback()

    def apply_one(price: int) -> None:
        with app.app_context():
            new = NewPrice(tea_id, FROM, Decimal(price))
            actions.apply(
                db.session(), visible_to(db.session.get_one(User, user_id)), new, {order_id: 1}
            )
            db.session.commit()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(apply_one, (11, 12, 13)))
    results = session.scalars(select(PriceChangeOrder.outcome).order_by(PriceChangeOrder.outcome))
    assert list(results) == ["applied", "changed", "changed"]
    changes = list(session.scalars(select(PriceChange).order_by(PriceChange.id)))
    assert len(changes) == 3
    applied = session.scalars(
        select(PriceChangeOrder.price_change_id).where(PriceChangeOrder.outcome == "applied")
    ).one()
    line = session.get(Order, order_id).lines[0]
    assert line.unit_price == session.get(PriceChange, applied).unit_price
    assert price_on(session, tea_id, FROM) in {change.unit_price for change in changes}


# Random books: the preview equals what is stored, to the cent, and what plain Python computes

price = st.decimals(0, 1000, places=4)
quantity = st.decimals(0, 500, places=3)
line = st.tuples(st.sampled_from(["package", "addition", "promo", "reduction"]), quantity, price)
a_book = st.lists(
    st.tuples(
        st.lists(st.tuples(line, st.booleans()), min_size=1, max_size=4),
        st.booleans(),
        st.integers(-3, 3),
        st.decimals(0, 50_000, places=2),
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(book=a_book, new_price=price)
def test_what_was_shown_is_what_is_stored(
    session: Any,
    user: User,
    owner_connection: Outside,
    book: Any,
    new_price: Decimal,
) -> None:
    product = ProductFactory(prices={"2026-01-01": "10"})
    for lines, is_closed, days, entered in book:
        day = date(2026, 3, 5 + days)
        order = order_of(
            product,
            "10",
            order_date=day,
            additions=entered,
            closing_date=date(2026, 4, 1) if is_closed else None,
        )
        for (kind, count, unit_price), is_product in lines:
            order.lines.append(
                OrderLine(
                    kind=kind,
                    quantity=count,
                    unit_price=unit_price,
                    product_id=product.id if is_product else None,
                )
            )
    session.commit()
    facts = Book.read(owner_connection)
    new = NewPrice(product.id, date(2026, 3, 5), new_price)
    shown = {row.order_id: row for row in effects_of(session, visible_to(user), new).rows}
    if new_price == 10 and not shown:
        return
    change = actions.apply(
        session, visible_to(user), new, {row.order_id: row.version for row in shown.values()}
    )
    session.commit()
    lines_of = dict(owner_connection.execute("SELECT id, product_id FROM order_lines").fetchall())
    for row in shown.values():
        outcome = session.get(PriceChangeOrder, (change.id, row.order_id)).outcome
        assert (outcome == "applied") == row.is_possible
        for key, facts_of_line in facts.lines_of(row.order_id).items():
            if row.is_possible and lines_of[key] == product.id:
                facts.change(key, unit_price=new_price.quantize(Decimal("0.0001")))
                assert facts_of_line
    totals = stored(owner_connection)
    assert totals == facts.totals()
    for row in shown.values():
        if row.is_possible:
            assert totals["orders", row.order_id]["grand_total"] == row.then
