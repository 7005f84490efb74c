"""Searches records by a typed code or part of a name."""

from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_

SEPARATOR = " · "
"""The separator between code and name in a list of choices."""


def by_code_or_name(rows: Select[Any], code: Any, name: Any, text: str) -> Select[Any]:
    """The `rows` with `text` in their code or name, in any case; the best match first, else by code.

    All of them when `text` is blank. For paging add the key to the order.
    """
    wanted = " ".join(text.split())
    if wanted:
        rows = rows.where(or_(_holds(code, wanted), _holds(name, wanted)))
        rows = rows.order_by(_rank(code, name, wanted))
    return rows.order_by(code)


def _holds(column: Any, text: str) -> ColumnElement[bool]:
    held: ColumnElement[bool] = column.icontains(text, autoescape=True)
    return held


def _rank(code: Any, name: Any, text: str) -> ColumnElement[int]:
    """The code itself, then the name itself, then codes that start so, then names that start so, then the rest."""
    return case(
        (func.lower(code) == func.lower(text), 0),
        (func.lower(name) == func.lower(text), 1),
        (code.istartswith(text, autoescape=True), 2),
        (name.istartswith(text, autoescape=True), 3),
        else_=4,
    )
