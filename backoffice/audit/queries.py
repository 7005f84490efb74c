"""The history of a record, newest first."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ..people.models import User
from .models import AuditEvent


def person_of(actor: Any) -> ColumnElement[str]:
    """The name of the user in a column of actors like `user:7`, found by primary key; null for programs."""
    number = func.substring(actor, "^user:([0-9]{1,18})$")
    named = select(User.name).where(User.id == cast(number, BigInteger))
    return named.correlate_except(User).scalar_subquery()


def history(
    session: Session,
    table_name: str,
    row_id: object,
    *,
    parts: Sequence[InstrumentedAttribute[int]] = (),
    limit: int = 200,
) -> Sequence[AuditEvent]:
    """The last `limit` changes of one row and of its parts, newest first.

    `parts` are the foreign keys by which rows of other tables belong to it (an order's lines); deleted or moved ones
    are included.
    """
    mine = and_(AuditEvent.table_name == table_name, AuditEvent.row_id == str(row_id))
    belongs = or_(mine, *(_of_part(part, row_id) for part in parts))
    statement = select(AuditEvent).where(belongs).order_by(AuditEvent.id.desc()).limit(limit)
    return session.scalars(statement).all()


def _of_part(part: InstrumentedAttribute[int], owner_id: object) -> ColumnElement[bool]:
    """Events of the rows that point to `owner_id` through `part`, now or before."""
    key = next(iter(part.class_.__table__.primary_key))
    name = part.class_.__tablename__
    now = select(cast(key, Text)).where(part == owner_id)
    once = select(AuditEvent.row_id).where(
        AuditEvent.table_name == name,
        AuditEvent.before[part.key].astext == str(owner_id),
    )
    return and_(AuditEvent.table_name == name, AuditEvent.row_id.in_(now.union(once)))
