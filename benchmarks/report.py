"""The result of a benchmark: each measured value beside its bar, with the numbers behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One measured value. Without a `bar` it is only reported; with `at_least` the bar is a minimum, else a maximum."""

    bench: str
    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def missed_by(self) -> float:
        """By what share of the bar the value misses it; 0 where the bar is met."""
        if self.bar is None:
            return 0.0
        beyond = self.bar - self.value if self.at_least else self.value - self.bar
        return max(0.0, beyond / self.bar)

    @property
    def verdict(self) -> str:
        """`met`, `missed by N %`, or `reported` where there is no bar."""
        if self.bar is None:
            return "reported"
        return f"missed by {self.missed_by:.0%}" if self.missed_by else "met"

    def as_dict(self) -> dict[str, Any]:
        """The value for JSON."""
        return {
            "bench": self.bench,
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "bar": None if self.bar is None else round(self.bar, 3),
            "bar_is": "at least" if self.at_least else "at most",
            "verdict": self.verdict,
        }


@dataclass
class Report:
    """One benchmark's measured values, the numbers behind them for JSON, and texts that explain them."""

    figures: list[Measured]
    numbers: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


def table(figures: Sequence[Measured]) -> str:
    """The measured values in columns, for a terminal."""
    rows = [("", "bar", "measured", "verdict")]
    rows += [
        (f"({f.bench}) {f.name}", _bar(f), _amount(f.value, f.unit), f.verdict) for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _bar(figure: Measured) -> str:
    if figure.bar is None:
        return ""
    return ("≥ " if figure.at_least else "≤ ") + _amount(figure.bar, figure.unit)


def _amount(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}"
