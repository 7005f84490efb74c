"""Former names of records, from the audit trail: an old address and an old file still find what was renamed.

A name that is in use is its present owner's; of several former owners it leads to the last one.
"""

from typing import Any
from typing import cast as typed

from sqlalchemy import ColumnElement, Select, Text, cast, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute, Session

from ..audit.models import FORMER_NAME, IS_RENAMED, AuditEvent
from ..base import Base, table_of


def former_names(name: InstrumentedAttribute[Any]) -> Select[Any]:
    """Each former name of the rows that are called by the column `name`, with its present one: `former`, `present`."""
    row = table_of(typed(type[Base], name.class_))
    former: ColumnElement[str] = literal_column(FORMER_NAME, Text)
    return (
        select(former.label("former"), row.c[name.key].label("present"), row.c.id.label("row_id"))
        .join_from(AuditEvent, row, cast(row.c.id, Text) == AuditEvent.row_id)
        .where(AuditEvent.table_name == row.name, literal_column(IS_RENAMED))
        .ext(distinct_on(former))
        .order_by(former, AuditEvent.id.desc())
    )


def row_once_named(session: Session, name: InstrumentedAttribute[Any], text: str) -> int | None:
    """The id of the row that was called so before; None where there is none."""
    former: ColumnElement[str] = literal_column(FORMER_NAME, Text)
    row = former_names(name).where(former == text).subquery()
    found: int | None = session.scalar(select(row.c.row_id))
    return found
