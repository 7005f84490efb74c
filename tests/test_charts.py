"""Charts: a readable scale, bars in proportion to their amounts, exact values wherever they are shown."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.web.charts import HEIGHT, Point, bar_chart, scale, share, short

amounts = st.decimals(
    min_value=Decimal("-9999999999999.99"), max_value=Decimal("9999999999999.99"), places=2
)


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        ("0", [0, 1]),
        ("0.03", ["0", "0.01", "0.02", "0.03"]),
        ("9", ["0", "2.5", "5", "7.5", "10"]),
        ("150637.74", [0, 50_000, 100_000, 150_000, 200_000]),
        ("46000000", [0, 20_000_000, 40_000_000, 60_000_000]),
    ],
)
def test_a_scale_has_few_round_numbers(highest, ticks):
    assert scale(Decimal(0), Decimal(highest)) == [Decimal(tick) for tick in ticks]


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(0, [0, 1]), (1, [0, 1]), (2, [0, 1, 2]), (9, [0, 5, 10]), (91, [0, 25, 50, 75, 100])],
)
def test_a_scale_of_counts_has_no_halves(highest, ticks):
    assert scale(Decimal(0), Decimal(highest), counts=True) == [Decimal(tick) for tick in ticks]


@given(amounts, amounts)
def test_a_scale_takes_in_both_ends_and_zero_at_equal_distances(one, other):
    low, high = min(one, other), max(one, other)
    ticks = scale(low, high)
    assert ticks[0] <= min(low, 0)
    assert max(high, 0) <= ticks[-1]
    assert Decimal(0) in ticks
    assert 2 <= len(ticks) <= 7
    assert len({after - before for before, after in pairwise(ticks)}) == 1


@pytest.mark.parametrize(
    ("language", "number_format", "amount", "text"),
    [
        ("en", "en", "0", "0"),
        ("en", "en", "750", "750"),
        ("en", "en", "2500", "2.5K"),
        ("en", "en", "-20000000", "-20M"),
        ("en", "id", "2500000000", "2,5B"),
        ("en", "en", "5000000000000", "5T"),
    ],
)
def test_ticks_are_short_and_in_the_users_number_format(app, language, number_format, amount, text):
    cookie = f"language={language}; number_format={number_format}"
    with app.test_request_context("/", headers={"Cookie": cookie}):
        assert short(Decimal(amount)) == text


def test_bars_and_marks_stand_at_their_amounts(app):
    points = [
        Point("Jan", "January", Decimal(50), mark=Decimal(100)),
        Point("Feb", "February", Decimal(-50), beside=Decimal(25)),
    ]
    with app.test_request_context("/"):
        chart = bar_chart(points)
    first, second = chart.bars
    assert [tick.label for tick in chart.ticks] == ["-50", "0", "50", "100"]
    zero = Decimal(HEIGHT) * 2 / 3
    assert (Decimal(first.bar.y) + Decimal(first.bar.height), first.mark.y) == (zero, "-1")
    assert (Decimal(second.bar.y), Decimal(second.bar.height)) == (zero, Decimal(HEIGHT) / 3)
    assert second.beside is not None
    assert second.mark is None


def test_where_there_are_many_bars_some_are_named(app):
    with app.test_request_context("/"):
        chart = bar_chart([Point(str(i), str(i), Decimal(i)) for i in range(30)])
    assert [bar.point.label for bar in chart.bars if bar.is_labelled] == [
        str(i) for i in range(0, 30, 3)
    ]


def test_a_chart_of_nothing_is_an_empty_scale(app):
    with app.test_request_context("/"):
        chart = bar_chart([])
    assert chart.bars == ()
    assert [tick.label for tick in chart.ticks] == ["0", "1"]


def test_a_share_is_as_long_as_its_part():
    assert share(Decimal(25), Decimal(100)) == "25%"
    assert share(Decimal(-5), Decimal(100)) == "0%"
    assert share(Decimal(0), Decimal(0)) == "0%"
