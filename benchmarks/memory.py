"""The growth of a process's memory while it works, as measured by Linux."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextmanager
def growth() -> Iterator[Callable[[], float]]:
    """Measure the process's peak memory during the block; yields a function that then returns the growth in MB."""
    _CLEAR.write_text("5")  # resets the peak
    before = _kilobytes("VmRSS")
    peak: list[int] = []
    yield lambda: (peak[0] - before) / 1024
    peak.append(_kilobytes("VmHWM"))


def _kilobytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
