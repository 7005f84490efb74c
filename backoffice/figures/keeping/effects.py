"""What a statement does, told from its text: whether it writes, and if so, whether to one table only."""

import re
from functools import lru_cache
from typing import Any

from psycopg.sql import Composable

_READS = re.compile(
    r"\s*(select|with|show|set|begin|start|savepoint|release|commit|explain|fetch|close|declare)\b",
    re.IGNORECASE,
)
_ROLLS_BACK = re.compile(r"\s*rollback\b", re.IGNORECASE)
_WRITES_INSIDE = re.compile(r"\b(insert|update|delete|merge|truncate|copy)\b", re.IGNORECASE)
_WRITES_ONE = re.compile(r"\s*(?:insert\s+into|update)\s+(\w+)\s", re.IGNORECASE)
_SAME_TABLE = re.compile(r"\b(?:do|for|for\s+no\s+key)\s+update\b", re.IGNORECASE)
"""Further words of a statement that name a write of its own table, or a lock."""
_SEVERAL = re.compile(r";|--|/\*")
"""Signs of a further statement, or of a comment that could hide its words."""

LONGEST_REMEMBERED = 20_000
"""Characters of a statement that is remembered; inserts of many rows are longer, and seldom the same."""


def text_of(query: Any) -> str:
    """The SQL of a query sent through a cursor."""
    if isinstance(query, Composable):
        return query.as_string(None)
    return query.decode() if isinstance(query, bytes) else str(query)


def effect_of(query: Any) -> str:
    """What a statement does: "reads", "rolls back", the name of the one table that it writes, or in doubt "writes"."""
    text = text_of(query)
    if len(text) <= LONGEST_REMEMBERED:
        return _remembered_effect(text)
    begins = _effect(text[:LONGEST_REMEMBERED])
    return _effect(text) if begins in {"reads", "rolls back"} else "writes"


def _effect(sql: str) -> str:
    if _ROLLS_BACK.match(sql) is not None:
        return "rolls back"
    text = sql.strip(" ;\n")
    found = _READS.match(text)
    if found is None:
        return _written_by(text) if text else "reads"  # an empty statement tests a connection
    if ";" in text:
        return "writes"  # perhaps several statements, of which only the first reads
    may_write = found[1].lower() in {"with", "explain", "declare"}
    return "writes" if may_write and _WRITES_INSIDE.search(text) else "reads"


def _written_by(sql: str) -> str:
    """The only table into which a statement inserts rows or of which it updates some, else "writes"."""
    found = _WRITES_ONE.match(sql)
    if found is None or _SEVERAL.search(sql) or found[1].lower() in {"reads", "writes"}:
        return "writes"
    is_one = len(_WRITES_INSIDE.findall(_SAME_TABLE.sub("", sql))) == 1
    return found[1].lower() if is_one else "writes"


_remembered_effect = lru_cache(maxsize=500)(_effect)
"""The same without reading the statement again: most requests send statements that were sent before."""
