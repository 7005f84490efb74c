"""Charts rendered by the server: bars of exact amounts, a scale, links to the underlying rows.

Displayed numbers stay Decimal. Only geometry (percent of the width, pixels of the height) is float; no amount is read
back from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from flask_babel import gettext as _

from ..base import N_, money
from .preferences import number_format

HEIGHT = 180
"""Pixels between the lowest and the highest tick."""

MOST_LABELS = 12
"""The most labels under the bars; with more bars, only some are labelled."""

SHORT_LABEL = 3
"""Characters of a label that always fits, such as Jan."""

_STEPS = 4
_NICE = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_SHORT = {
    12: N_("%(number)sT"),
    9: N_("%(number)sB"),
    6: N_("%(number)sM"),
    3: N_("%(number)sK"),
}
"""Power of ten → the abbreviation of a tick of that size, by language."""


@dataclass(frozen=True)
class Point:
    """One bar: `label` stands under it, `title` is its full name, `href` leads to its underlying rows."""

    label: str
    title: str
    value: Decimal
    mark: Decimal | None = None
    beside: Decimal | None = None
    href: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle: percent across, pixels down."""

    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """A point with its positions in the drawing. `room` is the whole strip around it.

    `gives_way`: on a narrow screen its label is hidden, so that its neighbours stay legible.
    """

    point: Point
    room: Box
    bar: Box
    beside: Box | None
    mark: Box | None
    middle: str
    is_labelled: bool
    gives_way: bool


@dataclass(frozen=True)
class Tick:
    """A line of the scale and its label."""

    y: str
    label: str
    is_zero: bool


@dataclass(frozen=True)
class Chart:
    """Bars over a scale, ready to be drawn."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    height: int = HEIGHT


def bar_chart(points: Sequence[Point], *, counts: bool = False) -> Chart:
    """The chart of `points`, in their order, over a scale that contains all of them.

    `counts`: the values are counts, so the scale has no fractions.
    """
    numbers = [n for p in points for n in (p.value, p.mark, p.beside) if n is not None]
    lowest, highest = min(numbers, default=Decimal(0)), max(numbers, default=Decimal(0))
    ticks = scale(lowest, highest, counts=counts)
    place = _Places(ticks[0], ticks[-1], len(points))
    every = max(1, -(-len(points) // MOST_LABELS))
    return Chart(
        tuple(place.bar(i, point, every) for i, point in enumerate(points)),
        tuple(Tick(_pixels(place.down(t)), short(t), t == 0) for t in ticks),
    )


def scale(lowest: Decimal, highest: Decimal, *, counts: bool = False) -> list[Decimal]:
    """Round numbers at equal distances that include `lowest`, `highest` and 0; integers for `counts`."""
    low, high = min(lowest, Decimal(0)), max(highest, Decimal(0))
    if low == high:
        return [Decimal(0), Decimal(1)]
    rough = (high - low) / _STEPS
    if counts:
        rough = max(rough, Decimal(1))
    power = Decimal(1).scaleb(rough.adjusted())
    steps = (nice * power for nice in _NICE)
    step = next(s for s in steps if s >= rough and not (counts and s % 1))
    first = (low / step).to_integral_value(ROUND_FLOOR)
    last = (high / step).to_integral_value(ROUND_CEILING)
    return [step * number for number in range(int(first), int(last) + 1)]


def short(amount: Decimal) -> str:
    """A round amount abbreviated in the user's language: 2.5M, 2,5 jt."""
    for power, words in _SHORT.items():
        if abs(amount) >= Decimal(1).scaleb(power):
            number = money.format_quantity(amount.scaleb(-power), number_format())
            return str(_(words, number=number))
    return money.format_quantity(amount, number_format())


def share(part: Decimal, whole: Decimal) -> str:
    """The CSS length of the bar of `part`, where `whole` is full length; never negative."""
    return _percent(100 * float(max(part, Decimal(0)) / whole)) if whole > 0 else "0%"


@dataclass(frozen=True)
class _Places:
    """Positions between the lowest and the highest tick, for `count` bars side by side."""

    lowest: Decimal
    highest: Decimal
    count: int

    def down(self, amount: Decimal) -> float:
        return HEIGHT * float((self.highest - amount) / (self.highest - self.lowest))

    def box(self, left: float, width: float, amount: Decimal) -> Box:
        zero, end = self.down(Decimal(0)), self.down(amount)
        return Box(
            _percent(left), _pixels(min(zero, end)), _percent(width), _pixels(abs(zero - end))
        )

    def bar(self, index: int, point: Point, every: int) -> Bar:
        strip = 100 / self.count
        left = strip * index
        with_beside = point.beside is not None
        width = strip * (0.36 if with_beside else 0.6)
        start = left + strip * (0.48 if with_beside else 0.2)
        mark = None
        if point.mark is not None:
            mark = Box(
                _percent(left + strip * 0.1),
                _pixels(self.down(point.mark) - 1),
                _percent(strip * 0.8),
                "2.5",
            )
        return Bar(
            point=point,
            room=Box(_percent(left), "0", _percent(strip), str(HEIGHT + 24)),
            bar=self.box(start, width, point.value),
            beside=None
            if point.beside is None
            else self.box(left + strip * 0.12, width, point.beside),
            mark=mark,
            middle=_percent(left + strip / 2),
            is_labelled=index % every == 0,
            gives_way=index // every % 2 == 1 and len(point.label) > SHORT_LABEL,
        )


def _percent(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".") + "%"


def _pixels(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
