"""Creating, changing, deleting and recomputing orders."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from backoffice.orders import actions
from backoffice.orders.entries import Breakdown, LineEntry, OrderEntry
from backoffice.orders.fields import HEADER_FIELDS
from backoffice.orders.models import KINDS, Order, OrderLine
from backoffice.orders.records import ORDER
from backoffice.records import actions as records
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory


def amounts(total_price: int, additions: int, promo: int, reductions: int) -> Breakdown:
    return Breakdown(
        {
            "total_price": Decimal(total_price),
            "additions": Decimal(additions),
            "promo": Decimal(promo),
            "reductions": Decimal(reductions),
        }
    )


def entry(breakdown: Breakdown, **changes: Any) -> OrderEntry:
    made = OrderEntry(
        number="SO-1",
        customer_id=CustomerFactory().id,
        account_manager_id=AccountManagerFactory().id,
        order_date=date(2026, 3, 2),
        closing_date=None,
        breakdown=breakdown,
    )
    return replace(made, **changes)


def entered_as(entry: OrderEntry) -> dict[str, Any]:
    """The entry, keyed by the names of the record's fields."""
    header = {field.name: getattr(entry, field.key) for field in HEADER_FIELDS}
    breakdown = entry.breakdown
    return {**header, **breakdown.amounts, "itemised": breakdown.itemised, "lines": breakdown.lines}


def line(kind: str, quantity: str, unit_price: str, **changes: Any) -> LineEntry:
    return replace(LineEntry(kind, "Something", Decimal(quantity), Decimal(unit_price)), **changes)


NOTHING_OFF = {"additions": Decimal(0), "promo": Decimal(0), "reductions": Decimal(0)}


# The seed's own tests


def test_it_calculates_grand_total_automatically(session: Any) -> None:
    order = actions.create(session, entry(amounts(10_000_000, 500_000, 1_000_000, 200_000)))
    session.commit()
    assert order.grand_total == 9_300_000


def test_it_updates_grand_total_when_components_change(session: Any) -> None:
    order = OrderFactory()
    session.commit()
    order.promo = Decimal(500_000)
    session.commit()
    assert order.grand_total == order.total_price + order.additions - 500_000 - order.reductions


def test_the_example_of_the_specification_comes_to_46_million(session: Any) -> None:
    order = actions.create(session, entry(amounts(50_000_000, 2_000_000, 5_000_000, 1_000_000)))
    session.commit()
    assert order.grand_total == 46_000_000


def test_totals_are_computed_without_saving(session: Any) -> None:
    totals = actions.compute(session, amounts(50_000_000, 2_000_000, 5_000_000, 1_000_000))
    assert totals.grand_total == 46_000_000
    assert session.query(Order).count() == 0


# Lines


def test_a_kind_with_lines_is_the_sum_of_its_rounded_lines(session: Any) -> None:
    lines = (line("package", "3", "0.335"), line("package", "1", "0.005"), line("promo", "1", "1"))
    breakdown = Breakdown({"total_price": Decimal(99), "additions": Decimal(5)}, lines=lines)
    order = actions.create(session, entry(breakdown))
    session.commit()
    assert [made.amount for made in order.lines] == [Decimal("1.01"), Decimal("0.01"), Decimal(1)]
    assert (order.total_price, order.promo) == (Decimal("1.02"), Decimal("1.00"))
    assert order.grand_total == Decimal("5.02")
    assert order.itemised == ["package", "promo"]


@pytest.mark.usefixtures("without_cents")
def test_lines_are_rounded_before_they_are_added_up(session: Any) -> None:
    halves = (line("package", "1", "0.5"), line("package", "1", "0.5"))
    totals = actions.compute(session, Breakdown(lines=halves))
    assert totals.lines == (1, 1)
    assert totals.components["total_price"] == totals.grand_total == 2


def test_an_itemised_kind_without_lines_is_zero(session: Any) -> None:
    breakdown = replace(amounts(10, 5, 0, 0), itemised=frozenset({"package"}))
    order = actions.create(session, entry(breakdown))
    session.commit()
    assert (order.total_price, order.grand_total) == (0, 5)


def test_an_itemised_kind_whose_last_line_is_deleted_is_zero(session: Any) -> None:
    order = OrderFactory(**NOTHING_OFF, lines=[("package", "A", "1.5", "10.00")])
    session.commit()
    session.delete(order.lines[0])
    session.commit()
    session.refresh(order)
    assert (order.itemised, order.total_price, order.grand_total) == (["package"], 0, 0)


def test_lines_keep_their_identity_when_an_order_is_saved_again(session: Any) -> None:
    order = OrderFactory(
        **NOTHING_OFF, lines=[("package", "A", "1", "10"), ("package", "B", "2", "20")]
    )
    session.commit()
    first, second = order.lines
    kept = OrderEntry.of(order)
    changed = replace(kept.breakdown.lines[1], quantity=Decimal(5))
    breakdown = replace(kept.breakdown, lines=(changed, line("addition", "1", "7")))
    actions.update(session, order.id, replace(kept, breakdown=breakdown), order.version)
    session.commit()
    assert next(made.id for made in order.lines) == second.id
    assert session.get(OrderLine, first.id) is None
    assert (order.total_price, order.additions) == (100, 7)


