"""Timing in turn, so that a busy minute of the machine affects every side equally."""

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median, quantiles

Side = Callable[[], float]
"""Does the work once; returns the seconds that are measured."""


def timed(*steps: Callable[[], object]) -> float:
    """The seconds that the steps take together, one after the other."""
    start = time.perf_counter()
    for step in steps:
        step()
    return time.perf_counter() - start


def in_turn(sides: Mapping[str, Side], rounds: int, *, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of each side, one run of each per round; every round begins with a different side."""
    names = list(sides)
    for _ in range(warm_up):
        for side in sides.values():
            side()
    gc.collect()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(rounds):
        first = round_number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(sides[name]())
    return seconds


def ratio(mine: list[float], other: list[float]) -> float:
    """The median of `mine` over the median of `other`."""
    return median(mine) / median(other)


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, quartiles and the fastest run in milliseconds, and how many runs there were."""
    low, middle, high = (
        quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 3
    )
    shown = {"median_ms": middle, "lower_quartile_ms": low, "upper_quartile_ms": high}
    shown["fastest_ms"] = min(seconds)
    return {name: round(value * 1000, 4) for name, value in shown.items()} | {"runs": len(seconds)}
