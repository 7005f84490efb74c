"""Lazy imports: declarations can name functions without importing their modules."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def named(name: str) -> Any:
    """What a declaration names as `module:NAME`; imports the module."""
    module, _colon, held = name.partition(":")
    return getattr(import_module(module), held)


class Late:
    """The functions of a module that is imported on the first call of one.

    For functions that a declaration names and only a worker or a screen executes. Used with the real import under
    `if TYPE_CHECKING:`.
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
