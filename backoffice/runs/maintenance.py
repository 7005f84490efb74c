"""Heals and rebuilds as runs: each leaves a record of what was asked, how far it came and the result."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from .. import figures
from ..base import table_of
from ..figures import Failure, Figure, HealResult, NotedResult, actor
from .errors import NothingToResume
from .models import Run

RUNS = table_of(Run)

HEAL_NOTED = "figures.heal-noted"
"""A run that has no position: what it left is noted still."""

Progress = Callable[[int], None]


def heal(
    engine: Engine,
    chosen: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    *,
    every_owner: bool = False,
    reason: str = "",
    resume: int | None = None,
    progress: Progress | None = None,
) -> tuple[int, HealResult]:
    """Heal (or with `every_owner` rebuild) in transactions of its own; answers the run's id and result.

    Each page of owners commits by itself together with how far it came, so a run that died is
    continued with `resume` (its id), which takes figures and owners from its record.
    """
    if resume is None:
        given = None if owners is None else sorted(set(owners))
        run_id = _started(engine, chosen, given, every_owner, reason)
        earlier = HealResult()
    else:
        run_id, scope, reason, earlier = _interrupted(engine, resume)
        chosen = [figures.registry.get(n) for n in scope["figures"]] if scope["figures"] else None
        given, every_owner = scope["owners"], scope["every_owner"]

    def committed(result: HealResult, size: int) -> None:
        _write(engine, run_id, result, "running")
        if progress is not None:
            progress(size)

    try:
        result = figures.heal(
            engine, chosen, given,
            every_owner=every_owner, reason=reason, run_id=run_id,
            resume=earlier, committed=committed,
        )  # fmt: skip
    except BaseException as error:
        _failed(engine, run_id, error)
        raise
    _write(engine, run_id, result, "finished with failures" if result.failures else "done")
    return run_id, result


def heal_noted(engine: Engine) -> tuple[int, NotedResult]:
    """Drain what outside programs left noted, as a run; answers its id and what the drain did."""
    run_id = _started(engine, None, None, False, "", kind=HEAL_NOTED)
    try:
        drained = figures.heal_noted(engine, run_id=run_id)
    except BaseException as error:
        _failed(engine, run_id, error)
        raise
    result = HealResult(drained.notes, len(drained.corrections), drained.failures)
    _write(engine, run_id, result, "finished with failures" if result.failures else "done")
    return run_id, drained


def _started(
    engine: Engine,
    chosen: Sequence[Figure] | None,
    owners: list[int] | None,
    every_owner: bool,
    reason: str,
    kind: str = "",
) -> int:
    scope = {
        "figures": [f.name for f in chosen or ()],
        "owners": owners,
        "every_owner": every_owner,
    }
    with engine.begin() as connection:
        statement = insert(RUNS).returning(RUNS.c.id)
        values = {
            "kind": kind or ("figures.rebuild" if every_owner else "figures.heal"),
            "scope": scope,
            "status": "running",
            "requested_by": actor.get(),
            "reason": reason,
        }
        return int(connection.execute(statement, values).scalar_one())


def _interrupted(engine: Engine, run_id: int) -> tuple[int, Any, str, HealResult]:
    """What an unfinished run was asked, and what it has done so far."""
    with engine.connect() as connection:
        row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).mappings().first()
    if row is None or row["finished_at"] is not None or row["kind"] == HEAL_NOTED:
        raise NothingToResume(run_id)
    at = row["position"]
    earlier = HealResult(
        checked=row["checked"],
        corrections=row["changed"],
        failures=[Failure(**failure) for failure in at.get("failures", ())],
        position=(at["bundle"], at["owner"]) if at else None,
    )
    return run_id, row["scope"], row["reason"], earlier


def _write(engine: Engine, run_id: int, result: HealResult, status: str) -> None:
    values: dict[str, Any] = {
        "status": status,
        "checked": result.checked,
        "changed": result.corrections,
        "failed": len(result.failures),
        "error": "\n".join(f"{f.bundle} {f.owner}: {f.error}" for f in result.failures[:100]),
        "updated_at": func.now(),
    }
    if result.position is not None:
        values["position"] = {"bundle": result.position[0], "owner": result.position[1]}
        if result.failures:
            values["position"]["failures"] = [asdict(failure) for failure in result.failures]
    if status != "running":
        values["finished_at"] = func.now()
    with engine.begin() as connection:
        connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(values))


def _failed(engine: Engine, run_id: int, error: BaseException) -> None:
    """Say why it stopped; it is left unfinished, so that it can be resumed."""
    with engine.begin() as connection:
        connection.execute(
            update(RUNS)
            .where(RUNS.c.id == run_id)
            .values(
                status="interrupted",
                error=f"{type(error).__name__}: {error}",
                updated_at=func.now(),
            )
        )
