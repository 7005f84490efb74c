"""The server's processes share their counters: each writes files of one folder, of which a scrape reads the sum.

Imported by the server's configuration before anything else; so it imports nothing that counts.
"""

import os
import shutil
import tempfile
import time
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable from which prometheus-client reads the folder, when it is imported."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (mkdtemp makes a private folder there)
NAME = "backoffice-metrics-"
HELD = "held"
"""A file in the folder that the server's processes keep locked, so that a leftover can be recognised."""

FRESH_SECONDS = 60.0
"""A folder that is younger may still be in creation."""

_held: list[int] = []


def begin() -> None:
    """Create the server's folder of counters, in memory where possible; once in a server's life."""
    ours = f"{NAME}{os.getpid()}-"
    if Path(os.environ.get(VARIABLE, "")).name.startswith(ours):
        return  # the configuration is read again at a reload of the server
    place = _place()
    _remove_leftovers(place)
    folder = Path(tempfile.mkdtemp(prefix=ours, dir=place))
    lock = os.open(folder / HELD, os.O_CREAT | os.O_RDWR, 0o600)
    flock(lock, LOCK_EX)
    _held.append(lock)
    os.environ[VARIABLE] = str(folder)


def forget(process: int) -> None:
    """Drop the live gauges of a process that has ended; its counters stay."""
    from prometheus_client.multiprocess import mark_process_dead

    if os.environ.get(VARIABLE):
        mark_process_dead(process)  # type: ignore[no-untyped-call]


def end() -> None:
    """Remove the folder, when the server has ended."""
    folder = os.environ.pop(VARIABLE, "")
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    in_memory = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    return SHARED_MEMORY if in_memory else Path(tempfile.gettempdir())


def _remove_leftovers(place: Path) -> None:
    """Remove the folders of this app's servers that were killed and could not do it themselves."""
    for folder in place.glob(f"{NAME}*"):
        try:
            found = folder.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > FRESH_SECONDS:
                _remove_unless_held(folder)
        except OSError:
            continue  # locked, or removed meanwhile


def _remove_unless_held(folder: Path) -> None:
    """Remove the folder. Raises OSError where some process holds its lock."""
    with open(folder / HELD, "a") as lock:
        flock(lock, LOCK_EX | LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
