"""Due times: FAULTS.md 40 (the business day), 41 (clocks go back), 42 (leap years, year ends)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backoffice.schedules.rules import (
    EVERY_QUARTER,
    Daily,
    EveryHours,
    EveryMinutes,
    Monthly,
    Rule,
    Weekly,
    due_times,
    last_due,
    moment_of,
    next_due,
)
from tests.depth import examples

ZONES = (
    "Asia/Jakarta", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
    "Africa/Casablanca", "America/St_Johns", "America/Havana", "America/Sao_Paulo",
    "Antarctica/Troll", "Asia/Kathmandu", "Asia/Tehran", "Pacific/Apia", "Pacific/Chatham", "UTC",
)  # fmt: skip

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The days on which clocks change in that zone; where they never do, a year's end and a leap day's eve."""
    zone, day = ZoneInfo(name), datetime(1990, 1, 1, tzinfo=UTC)
    found = []
    while day.year < 2037:
        if day.astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset():
            found.append(day)
        day += DAY
    return tuple(found) or (datetime(2027, 12, 31, tzinfo=UTC), datetime(2028, 2, 28, tzinfo=UTC))


@st.composite
def places(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone, and a moment within two days of a change of its clocks."""
    name = draw(st.sampled_from(ZONES))
    change = draw(st.sampled_from(changes(name)))
    minutes = draw(st.integers(-2 * 24 * 60, 3 * 24 * 60))
    return ZoneInfo(name), change + timedelta(minutes=minutes)


times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
rules: st.SearchStrategy[Rule] = st.one_of(
    st.builds(Daily, times),
    st.builds(Weekly, st.integers(0, 6), times),
    st.builds(Monthly, st.integers(1, 28), times),
    st.builds(Monthly, st.integers(1, 28), times, st.just(EVERY_QUARTER)),
    st.builds(EveryHours, st.sampled_from((1, 2, 3, 4, 6, 8, 12, 24))),
    st.builds(EveryMinutes, st.sampled_from((1, 5, 15, 30, 60))),
)


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def first_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """The definition, minute by minute: the first moment at which local time is `wall` or later."""
    moment = wall.replace(tzinfo=UTC) - 15 * HOUR
    while shown(moment, zone) < wall:
        moment += MINUTE
    return moment


@settings(max_examples=examples(150), deadline=None)
@given(places(), times)
def test_a_wall_time_is_the_moment_at_which_clocks_first_show_it_or_later(place, at) -> None:
    zone, moment = place
    wall = datetime.combine(shown(moment, zone).date(), at)
    assert moment_of(wall, zone) == first_shown(wall, zone)


@settings(max_examples=examples(150), deadline=None)
@given(places(), rules)
def test_due_times_are_those_of_every_wall_clock_in_order_and_once(place, rule) -> None:
    zone, after = place
    until = after + 3 * DAY
    found = list(due_times(rule, after, until, zone))
    assert found == sorted(set(found))
    assert all(after < moment <= until and moment.tzinfo is UTC for moment in found)
    if not isinstance(rule, EveryMinutes):
        assert found == list(expected(rule, after, until, zone))


def expected(rule, after: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    days = (shown(after, zone).date() + n * DAY for n in range(-2, 7))
    walls = [datetime.combine(day, at) for day in days for at in rule.times(day)]
    yield from sorted(m for m in {first_shown(wall, zone) for wall in walls} if after < m <= until)


@settings(max_examples=examples(150), deadline=None)
@given(places(), rules, st.integers(0, 3 * 24 * 60))
def test_where_a_user_looks_in_between_changes_no_due_time(place, rule, minutes) -> None:
    zone, after = place
    middle, until = after + minutes * MINUTE, after + 3 * DAY
    parts = [*due_times(rule, after, middle, zone), *due_times(rule, middle, until, zone)]
    assert parts == list(due_times(rule, after, until, zone))


@settings(max_examples=examples(150), deadline=None)
@given(places(), rules)
def test_the_last_and_the_next_due_time_have_none_between_them(place, rule) -> None:
    zone, now = place
    last, following = last_due(rule, now, zone), next_due(rule, now, zone)
    assert last <= now < following
    assert list(due_times(rule, last, following, zone)) == [following]


@settings(max_examples=examples(100), deadline=None)
@given(places(), times)
def test_every_day_has_its_daily_due_time_exactly_once(place, at) -> None:
    zone, after = place
    first = shown(after, zone).date() + DAY
    start, end = (moment_of(datetime.combine(first + n * DAY, time(0)), zone) for n in (0, 6))
    found = [*due_times(Daily(at), start - timedelta(seconds=1), end - timedelta(seconds=1), zone)]
    skipped = sum(
        moment_of(datetime.combine(first + n * DAY, time(0)), zone)
        == moment_of(datetime.combine(first + (n + 1) * DAY, time(0)), zone)
        and at == time(0)
        for n in range(-1, 6)
    )
    assert len(found) == 6 - skipped  # where a day is skipped, its midnight falls on the next day's


def here(rule: Rule, first: str, last: str, name: str) -> list[str]:
    """The due times of some days, in local time."""
    zone = ZoneInfo(name)
    start = datetime.combine(date.fromisoformat(first), time(0)).replace(tzinfo=zone)
    end = datetime.combine(date.fromisoformat(last), time(23, 59)).replace(tzinfo=zone)
    found = due_times(rule, start - timedelta(seconds=1), end, zone)
    return [moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %z") for moment in found]


def test_what_clocks_skip_happens_at_the_moment_they_skip() -> None:
    assert here(Daily(time(2, 30)), "2026-03-28", "2026-03-30", "Europe/Berlin") == [
        "2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200",
    ]  # fmt: skip
    assert here(Daily(time(2, 15)), "2026-10-04", "2026-10-04", "Australia/Lord_Howe") == [
        "2026-10-04 02:30 +1100"
    ]
    assert here(Daily(time(0)), "2018-11-04", "2018-11-04", "America/Sao_Paulo") == [
        "2018-11-04 01:00 -0200"
    ]


def test_what_comes_twice_happens_once_the_first_time() -> None:
    assert here(Daily(time(2, 30)), "2026-10-24", "2026-10-26", "Europe/Berlin") == [
        "2026-10-24 02:30 +0200", "2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100",
    ]  # fmt: skip
    assert here(Daily(time(1, 45)), "2027-04-04", "2027-04-04", "Australia/Lord_Howe") == [
        "2027-04-04 01:45 +1100"
    ]


def test_a_day_that_is_skipped_whole_happens_at_its_end() -> None:
    assert here(Daily(time(2)), "2011-12-29", "2011-12-31", "Pacific/Apia") == [
        "2011-12-29 02:00 -1000", "2011-12-31 00:00 +1400", "2011-12-31 02:00 +1400",
    ]  # fmt: skip


def test_two_hours_that_the_same_skip_takes_happen_once() -> None:
    found = here(EveryHours(1), "2026-03-29", "2026-03-29", "Europe/Berlin")
    assert len(found) == 23
    assert found[1:3] == ["2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200"]
    assert len(here(EveryHours(1), "2026-10-25", "2026-10-25", "Europe/Berlin")) == 24


def test_minutes_go_on_whatever_clocks_do() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    found = list(due_times(EveryMinutes(5), start, start + 25 * HOUR, zone))
    assert len(found) == 25 * 12
    assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=5)}


def test_the_business_month_begins_where_the_business_is() -> None:
    first = next_due(
        Monthly(1, time(3)), datetime(2026, 2, 28, tzinfo=UTC), ZoneInfo("Asia/Jakarta")
    )
    assert first == datetime(2026, 2, 28, 20, tzinfo=UTC)  # still February in UTC


def test_leap_years_and_year_ends() -> None:
    assert len(here(Daily(time(2)), "2028-02-28", "2028-03-01", "Asia/Jakarta")) == 3
    assert len(here(Daily(time(2)), "2027-02-28", "2027-03-01", "Asia/Jakarta")) == 2
    assert here(Monthly(1, time(3)), "2027-12-02", "2028-03-01", "Asia/Jakarta") == [
        "2028-01-01 03:00 +0700", "2028-02-01 03:00 +0700", "2028-03-01 03:00 +0700",
    ]  # fmt: skip
    assert here(Monthly(1, time(1), EVERY_QUARTER), "2026-01-02", "2027-01-01", "Asia/Jakarta") == [
        "2026-04-01 01:00 +0700", "2026-07-01 01:00 +0700",
        "2026-10-01 01:00 +0700", "2027-01-01 01:00 +0700",
    ]  # fmt: skip
    assert here(Weekly(6, time(4)), "2026-12-27", "2027-01-03", "Asia/Jakarta") == [
        "2026-12-27 04:00 +0700", "2027-01-03 04:00 +0700",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda: Weekly(7, time(0)),
        lambda: Monthly(29, time(0)),
        lambda: Monthly(0, time(0)),
        lambda: Monthly(1, time(0), (13,)),
        lambda: Monthly(1, time(0), ()),
        lambda: EveryHours(5),
        lambda: EveryHours(0),
        lambda: EveryMinutes(7),
        lambda: EveryMinutes(90),
    ],
)
def test_a_rule_that_would_not_be_exact_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()
