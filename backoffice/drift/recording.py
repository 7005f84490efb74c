"""Recording findings of any kind: at most one of a row is open, and a further look updates it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func
from sqlalchemy.dialects.postgresql import insert as upsert

from ..base import table_of
from .models import DriftFinding

FINDINGS = table_of(DriftFinding)


def upsert_findings(
    connection: Connection, rows: Sequence[Mapping[str, Any]], moved: Sequence[str]
) -> None:
    """Insert new findings; update `moved` of those that are open, which keep their run where these have none."""
    add = upsert(FINDINGS)
    add = add.on_conflict_do_update(
        index_elements=["figure", "key"],
        index_where=FINDINGS.c.healed_at.is_(None),
        set_={
            "last_seen_at": func.now(),
            "run_id": func.coalesce(add.excluded.run_id, FINDINGS.c.run_id),
            **{name: getattr(add.excluded, name) for name in moved},
        },
    )
    connection.execute(add, rows)
