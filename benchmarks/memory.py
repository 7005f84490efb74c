"""By how much a process grows while it works, as Linux counts it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextmanager
def growth() -> Iterator[Callable[[], float]]:
    """While this is open the process's peak is watched; afterwards it answers the growth in megabytes."""
    _CLEAR.write_text("5")  # the peak begins anew
    before = _kilobytes("VmRSS")
    peak: list[int] = []
    yield lambda: (peak[0] - before) / 1024
    peak.append(_kilobytes("VmHWM"))


def _kilobytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
