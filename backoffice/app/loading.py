"""Process start-up: garbage collection is off, since imports leave no garbage and it takes a fifth of the time."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .edge import Backoffice


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable garbage collection during the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def collect_again() -> None:
    """Enable garbage collection after the start, except for the objects made until then."""
    gc.freeze()
    gc.enable()


def end_without_collecting() -> None:
    """Spare this process the last garbage collection: the system gets all memory back, and it takes half a second."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


@contextmanager
def unread(name: str) -> Iterator[None]:
    """Make the package `name` seem not installed, for another that imports it for a feature this app never uses."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def read_ahead(app: "Backoffice") -> None:
    """Do once, before this process forks, what each of its children would do for itself at its first run or page."""
    from sqlalchemy.orm import configure_mappers

    from ..figures import registry
    from ..figures.computing.definitions import digests

    with uncollected():
        app.declared.kinds  # noqa: B018 (imports the modules of all kinds of runs)
        configure_mappers()
        digests(registry)
