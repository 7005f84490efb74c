"""How a process starts: what it reads then is no garbage, and to search it takes a fifth of the start."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing that is made inside is looked through for garbage meanwhile."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def collect_again() -> None:
    """The process has started: look for garbage from now on, but not in what was read."""
    gc.freeze()
    gc.enable()


@contextmanager
def unread(name: str) -> Iterator[None]:
    """The package `name` seems not to be installed: for the sake of another that reads it for what we never use."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