def test_only_the_form_enters_an_itemised_component_as_one_amount_again(session: Any) -> None:
    order = OrderFactory(**NOTHING_OFF, lines=[("package", "A", "1", "10")])
    session.commit()
    session.execute(text("DELETE FROM order_lines"))
    session.commit()
    session.refresh(order)
    assert (order.total_price, order.itemised) == (0, ["package"])
    single = replace(OrderEntry.of(order), breakdown=amounts(77, 0, 0, 0))
    actions.update(session, order.id, single, order.version)
    session.commit()
    assert (order.total_price, order.grand_total, order.itemised) == (77, 77, [])


# Refusals


@pytest.mark.parametrize(
    ("breakdown", "field", "refusal"),
    [
        (amounts(-1, 5, 0, 0), "total_price", actions.NegativeComponent),
        (amounts(5, 0, -1, 0), "promo", actions.NegativeComponent),
        (amounts(5, 0, 6, 0), "grand_total", actions.NegativeGrandTotal),
        (amounts(9_999_999_999_999, 1, 0, 0), "grand_total", actions.TooLarge),
        (Breakdown(lines=(line("package", "1000000", "10000000"),)), "lines-0", actions.TooLarge),
        (
            Breakdown(lines=(line("promo", "100", "99999999999"), line("promo", "100", "1"))),
            "promo",
            actions.TooLarge,
        ),
        (Breakdown(lines=(line("package", "1", "-1"),)), "total_price", actions.NegativeComponent),
    ],
)
def test_impossible_totals_are_refused_and_change_nothing(
    session: Any, breakdown: Breakdown, field: str, refusal: type[Exception]
) -> None:
    with pytest.raises(records.Impossible) as refused:
        actions.create(session, entry(breakdown))
    assert isinstance(refused.value.problems[field], refusal)
    session.rollback()
    assert session.query(Order).count() == 0


def test_an_order_is_not_changed_to_impossible_totals(session: Any) -> None:
    order = OrderFactory()
    session.commit()
    before = order.grand_total
    impossible = replace(OrderEntry.of(order), breakdown=amounts(5, 0, 6, 0))
    with pytest.raises(records.Impossible) as refused:
        actions.update(session, order.id, impossible, order.version)
    assert isinstance(refused.value.problems["grand_total"], actions.NegativeGrandTotal)
    session.rollback()
    assert (order.version, order.grand_total) == (1, before)


def test_the_largest_storable_total_is_stored(session: Any) -> None:
    largest = Decimal("9999999999999.99")
    order = actions.create(session, entry(Breakdown({"total_price": largest})))
    session.commit()
    assert order.grand_total == largest


def test_two_orders_cannot_have_one_number(session: Any) -> None:
    OrderFactory(number="SO-1")
    session.commit()
    entered = entered_as(entry(amounts(1, 0, 0, 0)))
    with pytest.raises(records.Taken, match="SO-1"):
        records.create(session, ORDER, entered)


def test_an_order_that_another_user_saved_is_not_overwritten(session: Any) -> None:
    order = OrderFactory()
    session.commit()
    opened = OrderEntry.of(order)
    theirs = replace(opened, breakdown=amounts(1, 0, 0, 0))
    actions.update(session, order.id, theirs, 1)
    session.commit()
    with pytest.raises(records.RecordChanged):
        actions.update(session, order.id, replace(opened, number="SO-9"), 1)
    session.rollback()
    assert (order.version, order.number, order.grand_total) == (2, opened.number, 1)


def test_saving_what_is_stored_already_is_no_new_version(session: Any) -> None:
    order = OrderFactory(**NOTHING_OFF, lines=[("package", "A", "1.5", "10.00")])
    session.commit()
    events = text("SELECT count(*) FROM audit_events")
    before = session.scalar(events)
    actions.update(session, order.id, OrderEntry.of(order), 1)
    session.commit()
    assert order.version == 1
    assert session.scalar(events) == before


def test_lines_that_a_file_has_numbered_across_kinds_keep_their_places(session: Any) -> None:
    kinds = ("addition", "package", "addition", "package")
    order = OrderFactory(lines=[(kind, f"{n}", "1", "10000000") for n, kind in enumerate(kinds)])
    session.commit()
    stored = OrderEntry.of(order)
    by_kind = sorted(stored.breakdown.lines, key=lambda line: KINDS.index(line.kind))
    as_in_the_form = replace(stored, breakdown=replace(stored.breakdown, lines=tuple(by_kind)))
    actions.update(session, order.id, as_in_the_form, 1)
    session.commit()
    assert order.version == 1
    turned = replace(stored.breakdown, lines=(*by_kind[1::-1], *by_kind[2:]))
    actions.update(session, order.id, replace(stored, breakdown=turned), 1)
    session.commit()
    session.expire_all()
    packages = [line.description for line in order.lines if line.kind == "package"]
    assert (order.version, packages) == (2, ["3", "1"])


def test_adding_or_removing_a_line_is_a_new_version(session: Any) -> None:
    order = OrderFactory(**NOTHING_OFF, lines=[("package", "A", "1", "10")])
    session.commit()
    stored = OrderEntry.of(order)
    without = replace(stored.breakdown, lines=())
    actions.update(session, order.id, replace(stored, breakdown=without), 1)
    session.commit()
    assert (order.version, order.total_price) == (2, 0)
