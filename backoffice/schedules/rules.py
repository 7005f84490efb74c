"""Rules of when a schedule is due, in the local (wall-clock) time of the business.

A rule is due at the moment at which local time first reaches its time or a later one. So
a time that is skipped when clocks go forward is due at that moment, and a time
that comes twice when clocks go back is due once, the first time.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)

EVERY_MONTH = tuple(range(1, 13))
EVERY_QUARTER = (1, 4, 7, 10)


@dataclass(frozen=True)
class Daily:
    """Every day at `at`."""

    at: time
    longest = 3 * DAY

    def times(self, _day: date) -> Iterator[time]:
        """The times of a day, in their order."""
        yield self.at


@dataclass(frozen=True)
class Weekly:
    """Every week on `weekday` (Monday is 0) at `at`."""

    weekday: int
    at: time
    longest = 9 * DAY

    def __post_init__(self) -> None:
        """Raises ValueError unless `weekday` is a day of the week."""
        if self.weekday not in range(7):
            raise ValueError(f"There is no weekday {self.weekday}; Monday is 0, Sunday is 6.")

    def times(self, day: date) -> Iterator[time]:
        """The times of a day, in their order."""
        if day.weekday() == self.weekday:
            yield self.at


@dataclass(frozen=True)
class Monthly:
    """On `day` of each of `months` at `at`."""

    day: int
    at: time
    months: tuple[int, ...] = EVERY_MONTH
    longest = 370 * DAY

    def __post_init__(self) -> None:
        """Raises ValueError for a day that some months lack, and for a month out of range."""
        if self.day not in range(1, 29):
            raise ValueError(f"Not every month has a day {self.day}; choose one from 1 to 28.")
        if not self.months or not set(self.months) <= set(EVERY_MONTH):
            raise ValueError(f"{self.months} are not months; January is 1.")

    def times(self, day: date) -> Iterator[time]:
        """The times of a day, in their order."""
        if day.day == self.day and day.month in self.months:
            yield self.at


@dataclass(frozen=True)
class EveryHours:
    """At midnight and every `hours` after it, starting again each day."""

    hours: int

    def __post_init__(self) -> None:
        """Raises ValueError unless `hours` divides a day."""
        if self.hours < 1 or 24 % self.hours:
            raise ValueError(f"A day does not divide into parts of {self.hours} hours.")

    @property
    def longest(self) -> timedelta:
        """The longest interval between two due times, given that clocks go back by two hours at most."""
        return timedelta(hours=self.hours + 2)

    def times(self, _day: date) -> Iterator[time]:
        """The times of a day, in their order."""
        yield from (time(hour) for hour in range(0, 24, self.hours))


@dataclass(frozen=True)
class EveryMinutes:
    """Every so many minutes, in elapsed time, independent of clock changes."""

    minutes: int

    def __post_init__(self) -> None:
        """Raises ValueError unless the minutes divide an hour."""
        if self.minutes < 1 or 60 % self.minutes:
            raise ValueError(f"An hour does not divide into parts of {self.minutes} minutes.")

    @property
    def longest(self) -> timedelta:
        """The longest interval between two due times."""
        return timedelta(minutes=self.minutes)


Rule = Daily | Weekly | Monthly | EveryHours | EveryMinutes
"""`longest` is the longest interval between two of its due times."""


def due_times(rule: Rule, after: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The due times of `rule` after `after` and not later than `until`, in UTC, in order, each once."""
    after, until = after.astimezone(UTC), until.astimezone(UTC)
    moments = (
        _steps(rule.minutes * 60, after)
        if isinstance(rule, EveryMinutes)
        else _moments(rule, after, until, zone)
    )
    last = after
    for moment in moments:
        if moment > until:
            return
        if moment > last:
            yield moment
            last = moment


def last_due(rule: Rule, now: datetime, zone: ZoneInfo) -> datetime:
    """The last due time of `rule`; `now`, if it is due now."""
    moments = due_times(rule, now - rule.longest - SECOND, now, zone)
    return deque(moments, maxlen=1).pop()


def next_due(rule: Rule, now: datetime, zone: ZoneInfo) -> datetime:
    """The next due time of `rule`, after `now`."""
    return next(due_times(rule, now, now + rule.longest + SECOND, zone))


def _steps(seconds: int, after: datetime) -> Iterator[datetime]:
    passed = int(after.timestamp()) // seconds
    while True:
        passed += 1
        yield datetime.fromtimestamp(passed * seconds, UTC)


def _moments(
    rule: Daily | Weekly | Monthly | EveryHours, after: datetime, until: datetime, zone: ZoneInfo
) -> Iterator[datetime]:
    day, last = after.astimezone(zone).date() - DAY, until.astimezone(zone).date()
    while day <= last:
        for at in rule.times(day):
            yield moment_of(datetime.combine(day, at), zone)
        day += DAY


def moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which local time in `zone` first reaches `wall` or later."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)  # the first, where it comes twice
    if _shown(moment, zone) == wall:
        return moment
    # A skipped time: PEP 495 reads it by the offset before the change, too late, and with fold=1
    # by the one after it, too early. The change lies in between, found to the second.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while moment - early > SECOND:
        middle = early + timedelta(seconds=(moment - early) // SECOND // 2)
        early, moment = (early, middle) if _shown(middle, zone) >= wall else (middle, moment)
    return moment


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """The local time of a moment in `zone`."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
