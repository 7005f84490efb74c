"""Names of actors: renders the actor texts of trail, corrections and runs in the reader's language."""

from collections.abc import Iterable, Mapping

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from ..base import N_
from ..base.identifiers import is_id
from .models import ApiToken, User

_MANNERS = {
    "cli": N_("%(name)s (command line)"),
    "schedule": N_("%(name)s (schedule)"),
    "token": N_("%(name)s (token)"),
    "worker": N_("%(name)s (worker)"),
}
"""Prefix before the colon → the format of the name. Users are shown by name alone."""

_NAMED: Mapping[str, type[User] | type[ApiToken]] = {"user": User, "token": ApiToken}
"""Prefix before the colon → the model that the number after it identifies."""

_PROGRAMS = {"demo": N_("The demo company"), "upgrade": N_("The upgrade")}
"""Parts of Backoffice that act without a request."""


def names_of(
    session: Session | scoped_session[Session], actors: Iterable[str]
) -> Mapping[str, str]:
    """The display name of each of `actors`; at most one statement for users and one for tokens.

    `user:7` becomes the user's name (`#7` for a deleted user), `token:2` the program's; `cli:root`,
    `schedule:nightly` and `worker:…` name the kind of process, as do parts of Backoffice; any other text without a
    colon is a database user.
    """
    asked = set(actors)
    named = {
        f"{kind}:{key}": name
        for kind, model in _NAMED.items()
        for key, name in _found(session, model, {_key(kind, actor) for actor in asked} - {None})
    }
    return {actor: _name(actor, named) for actor in asked}


class Actors:
    """Names of many actors; those of `actors` are read at once."""

    def __init__(
        self, session: Session | scoped_session[Session], actors: Iterable[str] = ()
    ) -> None:
        self._session = session
        self._names = names_of(session, actors)

    def actor(self, actor: str) -> str:
        """The display name of an actor, preloaded or not."""
        return self._names.get(actor) or name_of(self._session, actor)


def name_of(session: Session | scoped_session[Session], actor: str) -> str:
    """The display name of one actor."""
    return names_of(session, [actor])[actor]


def _found(
    session: Session | scoped_session[Session],
    model: type[User] | type[ApiToken],
    keys: set[int | None],
) -> Iterable[tuple[int, str]]:
    if not keys:
        return ()
    found = session.execute(select(model.id, model.name).where(model.id.in_(keys)))
    return [(row.id, row.name) for row in found]


def _name(actor: str, named: Mapping[str, str]) -> str:
    if not actor:
        return "–"
    kind, colon, rest = actor.partition(":")
    if actor in _PROGRAMS:
        return _(_PROGRAMS[actor])
    if not colon:
        return _("%(name)s (database user)", name=actor)
    if kind in _NAMED:
        key = _key(kind, actor)
        if key is None:
            return actor
        rest = named.get(f"{kind}:{key}", f"#{key}")
    if kind == "user":
        return rest
    return _(_MANNERS[kind], name=rest) if kind in _MANNERS else actor


def _key(kind: str, actor: str) -> int | None:
    """The number in `user:7`; None if there is none, or if no key can hold it."""
    reported, _colon, key = actor.partition(":")
    return int(key) if reported == kind and is_id(key) else None
