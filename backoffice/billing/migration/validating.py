"""Step 3: every check over the whole book, each finding an item with the row and the reason."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import JSONB

from ...runs.work import Asked, Chunk, Work
from . import report, would_be
from .cases import ERROR, INFO, WARNING, as_item
from .checks import CHECKS, Check


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A part per check, as large as the table that it looks at."""
    tables = dict.fromkeys(check.table for check in CHECKS.values())
    sizes = {t: connection.scalar(select(func.count()).select_from(t)) or 0 for t in tables}
    for name, check in CHECKS.items():
        yield Chunk({"check": name}, sizes[check.table])


def work(work: Work) -> None:
    """List what does not stand the check, in one statement."""
    check = CHECKS[work.payload["check"]]
    with work.transaction(is_last=True) as step:
        report.list_rows(step, items(check, work.asked))


def items(check: Check, asked: Asked) -> Any:
    """The findings of a check as the items of a run; in a preview over what the other steps will have done."""
    found = check.rows().subquery("found")
    about = func.jsonb_strip_nulls(
        func.jsonb_build_object("about", found.c.about, type_=JSONB), type_=JSONB
    )
    listed = as_item(check.case, asked.id, found.c.owner, concerns=found.c.amount, details=about)
    return would_be.over(select(*listed).select_from(found).order_by(found.c.owner), asked)


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """What every check has found, and how many of each severity."""
    told = report.of_items(connection, asked.id)
    found = told[report.LEFT]
    told["passed"] = len(CHECKS.keys() - found.keys())
    told["severities"] = {
        severity: sum(found[name]["rows"] for name in found if _severity(name) == severity)
        for severity in (ERROR, WARNING, INFO)
    }
    return told


def _severity(name: str) -> str:
    return CHECKS[name].case.severity if name in CHECKS else WARNING
