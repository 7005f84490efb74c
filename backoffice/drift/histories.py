"""Corrections as events of a record's history: each column's value before and after, and the difference."""

from collections.abc import Iterable, Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..audit.histories import Change, Event
from ..figures import Figure
from ..figures.models import Correction
from ..figures.showing.explanation import key_as_stored
from ..people.actors import Actors
from ..web import record_links as subjects
from . import wording


def corrections_of(
    session: Session, figures: Iterable[Figure], owner: int, *, limit: int
) -> Sequence[Correction]:
    """The corrections of these figures of one owner, newest first."""
    names = [figure.name for figure in figures]
    found = select(Correction).where(Correction.owner == owner, Correction.figure.in_(names))
    return session.scalars(found.order_by(Correction.id.desc()).limit(limit)).all()


def corrections_of_row(
    session: Session, figure: Figure, owner: int, row: Any, *, limit: int
) -> Sequence[Correction]:
    """The corrections of one row of a figure with several rows per owner, newest first."""
    key = key_as_stored(figure, [getattr(row, k.key) for k in figure.key])
    found = select(Correction).where(
        Correction.figure == figure.name, Correction.owner == owner, Correction.key == key
    )
    return session.scalars(found.order_by(Correction.id.desc()).limit(limit)).all()


def who_made(correction: Correction) -> str:
    """The actor of a correction; for one caused by an outside program, its database user."""
    return correction.actor or correction.db_user


def corrected(correction: Correction, actors: Actors, where: str = "") -> Event:
    """A correction as an event; `where` precedes the name of each column."""
    figure, before, after = correction.figure, correction.before or {}, correction.after or {}
    changes = (
        Change(
            where + _(subjects.label_of(figure, column)),
            wording.value(figure, column, before.get(column)),
            wording.value(figure, column, after.get(column)),
            wording.difference(figure, column, before.get(column), after.get(column)),
        )
        for column in {**before, **after}
    )
    who = actors.actor(who_made(correction))
    return Event(correction.at, who, "corrected", tuple(changes), correction.reason)
