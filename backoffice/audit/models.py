"""The audit trail (who changed which row, from what to what) and its seals.

Events are written by triggers only, seals by a background run, checks by verification and anchoring. All three are
append-only.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    LargeBinary,
    Text,
    cast,
    func,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from ..base import Base, Id, Moment
from ..figures.models import Xid8

ACTOR_DEFAULT = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"
"""The actor: set by the app for the transaction, else the database user."""


FORMER_NAME = "coalesce(before ->> 'code', before ->> 'number', before ->> 'reference')"
IS_RENAMED = "action = 'UPDATE' AND before ?| ARRAY['code', 'number', 'reference']"
"""The former name in the event of a renamed row, as in the index: only changed columns are in `before`."""


class ExactValues(TypeDecorator[dict[str, Any]]):
    """Column values as jsonb; numbers with decimals are read as strings, never as floats."""

    impl = JSONB
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Fetch the document as text, so that the driver does not turn its numbers into floats."""
        return type_coerce(cast(column, Text), self)

    def process_result_value(self, value: Any, _dialect: Dialect) -> dict[str, Any] | None:
        """The document, with its amounts as the strings that PostgreSQL wrote."""
        return None if value is None else json.loads(value, parse_float=str)


class AuditEvent(Base):
    """One change of one row. Append-only.

    An INSERT has only `after`, a DELETE only `before`; an UPDATE has the changed columns in both; a TRUNCATE has
    neither, nor a row. `actor` is set by the app, `db_user` by PostgreSQL. In (xid, id) order the trail is complete
    up to the oldest transaction still running, which is the order in which it can be sealed.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_table_name_row_id_id", "table_name", "row_id", "id"),
        Index("ix_audit_events_xid_id", "xid", "id"),
        Index("ix_audit_events_at_id", "at", "id"),
        Index("ix_audit_events_actor_at_id", "actor", "at", "id"),
        Index("ix_audit_events_table_name_at_id", "table_name", "at", "id"),
        Index(
            "ix_audit_events_rare_action_at_id",
            "action",
            "at",
            "id",
            postgresql_where=text("action IN ('DELETE', 'TRUNCATE')"),
        ),
        Index(
            "ix_audit_events_former_name",
            "table_name",
            text(f"({FORMER_NAME})"),
            postgresql_where=text(IS_RENAMED),
        ),
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


class AuditSeal(Base):
    """A link of the chain: the digests of some events, in the order in which they were sealed.

    `ids` are the events, `digests` 16 bytes for each row, under `key`. `digest` is over all other columns, `previous`
    the digest of the seal before. In (xid, id) order the events of this database cluster (`system`) are sealed up to
    (`last_xid`, `last_id`); events with an id up to `floor_id` come from another cluster, with its own transaction
    numbers, and are sealed. `total` events are sealed so far, the highest of which is `highest_id`.
    """

    __tablename__ = "audit_seals"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    system: Mapped[int] = mapped_column(BigInteger)
    floor_id: Mapped[int] = mapped_column(BigInteger)
    last_xid: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)
    highest_id: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    digests: Mapped[bytes] = mapped_column(LargeBinary)
    key: Mapped[str] = mapped_column(Text)
    sealed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditCheck(Base):
    """When the chain was verified or anchored, up to which seal, and how many bad rows were found.

    `anchor` is the line that was also written to the file, so that other hosts know it: what its key does not prove
    counts for nothing. The rest is for information only.
    """

    __tablename__ = "audit_checks"
    __table_args__ = (
        CheckConstraint("kind IN ('verified', 'anchored')", name="kind"),
        Index("ix_audit_checks_kind_id", "kind", "id"),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[Moment]
    actor: Mapped[str] = mapped_column(Text, server_default=text(ACTOR_DEFAULT))
    seal: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)
    bad: Mapped[int] = mapped_column(BigInteger, server_default="0")
    first_bad: Mapped[str] = mapped_column(Text, server_default="")
    anchor: Mapped[str] = mapped_column(Text, server_default="")


class FactMark(Base):
    """Up to where `verify-facts` has compared all rows of a table with the trail; the last verification replaces it.

    Every transaction below `horizon` of this database cluster (`system`) is compared: what differed has a finding.
    `rows` is how many rows these transactions have left.
    """

    __tablename__ = "fact_marks"

    table_name: Mapped[str] = mapped_column(Text, primary_key=True)
    horizon: Mapped[int] = mapped_column(Xid8)
    system: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Moment]
