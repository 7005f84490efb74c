"""How other records refer to meters: by number."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...base import N_
from ...base.matching import holding
from ...records import Named
from ..models import Meter

OFFERED = 20


def matching(session: Session, text: str) -> Sequence[Meter]:
    """The first meters with the text in their number."""
    rows = select(Meter).order_by(Meter.number).limit(OFFERED)
    if text:
        rows = rows.where(holding(text, Meter.number))
    return session.scalars(rows).all()


def _meant(session: Session, text: str) -> Sequence[Meter]:
    return session.scalars(select(Meter).where(Meter.number == text)).all()


METERS = Named(
    Meter.number,
    meant=_meant,
    label=lambda meter: meter.number,
    none=N_("There is no such meter. Type its number, or choose it."),
    offered=lambda session: matching(session, ""),
    options="meters.options",
    page="meters.record",
)
