"""A table without rows costs a verification next to nothing; one that gets rows meanwhile is verified."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, func, select

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.drift.outside import watch
from backoffice.drift.verification import chunks
from backoffice.figures import registry
from backoffice.runs.models import CHUNK_FAILED, DONE_WITH_FAILURES, RunChunk

from .books import an_order, run_of

FIXED = {"fix": True}


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Every statement sent within the block."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("scope", [{}, FIXED], ids=["verified", "and corrected"])
def test_a_book_without_rows_is_verified_in_a_few_statements(
    session: Any, scope: dict[str, Any]
) -> None:
    with counted(db.engine) as sent:
        done = run_of("figures.verify", scope)
    assert (done.status, done.checked, done.result["found"]) == ("done", 0, 0)
    assert done.result["owners"] == {bundle.name: 0 for bundle in registry.bundles}
    # Ten look for what other programs did to the tables.
    assert len(sent) < 70 + 10 * len(declared().checks), len(sent)
    verified = dict(session.execute(select(FigureCheck.figure, FigureCheck.run_id)).all())
    assert verified.keys() >= {figure.name for figure in registry.figures}
    assert set(verified.values()) == {done.id}


def test_where_nothing_is_noted_one_statement_tells_so(
    session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    an_order("SO-1")
    session.commit()
    with counted(db.engine) as sent:
        assert watch.drain(db.engine).notes == 0
    assert len(sent) == 1, sent
    owner_connection.execute("UPDATE order_lines SET quantity = 4")
    done = watch.drain(db.engine)
    assert done.notes > 0
    totals = owner_connection.execute("SELECT grand_total FROM orders").fetchall()
    assert [int(total) for (total,) in totals] == [40]


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    ("kind", "options"),
    [("figures.verify", {}), ("figures.heal", {"dry_run": True}), ("figures.heal", {}), ("figures.rebuild", {})],
)  # fmt: skip
def test_rows_that_come_after_the_plan_are_looked_at(
    session: Any, surgery: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, kind: str,
    options: dict[str, Any],
) -> None:  # fmt: skip
    look = chunks.look_at_empty

    def once_a_user_has_written(work: Any) -> None:
        monkeypatch.undo()
        an_order("SO-1")
        session.commit()
        surgery.execute("UPDATE orders SET grand_total = 31")
        look(work)

    monkeypatch.setattr(chunks, "look_at_empty", once_a_user_has_written)
    done = run_of(kind, **options)
    grand_totals = surgery.execute("SELECT grand_total FROM orders").fetchall()
    if kind == "figures.verify":
        assert done.result["found"] == 1
        assert session.scalar(select(DriftFinding.figure)) == "orders.grand_total"
    else:
        assert done.changed == 1
    assert done.result.get("owners", {"orders": 1})["orders"] == 1
    is_healed = kind != "figures.verify" and not options
    assert [(int(total),) for (total,) in grand_totals] == [(30 if is_healed else 31,)]


def test_what_is_found_of_them_by_a_verification_that_corrects_is_corrected(
    session: Any, surgery: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = chunks.look_at_empty

    def once_a_user_has_written(work: Any) -> None:
        monkeypatch.undo()
        an_order("SO-1")
        session.commit()
        surgery.execute("UPDATE orders SET grand_total = 31")
        look(work)

    monkeypatch.setattr(chunks, "look_at_empty", once_a_user_has_written)
    done = run_of("figures.verify", FIXED)
    assert (done.result["found"], done.changed) == (1, 1)
    assert surgery.execute("SELECT grand_total FROM orders").fetchone() == (30,)


@pytest.mark.leaves_drift
def test_a_row_without_its_owner_is_found_where_nobody_owns_anything(
    session: Any, surgery: psycopg.Connection[Any]
) -> None:
    an_order("SO-1")
    session.commit()
    surgery.execute("DELETE FROM orders")
    assert run_of("figures.verify").result["found"] > 0
    assert "ownerless" in set(session.scalars(select(DriftFinding.cause)))


def test_where_looking_fails_nothing_is_said_to_be_verified(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(chunks, "look_at_empty", fail)
    monkeypatch.setattr("backoffice.runs.working.TRIES", 1)
    done = run_of("figures.verify")
    assert done.status == DONE_WITH_FAILURES
    named = {figure.name for figure in registry.figures}
    assert not named.intersection(session.scalars(select(FigureCheck.figure)))
    failed = session.scalar(select(func.count()).where(RunChunk.status == CHUNK_FAILED))
    assert failed == 1
