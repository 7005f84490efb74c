"""Queries of users, for the administration screens and commands."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, scoped_session

from ..base.actor import actor
from ..base.identifiers import is_id
from ..base.matching import holding
from ..web.paging import PAGE_SIZE, Page
from .models import User, WebSession

STATES = ("active", "disabled")


@dataclass(frozen=True)
class Listed:
    """A user in the list, with the number of their live sessions."""

    user: User
    sessions: int


def find_users(
    session: Session | scoped_session[Session],
    *,
    search: str = "",
    role: str = "",
    state: str = "",
    page: int = 1,
    size: int = PAGE_SIZE,
) -> Page[Listed]:
    """The users with every word of `search` in their name or address, by name."""
    wanted = _conditions(search, role, state)
    total = session.scalar(select(func.count()).select_from(User).where(*wanted)) or 0
    number = max(1, min(page, -(-total // size)))
    rows = session.execute(
        select(User, _live_sessions().label("sessions"))
        .where(*wanted)
        .order_by(func.lower(User.name), User.id)
        .limit(size)
        .offset((number - 1) * size)
    )
    return Page([Listed(row.User, row.sessions) for row in rows], number, size, total)


def user_by_email(session: Session | scoped_session[Session], email: str) -> User | None:
    """The user with this address, in any letter case."""
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def acting_user(session: Session | scoped_session[Session]) -> User | None:
    """The user that this process represents; None for a command, a program or no actor."""
    return user_acting_as(session, actor.get())


def user_acting_as(session: Session | scoped_session[Session], name: str) -> User | None:
    """The current row of the actor `user:7`; None for any other actor."""
    reported, _colon, key = name.partition(":")
    if reported != "user" or not is_id(key):
        return None
    return session.get(User, int(key), populate_existing=True)


def live_sessions_of(session: Session | scoped_session[Session], user: User) -> int:
    """The number of browsers on which `user` is signed in."""
    return session.scalar(select(_live_sessions()).where(User.id == user.id)) or 0


def _live_sessions() -> ColumnElement[int]:
    return (
        select(func.count())
        .where(WebSession.user_id == User.id, WebSession.expires_at > func.now())
        .correlate(User)
        .scalar_subquery()
    )


def _conditions(search: str, role: str, state: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        holding(word, User.name, User.email) for word in search.split()
    ]
    if role:
        conditions.append(User.role == role)
    if state in STATES:
        conditions.append(User.is_active.is_(state == "active"))
    return conditions
