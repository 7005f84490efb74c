"""Months and the business day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.base import periods
from backoffice.base.periods import Month

MONTHS = st.builds(Month, st.integers(2, 9998), st.integers(1, 12))


@pytest.fixture(autouse=True)
def jakarta() -> Iterator[None]:
    """Reset the time zone to Jakarta for each test."""
    periods.set_timezone("Asia/Jakarta")
    yield
    periods.set_timezone("Asia/Jakarta")


def test_fault_40_half_past_midnight_on_1_march_in_jakarta_is_march() -> None:
    moment = datetime(2026, 2, 28, 17, 30, tzinfo=UTC)
    assert moment.date() == date(2026, 2, 28)
    assert periods.business_date(moment) == date(2026, 3, 1)
    assert Month.of(periods.business_date(moment)) == Month(2026, 3)


def test_fault_40_the_last_moment_of_a_month_still_belongs_to_it() -> None:
    first_of_march = periods.start_of(date(2026, 3, 1))
    assert first_of_march == datetime(2026, 2, 28, 17, 0, tzinfo=UTC)
    assert periods.business_date(first_of_march - timedelta(microseconds=1)) == date(2026, 2, 28)
    assert periods.end_of(date(2026, 2, 28)) == first_of_march


def test_fault_41_a_day_on_which_clocks_go_back_has_25_hours_and_one_date() -> None:
    periods.set_timezone("Europe/Berlin")
    day = date(2026, 10, 25)
    assert periods.end_of(day) - periods.start_of(day) == timedelta(hours=25)
    assert periods.business_date(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == day
    assert periods.business_date(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == day


def test_a_day_whose_midnight_is_skipped_begins_when_clocks_go_forward() -> None:
    periods.set_timezone("America/Sao_Paulo")
    start = periods.start_of(date(2018, 11, 4))
    assert periods.business_date(start) == date(2018, 11, 4)
    assert periods.business_date(start - timedelta(microseconds=1)) == date(2018, 11, 3)


def test_a_day_whose_midnight_comes_twice_begins_at_the_first() -> None:
    periods.set_timezone("America/Havana")
    start = periods.start_of(date(2023, 11, 5))
    assert periods.business_date(start) == date(2023, 11, 5)
    assert periods.business_date(start - timedelta(microseconds=1)) == date(2023, 11, 4)


def test_fault_42_leap_days_and_year_ends() -> None:
    assert Month(2024, 2).last == date(2024, 2, 29)
    assert Month(2023, 2).last == date(2023, 2, 28)
    assert Month(1900, 2).last == date(1900, 2, 28)
    assert Month(2026, 12).next == Month(2027, 1)
    assert Month(2027, 1).previous == Month(2026, 12)
    assert Month(9999, 12).last == date.max


def test_today_is_the_business_day() -> None:
    expected = periods.business_date(datetime.now(UTC))
    assert periods.today() in (expected, periods.business_date(datetime.now(UTC)))
    assert Month.current() == Month.of(periods.today())


def test_a_moment_without_a_zone_has_no_day() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        periods.business_date(datetime(2026, 3, 1, 0, 30))  # noqa: DTZ001  (the point)
    with pytest.raises(TypeError, match="business_date"):
        Month.of(datetime(2026, 3, 1, tzinfo=UTC))


def test_an_unknown_zone_is_refused_with_an_example() -> None:
    for name in ("Nowhere/Land", "../../etc/passwd", ""):
        with pytest.raises(ValueError, match="write it like Asia/Jakarta"):
            periods.set_timezone(name)
    assert periods.timezone().key == "Asia/Jakarta"


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-3", "26-03", "2026/03", "2026-03-01", "0000-01", "٢٠٢٦-٠٣"]
)
def test_what_is_not_a_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it as YYYY-MM"):
        Month.parse(text)


def test_there_is_no_thirteenth_month() -> None:
    with pytest.raises(ValueError, match="month"):
        Month(2026, 13)


@given(MONTHS)
def test_a_month_is_read_back_from_what_is_written(month: Month) -> None:
    assert Month.parse(str(month)) == month


@given(MONTHS)
def test_the_days_of_a_month_and_of_no_other_are_in_it(month: Month) -> None:
    assert month.first in month
    assert month.last in month
    assert month.first - timedelta(days=1) not in month
    assert month.last + timedelta(days=1) not in month
    assert month.last + timedelta(days=1) == month.next.first


@given(MONTHS, st.integers(-12, 12))
def test_adding_months_and_taking_them_away_leads_back(month: Month, months: int) -> None:
    if month.year + months // 12 >= 1 and month.year + 1 < 9999:
        assert (month + months) - months == month
        assert (months > 0) == (month + months > month)


def test_months_run_from_one_through_another() -> None:
    run = [str(month) for month in Month(2025, 11).through(Month(2026, 2))]
    assert run == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert list(Month(2026, 2).through(Month(2026, 1))) == []
