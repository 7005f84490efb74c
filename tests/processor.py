"""The CPU time of a piece of work in this process and its PostgreSQL, independent of other load on the machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backoffice.database.embedded import Services

TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(work: Callable[[], Any], services: Services) -> float:
    """The CPU seconds that the work takes in this process and in the database.

    Where the system does not report other processes' CPU time, the elapsed seconds.
    """
    began, before = time.perf_counter(), _spent(services)
    work()
    if before is None:
        return time.perf_counter() - began
    after = _spent(services)
    assert after is not None
    return after - before


def _spent(services: Services) -> float | None:
    """The CPU seconds of this process with its ended children, and of PostgreSQL's running and ended processes."""
    server = str(services.postgres.pid())
    if not Path("/proc/self/stat").exists():
        return None
    while True:
        spent, ended = sum(os.times()[:4]), _fields(server)[13:15]
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = _fields(folder.name)
            except OSError:
                continue
            if folder.name == server:
                spent += sum(map(int, fields[11:15])) / TICKS
            elif fields[1] == server:
                spent += sum(map(int, fields[11:13])) / TICKS
        if (
            _fields(server)[13:15] == ended
        ):  # else a process ended between two lines: it would count twice, or never
            return spent


def _fields(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
