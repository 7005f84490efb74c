"""Allocating a payment: oldest first, as much as is open, and the parts add up to the last unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.billing.payments.allocation import (
    Part,
    Target,
    meter_for_rest,
    oldest_first,
    open_for,
    parts_of,
    rest_of,
)

AMOUNTS = st.decimals("0.01", "9999999999999.99", places=2, allow_nan=False, allow_infinity=False)
OPEN = st.decimals("-500", "99999", places=2, allow_nan=False, allow_infinity=False)


@st.composite
def books(draw):
    """Open invoices, oldest first, on some meters; -500: one that was paid past its amount."""
    found = draw(st.lists(OPEN, max_size=8))
    return [Target(i, draw(st.integers(1, 3)), amount) for i, amount in enumerate(found, 1)]


def invoices(*open_amounts, meter=7):
    return [Target(i, meter, Decimal(amount)) for i, amount in enumerate(open_amounts, 1)]


def test_the_oldest_invoice_is_paid_first_and_the_last_one_in_part():
    found = oldest_first(Decimal("250.00"), invoices("100", "100", "100"))
    assert found == {1: Decimal(100), 2: Decimal(100), 3: Decimal(50)}
    assert rest_of(Decimal(250), found) == 0


def test_what_no_invoice_takes_is_the_rest_and_stays_on_a_meter():
    found = oldest_first(Decimal("120.50"), invoices("100"))
    assert rest_of(Decimal("120.50"), found) == Decimal("20.50")
    assert parts_of(Decimal("120.50"), found, 7) == (
        Part(Decimal(100), invoice_id=1),
        Part(Decimal("20.50"), meter_id=7),
    )


def test_what_a_payment_has_on_an_invoice_may_stay_where_others_overpaid_it():
    assert open_for(Decimal(-20), Decimal(100)) == Decimal(100)
    assert open_for(Decimal(0), Decimal(100)) == Decimal(100)
    assert open_for(Decimal(30), Decimal(100)) == Decimal(130)


def test_what_a_user_decided_stays_and_the_others_share_what_is_left():
    found = oldest_first(
        Decimal(250), invoices("100", "100", "100"), {2: Decimal(30), 1: Decimal(0)}
    )
    assert found == {1: Decimal(0), 2: Decimal(30), 3: Decimal(100)}
    assert rest_of(Decimal(250), found) == Decimal(120)


def test_more_than_there_is_leaves_the_others_nothing_and_a_rest_below_zero():
    found = oldest_first(Decimal(50), invoices("100", "100"), {1: Decimal(80)})
    assert found == {1: Decimal(80), 2: Decimal(0)}
    assert rest_of(Decimal(50), found) == Decimal(-30)
    with pytest.raises(ValueError, match="30 more than 50"):
        parts_of(Decimal(50), found, 7)


def test_an_invoice_that_was_overpaid_gets_nothing():
    assert oldest_first(Decimal(50), invoices("-20", "100")) == {1: 0, 2: Decimal(50)}


def test_a_third_of_a_hundred_leaves_no_unit_behind():
    found = oldest_first(Decimal("100.00"), invoices("33.33", "33.33", "33.33"))
    parts = parts_of(Decimal("100.00"), found, 7)
    assert [part.amount for part in parts] == [Decimal("33.33")] * 3 + [Decimal("0.01")]


def test_the_rest_stays_on_the_meter_with_the_newest_invoice():
    assert meter_for_rest([5, 6], invoices("10")) == 5
    assert meter_for_rest([], [Target(1, 3, Decimal(1)), Target(2, 4, Decimal(1))]) == 4
    assert meter_for_rest([], []) is None


@given(AMOUNTS, books())
def test_parts_add_up_exactly_and_no_invoice_gets_more_than_is_open(amount, targets):
    found = oldest_first(amount, targets)
    assert all(0 <= found[t.invoice_id] <= max(t.open, 0) for t in targets)
    parts = parts_of(amount, found, 7)
    assert sum(part.amount for part in parts) == amount
    assert all(part.amount > 0 for part in parts)


@given(AMOUNTS, books())
def test_no_later_invoice_gets_anything_before_an_earlier_one_is_paid(amount, targets):
    found = oldest_first(amount, targets)
    given_last = max((t.invoice_id for t in targets if found[t.invoice_id]), default=0)
    earlier = [t for t in targets if t.invoice_id < given_last]
    assert all(found[t.invoice_id] == max(t.open, 0) for t in earlier)
    if rest_of(amount, found):
        assert all(found[t.invoice_id] == max(t.open, 0) for t in targets)


@given(AMOUNTS, books(), st.data())
def test_what_is_decided_is_never_changed_and_the_sum_is_still_exact(amount, targets, data):
    chosen = [t.invoice_id for t in targets if data.draw(st.booleans())]
    fixed = {key: data.draw(st.decimals("0", "1000", places=2)) for key in chosen}
    found = oldest_first(amount, targets, fixed)
    assert {key: found[key] for key in chosen} == fixed
    assert sum(found.values()) + rest_of(amount, found) == amount
    if rest_of(amount, found) < 0:
        assert not any(found[t.invoice_id] for t in targets if t.invoice_id not in fixed)


@given(AMOUNTS, books())
def test_deciding_what_was_proposed_changes_nothing(amount, targets):
    found = oldest_first(amount, targets)
    assert oldest_first(amount, targets, found) == found
