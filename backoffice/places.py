"""What a text in the search of the shell leads to beside an order: each domain says it of its own records.

Names no domain; imported by domains.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

Find = Callable[[Session, Any, str], str | None]
"""Of a session, the user and a text: the address of the record that has exactly that number, if they may see it."""

_FINDERS: list[Find] = []


def register(find: Find) -> None:
    """Let the search ask `find`; who is registered first is asked first."""
    if find not in _FINDERS:
        _FINDERS.append(find)


def find(session: Session, user: Any, text: str) -> str | None:
    """The address of the first record that has exactly that number; None: there is none for this user."""
    wanted = text.strip()
    if not wanted:
        return None
    return next((url for ask in _FINDERS if (url := ask(session, user, wanted))), None)
