"""The audit trail: who changed which row, from what to what. Written by triggers only."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, Index, Text, cast, func, text, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from ..base import Base, Id
from ..figures.models import Xid8

ACTOR_DEFAULT = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"
"""Who acts: whom the app names for the transaction, else the database user."""


class ExactValues(TypeDecorator[dict[str, Any]]):
    """Column values as jsonb; numbers with decimals are read back as strings, never as floats."""

    impl = JSONB
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Fetch the document as text, so that the driver does not turn its numbers into floats."""
        return type_coerce(cast(column, Text), self)

    def process_result_value(self, value: Any, _dialect: Dialect) -> dict[str, Any] | None:
        """The document with its amounts as the strings that PostgreSQL wrote."""
        return None if value is None else json.loads(value, parse_float=str)


class AuditEvent(Base):
    """One change of one row. Append-only.

    An INSERT has only `after`, a DELETE only `before`; an UPDATE has the changed columns in both;
    a TRUNCATE has neither, nor a row. `actor` is what the app says, `db_user` what PostgreSQL
    knows. In (xid, id) order the trail is complete up to the oldest transaction still running,
    which is the order in which it can be sealed.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_table_name_row_id_id", "table_name", "row_id", "id"),
        Index("ix_audit_events_xid_id", "xid", "id"),
    )

    id: Mapped[Id]
    xid: Mapped[int] = mapped_column(Xid8, server_default=func.pg_current_xact_id())
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.statement_timestamp()
    )
    actor: Mapped[str] = mapped_column(Text, server_default=text(ACTOR_DEFAULT))
    db_user: Mapped[str] = mapped_column(Text, server_default=func.session_user())
    table_name: Mapped[str] = mapped_column(Text)
    row_id: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(ExactValues)
    after: Mapped[dict[str, Any] | None] = mapped_column(ExactValues)
