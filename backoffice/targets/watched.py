"""Targets as the watch over figures knows them: what a wrong month is called, and where it is shown."""

from typing import Any

from flask import url_for
from sqlalchemy import func, select

from .. import subjects
from ..people.models import User
from ..subjects import Place, Subject
from . import notices
from .models import AccountManagerTarget


def _month(key: Any) -> str:
    return str(key.get("month", ""))[:7]


def _name(owner: Any, key: Any) -> Any:
    month = func.left(key["month"].astext, 7)
    return select(func.concat(User.name, " · ", month)).where(User.id == owner).scalar_subquery()


def _named(text: str) -> Any:
    return select(User.id).where((User.name == text) | (User.email == text))


def _record(place: Place) -> str:
    return url_for("targets.record", manager_id=place.owner, month=_month(place.key))


def register() -> None:
    """Say it; called once, where the screens are."""
    notices.register_notices()
    subjects.register(
        AccountManagerTarget.__tablename__,
        Subject(_name, _record, lambda place, _column: _record(place), _named),
    )
