"""What can be done with saved views. Never commits; everybody has only their own."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal
from .models import SavedView

MOST_VIEWS = 50
"""Views that one person keeps of one list."""


class ViewNameTaken(Refusal):
    """Two views of a list cannot share a name."""

    sentence = N_("You already have a view %(name)s of this list. Choose another name, or edit it.")


class TooManyViews(Refusal):
    """More views than anybody finds their way among."""

    sentence = N_("You have %(most)s views of this list. Delete one that you no longer need.")


def views_of(session: Session, user_id: int, listing: str) -> Sequence[SavedView]:
    """The person's views of the list, by name."""
    own = (SavedView.user_id == user_id) & (SavedView.list == listing)
    return session.scalars(
        select(SavedView).where(own).order_by(func.lower(SavedView.name), SavedView.id)
    ).all()


def view_of(session: Session, user_id: int, view_id: int) -> SavedView | None:
    """The view, if it is the person's own."""
    return session.scalar(
        select(SavedView).where(SavedView.id == view_id, SavedView.user_id == user_id)
    )


def save_view(
    session: Session, user_id: int, listing: str, name: str, query: str, *, is_default: bool
) -> SavedView:
    """Keep a list's address under a name.

    Raises:
        ViewNameTaken, TooManyViews: as they say.
    """
    if len(views_of(session, user_id, listing)) >= MOST_VIEWS:
        raise TooManyViews(most=MOST_VIEWS)
    view = SavedView(user_id=user_id, list=listing)
    change_view(session, view, name, query, is_default=is_default)
    session.add(view)
    session.flush()
    return view


def change_view(
    session: Session, view: SavedView, name: str, query: str, *, is_default: bool
) -> None:
    """Give a view another name or content. Raises ViewNameTaken."""
    own = (SavedView.user_id == view.user_id) & (SavedView.list == view.list)
    other = select(SavedView.id).where(own, SavedView.name == name)
    if view.id is not None:
        other = other.where(SavedView.id != view.id)
    if session.scalar(other) is not None:
        raise ViewNameTaken(name=name)
    if is_default and not view.is_default:
        session.execute(update(SavedView).where(own).values(is_default=False))
    view.name, view.query, view.is_default = name, query, is_default
    session.flush()
