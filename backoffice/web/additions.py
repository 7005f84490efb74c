"""Additions by domains to the screens of other domains' records, which do not know them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from ..app.domain import declared

if TYPE_CHECKING:
    from ..lists import Column


@dataclass(frozen=True)
class Addition:
    """A template on the screen of every record `of` a model, and its context.

    `context` is a function of the record, the user and the page number; None: nothing to show to this user.
    """

    of: type
    template: str
    context: Callable[[Any, Any, int], dict[str, Any] | None]


@dataclass(frozen=True)
class Columns:
    """Additional columns in the list `of` a model, as the user may see them; their values correlate with its id."""

    of: type
    ask: Callable[[Any], Sequence["Column"]]


@dataclass(frozen=True)
class Notes:
    """Notes beside the saves in the history of a record `of` a model, by its id: transaction → sentence."""

    of: type
    ask: Callable[[Session, int], Mapping[int, str]]


def parts_of(record: Any, user: Any, number: int = 1) -> list[dict[str, Any]]:
    """The additions of other domains to the record's screen: templates with their contexts."""
    parts = [part for part in declared().parts if isinstance(record, part.of)]
    contexts = [(part, part.context(record, user, number)) for part in parts]
    return [
        {"template": part.template, **context} for part, context in contexts if context is not None
    ]


def columns_of(model: type, user: Any) -> Iterator["Column"]:
    """The columns that other domains add to the list of the model."""
    return (c for added in declared().columns if added.of is model for c in added.ask(user))


def notes_of(session: Session, record: Any) -> dict[int, str]:
    """The notes of other domains on the saves of the record, by transaction."""
    asked = (added for added in declared().notes if isinstance(record, added.of))
    return {xid: note for added in asked for xid, note in added.ask(session, record.id).items()}
