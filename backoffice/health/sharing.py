"""The last examination of the database's objects, shared by the requests of some seconds."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from .checks import Readiness


class Shared:
    """The last result of this process. One request examines; those that ask at the same time wait for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: tuple[float, Readiness] | None = None

    def get(self, seconds: float, examine: Callable[[], Readiness]) -> Readiness:
        """Return the last result, or examine again where it is older than so many seconds."""
        with self._lock:
            if self._last is None or monotonic() - self._last[0] >= seconds:
                self._last = (monotonic(), examine())
            return self._last[1]
