"""When something is due: a small vocabulary of rules, read on the clock on the wall of the business.

A rule is due at the moment at which the clock on the wall first shows its time or a later one. So
what is due at a time that clocks skip happens at the moment they skip, and what is due at a time
that comes twice happens once, the first time.
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
        """Raises ValueError unless it is a day of the week."""
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
        """Raises ValueError for a day that some months lack, and for what is no month."""
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
    """At 0 o'clock and every `hours` after it, anew each day."""

    hours: int

    def __post_init__(self) -> None:
        """Raises ValueError unless a day divides into them."""
        if self.hours < 1 or 24 % self.hours:
            raise ValueError(f"A day does not divide into parts of {self.hours} hours.")

    @property
    def longest(self) -> timedelta:
        """No two due times are further apart; clocks go back by two hours at most."""
        return timedelta(hours=self.hours + 2)

    def times(self, _day: date) -> Iterator[time]:
        """The times of a day, in their order."""
        yield from (time(hour) for hour in range(0, 24, self.hours))


@dataclass(frozen=True)
class EveryMinutes:
    """Every so many minutes, whatever clocks on walls do meanwhile."""

    minutes: int

    def __post_init__(self) -> None:
        """Raises ValueError unless an hour divides into them."""
        if self.minutes < 1 or 60 % self.minutes:
            raise ValueError(f"An hour does not divide into parts of {self.minutes} minutes.")

    @property
    def longest(self) -> timedelta:
        """No two due times are further apart."""
        return timedelta(minutes=self.minutes)


Rule = Daily | Weekly | Monthly | EveryHours | EveryMinutes
"""`longest`: no two of its due times are further apart."""


def due_times(rule: Rule, after: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """When `rule` is due after `after` and not later than `until`, in UTC, in order, each once."""
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
    """When `rule` was due last; now, if it is due now."""
    moments = due_times(rule, now - rule.longest - SECOND, now, zone)
    return deque(moments, maxlen=1).pop()


def next_due(rule: Rule, now: datetime, zone: ZoneInfo) -> datetime:
    """When `rule` will be due next, after `now`."""
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
    """The moment, in UTC, at which clocks on walls in `zone` first show `wall` or later."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)  # of two, the first
    if _shown(moment, zone) == wall:
        return moment
    # Skipped: PEP 495 reads such a time by the offset before the change, too late, and with fold=1
    # by the one after it, too early. In between, to the second, is the change.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while moment - early > SECOND:
        middle = early + timedelta(seconds=(moment - early) // SECOND // 2)
        early, moment = (early, middle) if _shown(middle, zone) >= wall else (middle, moment)
    return moment


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
