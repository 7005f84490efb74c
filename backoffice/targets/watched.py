"""How drift findings of targets are named and linked, and which figures are recalculated for a manager."""

from typing import Any

from flask import url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..drift.recalculation import Owners, OwnersOf
from ..orders.figures import ORDER_FIGURES
from ..orders.models import Order
from ..people.models import User
from ..web.record_links import Place, Subject
from .figures import TARGET_FIGURES
from .models import AccountManagerTarget
from .queries import manager_of


def _name(owner: Any, key: Any) -> Any:
    month = func.left(key["month"].astext, 7)  # NULL for a finding about all months of the manager
    return select(func.concat_ws(" · ", User.name, month)).where(User.id == owner).scalar_subquery()


def _named(text: str) -> Any:
    return select(User.id).where((User.name == text) | (User.email == text))


def _code(place: Place) -> str:
    return f"{place.owner}/{str(place.key.get('month', ''))[:7]}"


def _record(place: Place) -> str:
    return url_for("targets.record", code=_code(place))


def _calculation(place: Place, column: str) -> str:
    return url_for("targets.calculation_of", code=_code(place), column=column)


def _of_manager(session: Session, user: Any, manager_id: int) -> Owners | None:
    """The figures of a manager, from the lines of their orders upwards; None if the user may not see the manager."""
    if manager_of(session, user, manager_id) is None:
        return None
    orders = select(Order.id).where(Order.account_manager_id == manager_id).order_by(Order.id)
    own = {figure.name: list(session.scalars(orders)) for figure in ORDER_FIGURES}
    return own | {figure.name: [manager_id] for figure in TARGET_FIGURES}


SUBJECTS = (Subject(AccountManagerTarget.__tablename__, _name, _record, _calculation, _named),)
OWNERS = (OwnersOf("manager", _of_manager),)
