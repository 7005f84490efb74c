"""New codes of a file that look like others: refused with the sentence of the form, which names the other one."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, func, select

from ..base import N_
from ..base.spelling import look_of
from .files.stage import Stage
from .kinds import ImportKind
from .report import Problem

_LIKE_A_LINE = N_(
    "This looks like %(other)s in line %(first)s. Write it in the same way, or choose another one."
)


def look_alikes(stage: Stage, kind: ImportKind) -> Iterator[Problem]:
    """A problem for each line that would create a row whose code looks like that of another row, or another line."""
    if kind.creates is None:
        return
    name, stored, taken = kind.creates
    yield from stage.problems(_like_rows(stage, name, stored), name, taken)
    yield from stage.problems(_like_lines(stage, name, stored), name, _LIKE_A_LINE)


def _new(stage: Stage, name: str, stored: Any) -> Any:
    """The new codes of the lines, each with its look and its first line."""
    code = stage.c[name]
    is_known = select(stored).where(stored == code).exists()
    return (
        select(code.label("code"), look_of(code).label("look"), func.min(stage.c.n).label("n"))
        .where(code.is_not(None), ~is_known)
        .group_by(code)
        .cte("new_codes")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )


def _like_rows(stage: Stage, name: str, stored: Any) -> Select[Any]:
    new = _new(stage, name, stored)
    other = select(func.min(stored)).where(look_of(stored) == new.c.look)
    found = select(new.c.code, other.scalar_subquery().label("other")).subquery("found")
    return (
        stage.at(found.c.other.label(stored.key))
        .join(found, found.c.code == stage.c[name])
        .where(found.c.other.is_not(None))
    )


def _like_lines(stage: Stage, name: str, stored: Any) -> Select[Any]:
    new = _new(stage, name, stored)
    place = {"partition_by": new.c.look, "order_by": new.c.n}
    alike = select(
        new.c.code,
        func.first_value(new.c.code).over(**place).label("other"),
        func.first_value(new.c.n).over(**place).label("first_n"),
    ).subquery("alike")
    first = stage.lines.alias("first_line")
    return (
        stage.at(alike.c.other, first.c.line.label("first"))
        .join(alike, alike.c.code == stage.c[name])
        .join(first, first.c.n == alike.c.first_n)
        .where(alike.c.code != alike.c.other)
    )
