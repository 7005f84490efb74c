"""Lists: columns, filters, totals of the whole filter, saved views, exports.

A domain declares its columns and filters once (`List`); `show` is its screen. See docs/lists.md. The rendering and
export modules are loaded when a screen first needs them: a command declares lists and renders none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .computed import computed_list
from .declaration import Buttons, Column, List
from .filters import AsOf, Choice, Days, Moments, Reference, Said, Search, containing, text_in
from .queries import neighbours
from .state import state_of

if TYPE_CHECKING:
    from .exporting import add_export, export, limited
    from .screens import add_list, asked, look, part, show
    from .wording import in_words

__all__ = [
    "AsOf", "Buttons", "Choice", "Column", "Days", "List", "Moments", "Reference", "Said", "Search", "add_export",
    "add_list", "asked", "computed_list", "containing", "export", "in_words", "limited", "look", "neighbours", "part",
    "show", "state_of", "text_in",
]  # fmt: skip

_OF_SCREENS = {
    **dict.fromkeys(("add_export", "export", "limited"), "exporting"),
    **dict.fromkeys(("add_list", "asked", "look", "part", "show"), "screens"),
    "in_words": "wording",
}


def __getattr__(name: str) -> Any:
    if name not in _OF_SCREENS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_OF_SCREENS[name]}", __name__), name)
