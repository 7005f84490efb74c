"""Charts as the server draws them: bars of exact amounts, a scale to read them by, links to the rows behind.

Every number that is shown stays a Decimal. Only geometry (percent of the width, pixels of the
height) is float: nothing reads an amount back from it.
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
"""Names under the bars; where there are more bars, only some are named."""

SHORT_LABEL = 3
"""Letters of a name that always has room: Jan."""

_STEPS = 4
_NICE = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_SHORT = {
    12: N_("%(number)sT"),
    9: N_("%(number)sB"),
    6: N_("%(number)sM"),
    3: N_("%(number)sK"),
}
"""Power of ten → how a tick of that size is written short, as the language has it."""


@dataclass(frozen=True)
class Point:
    """One bar: `label` stands under it, `title` says it in full, `href` leads to what is behind it.

    `mark` is a line across the bar (a target); `beside` is a second, paler bar (another year).
    """

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
    """A point with its places in the drawing. `room` is the whole strip that it stands in.

    `gives_way`: on a narrow screen its name is left out, so that those beside it can be read.
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
    """A line of the scale and what stands beside it."""

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
    """The drawing of `points`, in their order, over a scale that holds all of them.

    `counts`: they are numbers of things, of which there are no halves on the scale either.
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
    """Round numbers at equal distances that take in `lowest`, `highest` and 0; whole ones of `counts`."""
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
    """A round amount as briefly as the language writes it: 2.5M, 2,5 jt."""
    for power, words in _SHORT.items():
        if abs(amount) >= Decimal(1).scaleb(power):
            number = money.format_quantity(amount.scaleb(-power), number_format())
            return str(_(words, number=number))
    return money.format_quantity(amount, number_format())


def share(part: Decimal, whole: Decimal) -> str:
    """How long the bar of `part` is where that of `whole` fills its place; never negative."""
    return _percent(100 * float(max(part, Decimal(0)) / whole)) if whole > 0 else "0%"


@dataclass(frozen=True)
class _Places:
    """Where things stand between the lowest and the highest tick, `count` bars side by side."""

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
