"""Merging the entries of two users for one order."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backoffice.orders.entries import HEADER, Breakdown, LineEntry, OrderEntry, merge
from backoffice.orders.models import COMPONENT_OF_KIND, KINDS

LINES = tuple(
    LineEntry("package", name, Decimal(quantity), Decimal("2.50"), id_)
    for id_, (name, quantity) in enumerate([("Tea", 1), ("Cups", 2), ("Spoons", 3)], start=1)
)

BASE = OrderEntry(
    number="SO-1",
    customer_id=1,
    account_manager_id=1,
    order_date=date(2026, 3, 2),
    closing_date=None,
    breakdown=Breakdown(
        {**dict.fromkeys(COMPONENT_OF_KIND.values(), Decimal(0)), "promo": Decimal(5)},
        frozenset({"package"}),
        LINES,
    ),
)


def amount(entry: OrderEntry, component: str, value: int) -> OrderEntry:
    changed = {**entry.breakdown.amounts, component: Decimal(value)}
    return replace(entry, breakdown=replace(entry.breakdown, amounts=changed))


def lines(entry: OrderEntry, *chosen: LineEntry) -> OrderEntry:
    return replace(entry, breakdown=replace(entry.breakdown, lines=chosen))


def test_what_only_they_changed_is_taken() -> None:
    merged, [difference] = merge(BASE.facts(), BASE, amount(BASE, "promo", 9))
    assert merged.breakdown.amounts["promo"] == 9
    assert (difference.name, difference.theirs, difference.mine) == ("promo", "9", "5")
    assert difference.taken


def test_what_only_i_changed_stays_and_is_no_difference_to_decide() -> None:
    mine = amount(BASE, "promo", 7)
    assert merge(BASE.facts(), mine, BASE) == (mine, [])


def test_what_both_changed_stays_mine_and_is_shown() -> None:
    merged, [difference] = merge(BASE.facts(), amount(BASE, "promo", 7), amount(BASE, "promo", 9))
    assert merged.breakdown.amounts["promo"] == 7
    assert not difference.taken


def test_the_same_change_by_both_is_no_difference() -> None:
    both = replace(BASE, closing_date=date(2026, 4, 1))
    assert merge(BASE.facts(), both, both) == (both, [])


def test_without_a_base_everything_stays_mine() -> None:
    mine, theirs = amount(BASE, "promo", 7), replace(BASE, number="SO-2")
    merged, differences = merge(None, mine, theirs)
    assert merged == mine
    assert {d.name for d in differences} == {"promo", "number"}


def test_a_line_that_they_removed_goes_unless_i_changed_it() -> None:
    tea, cups, spoons = LINES
    more_tea = replace(tea, quantity=Decimal(9))
    merged, differences = merge(BASE.facts(), lines(BASE, more_tea, cups, spoons), lines(BASE))
    assert merged.breakdown.lines == (more_tea,)
    assert {(d.name, d.taken) for d in differences} == {
        ("line:1", False),
        ("line:2", True),
        ("line:3", True),
    }


def test_a_line_that_they_added_is_taken_beside_the_one_that_i_added() -> None:
    theirs = LineEntry("package", "Milk", Decimal(1), Decimal(1), id=4)
    mine = LineEntry("package", "Sugar", Decimal(1), Decimal(1))
    merged, [difference] = merge(
        BASE.facts(), lines(BASE, *LINES, mine), lines(BASE, *LINES, theirs)
    )
    assert merged.breakdown.lines == (*LINES, mine, theirs)
    assert (difference.name, difference.taken) == ("line:4", True)


def test_a_line_that_i_removed_stays_removed() -> None:
    tea, cups, spoons = LINES
    assert merge(BASE.facts(), lines(BASE, cups, spoons), BASE) == (lines(BASE, cups, spoons), [])
    changed = lines(BASE, replace(tea, quantity=Decimal(9)), cups, spoons)
    merged, [difference] = merge(BASE.facts(), lines(BASE, cups, spoons), changed)
    assert merged.breakdown.lines == (cups, spoons)
    assert (difference.mine, difference.taken) == ("", False)


def test_amounts_that_are_equal_are_one_fact() -> None:
    assert amount(BASE, "promo", 5).facts() == BASE.facts()
    written = {"promo": Decimal("5.00"), "additions": Decimal("0.00")}
    assert replace(BASE, breakdown=replace(BASE.breakdown, amounts=written)).facts() == BASE.facts()


ENTRIES = st.builds(
    OrderEntry,
    number=st.sampled_from(["SO-1", "SO-2"]),
    customer_id=st.integers(1, 2),
    account_manager_id=st.integers(1, 2),
    order_date=st.sampled_from([date(2026, 3, 2), date(2026, 3, 3)]),
    closing_date=st.sampled_from([None, date(2026, 4, 1)]),
    breakdown=st.builds(
        Breakdown,
        st.fixed_dictionaries(
            {name: st.integers(0, 2).map(Decimal) for name in COMPONENT_OF_KIND.values()}
        ),
        st.frozensets(st.sampled_from(KINDS), max_size=2),
        st.lists(
            st.builds(
                LineEntry,
                st.sampled_from(KINDS),
                st.sampled_from(["Tea", "Cups"]),
                st.integers(1, 2).map(Decimal),
                st.integers(1, 2).map(Decimal),
                st.sampled_from([1, 2, 3]),
            ),
            max_size=3,
            unique_by=lambda line: line.id,
        ).map(tuple),
    ),
)


def header(entry: OrderEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in HEADER}


@given(base=ENTRIES, mine=ENTRIES, theirs=ENTRIES)
def test_a_merge_never_loses_an_edit(
    base: OrderEntry, mine: OrderEntry, theirs: OrderEntry
) -> None:
    merged, _differences = merge(base.facts(), mine, theirs)
    for name in HEADER:
        untouched = getattr(mine, name) == getattr(base, name)
        assert getattr(merged, name) == getattr(theirs if untouched else mine, name)
    facts = merged.facts()
    for name in (f"line:{i}" for i in (1, 2, 3)):
        untouched = mine.facts().get(name) == base.facts().get(name)
        assert facts.get(name) == (theirs if untouched else mine).facts().get(name)


@given(base=ENTRIES, mine=ENTRIES)
def test_merging_with_what_i_started_from_changes_nothing(
    base: OrderEntry, mine: OrderEntry
) -> None:
    merged, differences = merge(base.facts(), mine, base)
    assert merged.facts() == mine.facts()
    assert differences == []


@given(base=ENTRIES, theirs=ENTRIES)
def test_merging_an_untouched_form_gives_theirs(base: OrderEntry, theirs: OrderEntry) -> None:
    merged, differences = merge(base.facts(), base, theirs)
    assert merged.facts() == theirs.facts()
    assert all(difference.taken for difference in differences)
