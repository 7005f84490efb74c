"""Functions that are read when they are called: who lists what can be done does not read how."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


class Late:
    """A module's functions; the module is imported when one of them is called first.

    For what a declaration names and only a worker or a screen executes. Beside `if TYPE_CHECKING:`, with the import
    that it stands for.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The function of that name; raises AttributeError when it is called and there is none."""
        if name.startswith("_"):
            raise AttributeError(name)

        def called(*arguments: Any, **named: Any) -> Any:
            return getattr(import_module(self._module), name)(*arguments, **named)

        return called
