"""Searches records by a typed code or part of a name, without regard to case, accents, composition and width."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_

from .spelling import look, plain, plain_of

SEPARATOR = " · "
"""The separator between code and name in a list of choices."""


def by_code_or_name(rows: Select[Any], code: Any, name: Any, text: str) -> Select[Any]:
    """The `rows` with `text` in their code or name, in any case; the best match first, else by code.

    All of them when `text` is blank. For paging add the key to the order.
    """
    wanted = " ".join(text.split())
    if wanted:
        rows = rows.where(holding(wanted, code, name))
        rows = rows.order_by(_rank(code, name, wanted))
    return rows.order_by(code)


_MOST_BYTES = 10**9


def holding(text: str, *columns: Any) -> ColumnElement[bool]:
    """Whether one of the columns contains the text.

    ILIKE on the bare columns, because PostgreSQL has statistics on them; for `lower(column)` it has none, and then
    reads a million rows in the wrong order to find none. Only texts with letters beyond ASCII are rewritten first,
    which costs 30% more where there are none. The planner takes BETWEEN for rare, as such rows are.
    """
    wanted = plain(text) or text

    def rewritten(column: Any) -> ColumnElement[bool]:
        beyond = func.octet_length(column) - func.char_length(column)
        has_it = plain_of(column).icontains(wanted, autoescape=True)
        return and_(beyond.between(1, _MOST_BYTES), has_it)

    as_stored = (column.icontains(wanted, autoescape=True) for column in columns)
    return or_(*as_stored, *map(rewritten, columns))


def _rank(code: Any, name: Any, text: str) -> ColumnElement[int]:
    """The code itself, then the name itself, then codes that start so, then names that start so, then the rest.

    Computed of every row that matches, at each keystroke: so the text is rewritten and not the columns, whose looks
    would make the whole statement take four times as long.
    """
    spellings = [func.lower(text), look(text)]
    return case(
        (func.lower(code).in_(spellings), 0),
        (func.lower(name).in_(spellings), 1),
        (code.istartswith(text, autoescape=True), 2),
        (name.istartswith(text, autoescape=True), 3),
        else_=4,
    )
