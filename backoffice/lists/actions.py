"""Actions on saved views. Never commits; users see only their own."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal
from .models import SavedView

MOST_VIEWS = 50
"""The most views that one user may save of one list."""


class ViewNameTaken(Refusal):
    """Another view of the list already has the name."""

    sentence = N_("You already have a view %(name)s of this list. Choose another name, or edit it.")


class TooManyViews(Refusal):
    """The user has too many views of the list."""

    sentence = N_("You have %(most)s views of this list. Delete one that you no longer need.")


def views_of(session: Session, user_id: int, listing: str) -> Sequence[SavedView]:
    """The user's views of the list, by name."""
    own = (SavedView.user_id == user_id) & (SavedView.list == listing)
    return session.scalars(
        select(SavedView).where(own).order_by(func.lower(SavedView.name), SavedView.id)
    ).all()


def view_of(session: Session, user_id: int, view_id: int) -> SavedView | None:
    """The view, if the user owns it."""
    return session.scalar(
        select(SavedView).where(SavedView.id == view_id, SavedView.user_id == user_id)
    )


def save_view(
    session: Session, user_id: int, listing: str, name: str, query: str, *, is_default: bool
) -> SavedView:
    """Save a list's query under a name.

    Raises ViewNameTaken and TooManyViews.
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
    """Change a view's name or content. Raises ViewNameTaken."""
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
