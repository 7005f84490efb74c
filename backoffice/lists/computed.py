"""Rows computed in Python, as a table for lists and their exports."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import FromClause, cast, column, func, literal
from sqlalchemy.dialects.postgresql import JSONB


def computed_rows(kinds: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> FromClause:
    """A table of these rows; `kinds` are its columns. Amounts are passed as text, so every digit is kept."""
    sent = func.jsonb_to_recordset(cast(literal(json.dumps(list(rows), default=str)), JSONB))
    columns: Any = (column(name, kind) for name, kind in kinds.items())
    return sent.table_valued(*columns, name="computed").render_derived(with_types=True)
