"""Rows without their owner's row are findings, for every declared figure, and stay open until a person acts."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base import Base
from backoffice.drift.models import OWNERLESS, DriftFinding
from backoffice.figures import Figure, registry
from backoffice.runs.models import RunItem
from tests.drift.books import run_of
from tests.drift.test_partial_repairs import DECLARED, book
from tests.surgery import tell_of_everything

pytestmark = pytest.mark.slow

__all__ = ["book"]  # the fixture

Surgery = psycopg.Connection[Any]


def _take(surgery: Surgery, table: str) -> list[tuple[str, Any]]:
    """Delete row 1 of a table without triggers and foreign keys; returns its columns and values."""
    columns = [c.name for c in Base.metadata.tables[table].c if c.computed is None]
    names = ", ".join(f'"{name}"' for name in columns)
    row = surgery.execute(f"SELECT {names} FROM {table} WHERE id = 1".encode()).fetchone()
    surgery.execute(f"DELETE FROM {table} WHERE id = 1".encode())
    assert row is not None
    return list(zip(columns, row, strict=True))


def _give_back(surgery: Surgery, table: str, row: list[tuple[str, Any]]) -> None:
    names = ", ".join(f'"{name}"' for name, _ in row)
    marks = ", ".join("%s" for _ in row)
    surgery.execute(
        f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})".encode(),
        [value for _, value in row],
    )


def _naming(table: str) -> set[tuple[str, str]]:
    """Table and column of every reference to a table's row that a figure reads."""
    return {
        (source.table.name, source.owner.key)
        for figure in registry.figures
        if figure.owner_table.name == table
        for source in figure.sources
        if source.table.name != table and source.through is None
    }


@pytest.mark.parametrize("figure", DECLARED, ids=lambda figure: figure.name)
def test_who_is_missing_is_named_by_whatever_is_left_of_them(
    figure: Figure, book: None, surgery: Surgery
) -> None:
    owner = figure.owner_table.name
    row = _take(surgery, owner)
    try:
        beside = [f for f in registry.figures if f.owner_table is figure.owner_table]
        found = [f for f in figures.verify(db.engine) if f.is_orphan]
        assert {f.owner for f in found if f.figure in beside} == {1}
        asked = figures.verify(db.engine, beside, [1])
        assert {f.row for f in asked if f.is_orphan} == {f.row for f in found if f.figure in beside}
        for table, column in _naming(owner):
            left = surgery.execute(f"SELECT id FROM {table} WHERE {column} = 1".encode()).fetchall()
            stored = {f.key.get("id") for f in found if f.figure.table.name == table}
            named = {f.owner for f in found if f.figure.owner_table.name == owner}
            assert not left or stored.issuperset(i for (i,) in left) or 1 in named, table
    finally:
        _give_back(surgery, owner, row)
    assert not list(figures.verify(db.engine)), "nothing is too many once the record is back"


@pytest.mark.parametrize("owner", sorted({figure.owner_table.name for figure in DECLARED}))
def test_no_run_corrects_them_and_none_says_right(
    owner: str, session: Any, book: None, surgery: Surgery, run_command: Any
) -> None:
    row = _take(surgery, owner)
    tell_of_everything(surgery, {owner})  # otherwise the figures above await a decision about it
    try:
        assert run_command("figures", "verify").exit_code == 1
        opened = select(DriftFinding).where(
            DriftFinding.cause == OWNERLESS, DriftFinding.healed_at.is_(None)
        )
        first = {(f.figure, str(f.key)) for f in session.scalars(opened)}
        assert first
        session.rollback()
        for kind in ("figures.heal", "figures.rebuild"):
            for dry in (True, False):
                run = run_of(kind, dry_run=dry)
                left = session.scalars(
                    select(RunItem).where(RunItem.run_id == run.id, RunItem.outcome == "skipped")
                )
                assert {(i.subject, str(i.key)) for i in left} == first, (kind, dry)
                assert run.skipped > 0
        run_of("figures.verify")
        session.rollback()
        assert {(f.figure, str(f.key)) for f in session.scalars(opened)} == first
        session.rollback()
    finally:
        _give_back(surgery, owner, row)
        tell_of_everything(surgery, {owner})
        figures.heal(db.engine)
    run_of("figures.verify")
    session.rollback()
    assert not session.scalars(opened).all(), "closed once the record is back"
