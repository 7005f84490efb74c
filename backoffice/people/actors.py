"""Who acted, in words: what trail, corrections and runs hold as text is named here, in the reader's language."""

from collections.abc import Iterable, Mapping

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from ..base import N_
from .models import User

_MANNERS = {
    "cli": N_("%(name)s (command line)"),
    "schedule": N_("%(name)s (schedule)"),
    "token": N_("token %(name)s"),
    "worker": N_("%(name)s (worker)"),
}
"""What stands before the colon → how the rest is told. Users have names of their own."""


def names_of(
    session: Session | scoped_session[Session], actors: Iterable[str]
) -> Mapping[str, str]:
    """What each of `actors` is called on a screen; one statement, however many they are.

    `user:7` is the person's name (`#7` of somebody who is gone), `cli:root`, `schedule:nightly` and
    `worker:…` say what they are, and a text without a colon is a database user.
    """
    asked = set(actors)
    ids = {key for actor in asked if (key := _user_id(actor)) is not None}
    people = _people(session, ids) if ids else {}
    return {actor: _name(actor, people) for actor in asked}


def name_of(session: Session | scoped_session[Session], actor: str) -> str:
    """What one actor is called on a screen."""
    return names_of(session, [actor])[actor]


def _people(session: Session | scoped_session[Session], ids: set[int]) -> dict[int, str]:
    found = session.execute(select(User.id, User.name).where(User.id.in_(ids)))
    return {row.id: row.name for row in found}


def _name(actor: str, people: Mapping[int, str]) -> str:
    if not actor:
        return "–"
    kind, colon, name = actor.partition(":")
    if not colon:
        return _("%(name)s (database user)", name=actor)
    user_id = _user_id(actor)
    if user_id is not None:
        return people.get(user_id, f"#{user_id}")
    return _(_MANNERS[kind], name=name) if kind in _MANNERS else actor


def _user_id(actor: str) -> int | None:
    """The number in `user:7`; None of everything else, also of what no key can be."""
    kind, _colon, key = actor.partition(":")
    if kind != "user" or not (key.isascii() and key.isdigit()) or len(key) > 18:
        return None
    return int(key)
