"""The declarative base and the column vocabulary that every domain's tables share.

Imports neither Flask nor a domain, so that models and figures stay free of the web.
"""

from datetime import datetime
from typing import Annotated, cast

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Table, event, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

from .out_of_calendar import calendar_check

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every mapped class; its metadata is what the migrations compare with."""

    metadata = MetaData(naming_convention=NAMING)


@event.listens_for(Table, "after_parent_attach")
def _refuse_what_is_no_date(table: Table, metadata: MetaData) -> None:
    """Add the calendar CHECK to every table with dates or timestamps."""
    check = calendar_check(table) if metadata is Base.metadata else None
    if check is not None:
        table.append_constraint(check)


Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
"""A surrogate key that PostgreSQL assigns."""

Moment = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
"""A timestamp with time zone; by default the transaction's start."""


def table_of(model: type[DeclarativeBase]) -> Table:
    """The table behind a mapped class."""
    return cast(Table, model.__table__)


def N_(message: str) -> str:
    """Mark `message` for translation where it is shown; returns it unchanged."""
    return message


def counted(singular: str, plural: str) -> tuple[str, str]:
    """Mark both forms of a message with `%(num)s` for translation where the number is known."""
    return singular, plural
