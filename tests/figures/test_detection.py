"""Verification finds every tampering, names its root, and a heal repairs exactly that."""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from backoffice.figures import acting_as
from backoffice.figures.models import Correction
from backoffice.figures.verifying.healing import heal
from backoffice.figures.verifying.outside import heal_noted, noted
from backoffice.figures.verifying.verification import Finding, verify

from .models import Box, Movement, Purse, Shelf, Slot, Thing, Transfer, registry

D = Decimal


def found(engine: Engine, **options: Any) -> list[Finding]:
    """All findings of a verification."""
    return list(verify(engine, registry, **options))


def named(findings: list[Finding]) -> list[tuple[str, int, str]]:
    """Figure, row and root of each finding, for comparing."""
    return [(f.figure.name, f.key.get("id", 0), f.roots[0].figure) for f in findings]


def test_a_tampered_top_is_reported_as_that_row_alone(
    shelf: Shelf, figure_engine: Engine, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE t_shelves SET total = 1")
    [finding] = found(figure_engine)
    assert named([finding]) == [("t_shelves.total", 1, "t_shelves.total")]
    assert (finding.stored, finding.expected) == ({"total": D(1)}, {"total": D(28)})
    assert heal(figure_engine, registry).corrections == 1


def test_a_tampered_middle_is_reported_as_that_row_alone(
    shelf: Shelf, figure_engine: Engine, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE t_boxes SET total = 999 WHERE id = 1")
    surgery.execute("UPDATE t_items SET amount = 7 WHERE id = 3")
    assert named(found(figure_engine)) == [
        ("t_items.amount", 3, "t_items.amount"),
        ("t_boxes.totals", 1, "t_boxes.totals"),
    ]
    heal(figure_engine, registry)


def test_a_tampered_fact_is_reported_with_all_above_it_and_its_root(
    shelf: Shelf, figure_engine: Engine, surgery: psycopg.Connection[Any], db: Session
) -> None:
    surgery.execute("UPDATE t_items SET quantity = 4 WHERE id = 1")
    findings = found(figure_engine)
    assert named(findings) == [
        ("t_items.amount", 1, "t_items.amount"),
        ("t_boxes.totals", 1, "t_items.amount"),
        ("t_shelves.total", 1, "t_items.amount"),
    ]
    assert [dict(f.expected) for f in findings] == [
        {"amount": D(40)},
        {"total": D(45), "red": D(45)},
        {"total": D(48)},
    ]
    assert all(f.roots[0].key == (("id", 1),) for f in findings)
    with acting_as("user:7"):
        assert heal(figure_engine, registry, reason="count was wrong").corrections == 3
    rows = db.scalars(select(Correction).order_by(Correction.id)).all()
    assert [(c.figure, c.owner, c.before, c.after) for c in rows][2] == (
        "t_shelves.total", 1, {"total": "28.00"}, {"total": "48.00"},
    )  # fmt: skip
    assert {(c.cause, c.actor, c.reason) for c in rows} == {("heal", "user:7", "count was wrong")}


def test_a_row_that_was_itself_changed_is_its_own_root_even_above_another_drift(
    shelf: Shelf, figure_engine: Engine, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE t_items SET quantity = 4 WHERE id = 1")
    surgery.execute("UPDATE t_shelves SET total = 1")
    assert named(found(figure_engine))[-1] == ("t_shelves.total", 1, "t_shelves.total")
    heal(figure_engine, registry)


def test_a_second_heal_changes_nothing(
    shelf: Shelf, figure_engine: Engine, surgery: psycopg.Connection[Any], db: Session
) -> None:
    surgery.execute("UPDATE t_items SET price = price + 1")
    assert heal(figure_engine, registry).corrections == 3 + 2 + 1
    before = db.scalars(select(Correction.id)).all()
    for every_owner in (False, True):
        assert heal(figure_engine, registry, every_owner=every_owner).corrections == 0
    assert db.scalars(select(Correction.id)).all() == before


def test_missing_surplus_and_different_rows_are_told_apart_and_healed(
    db: Session, figure_engine: Engine, surgery: psycopg.Connection[Any]
) -> None:
    box = Box()
    db.add(box)
    db.flush()
    db.add_all(Movement(box_id=box.id, on=date(2026, m, 1), amount=D(m)) for m in (1, 2, 3))
    db.commit()
    surgery.execute("DELETE FROM t_months WHERE month = '2026-01'")
    surgery.execute("UPDATE t_months SET added = 9 WHERE month = '2026-02'")
    surgery.execute("INSERT INTO t_months (box_id, month, added) VALUES (1, '1999-12', 5)")
    findings = {f.key["month"]: f for f in found(figure_engine)}
    assert {m: f.kind for m, f in findings.items()} == {
        "1999-12": "surplus", "2026-01": "missing", "2026-02": "different",
    }  # fmt: skip
    assert findings["2026-01"].expected == {"added": D(1), "moves": 1}
    assert findings["2026-01"].stored == {} == findings["1999-12"].expected
    assert findings["2026-02"].stored == {"added": D(9)}
    assert heal(figure_engine, registry).corrections == 3
    causes = db.scalars(select(Correction).order_by(Correction.id)).all()
    assert sorted((c.key["month"], c.before is None, c.after is None) for c in causes) == [
        ("1999-12", False, True), ("2026-01", True, False), ("2026-02", False, False),
    ]  # fmt: skip


def test_drift_of_every_kind_of_figure_is_found_and_healed(
    db: Session, figure_engine: Engine, surgery: psycopg.Connection[Any]
) -> None:
    box, purse, thing = Box(), Purse(), Thing(weight=D(5))
    db.add_all([box, purse, thing])
    db.flush()
    db.add_all(
        [
            Slot(box_id=box.id, thing_id=thing.id),
            Movement(box_id=box.id, on=date(2026, 1, 1), amount=D(3)),
            Transfer(to_id=purse.id, amount=D(8)),
        ]
    )
    db.commit()
    surgery.execute("UPDATE t_boxes SET weight = 77")
    surgery.execute("UPDATE t_movements SET balance = 77")
    surgery.execute("UPDATE t_purses SET received = 77")
    surgery.execute("UPDATE t_months SET moves = 77")
    assert {f.figure.name for f in found(figure_engine)} == {
        "t_boxes.weight", "t_movements.balance", "t_purses.sums", "t_months.sums",
    }  # fmt: skip
    assert heal(figure_engine, registry).corrections == 4


def test_the_root_of_a_drift_in_another_owners_figure_is_named(
    db: Session, figure_engine: Engine, surgery: psycopg.Connection[Any], shelf: Shelf
) -> None:
    surgery.execute("UPDATE t_items SET quantity = 30 WHERE id = 3")
    only = registry.get("t_shelves.total")
    [finding] = found(figure_engine, figures=[only])
    assert [r.as_dict() for r in finding.roots] == [
        {"figure": "t_items.amount", "key": {"id": "3"}}
    ]
    heal(figure_engine, registry)


def test_a_scope_of_owners_and_small_chunks_find_the_same(
    db: Session, figure_engine: Engine, surgery: psycopg.Connection[Any], shelf: Shelf
) -> None:
    surgery.execute("UPDATE t_boxes SET red = 1")
    everything = named(found(figure_engine))
    assert len(everything) == 2
    assert named(found(figure_engine, chunk=1)) == everything
    boxes = [registry.get("t_boxes.totals")]
    assert named(found(figure_engine, figures=boxes, owners=[2])) == everything[1:]
    assert named(found(figure_engine, figures=boxes, owners=[1, 2], chunk=1)) == everything
    heal(figure_engine, registry)


def test_what_another_program_writes_stays_noted_until_it_is_drained(
    db: Session, figure_engine: Engine, outside: psycopg.Connection[Any], shelf: Shelf
) -> None:
    outside.execute("UPDATE t_items SET quantity = 4 WHERE id = 1")
    outside.execute("UPDATE t_shelves SET total = 1")
    assert noted(figure_engine) == {"t_boxes": 1, "t_shelves": 1}
    assert len(found(figure_engine)) == 3
    drained = heal_noted(figure_engine, registry)
    assert (drained.notes, len(drained.corrections)) == (2, 3)
    assert noted(figure_engine) == {}
    causes = db.execute(select(Correction.cause, Correction.db_user).distinct()).all()
    assert causes == [("bypass", "backoffice_owner")]


def test_a_truncate_notes_the_whole_figure(
    db: Session, figure_engine: Engine, outside: psycopg.Connection[Any], shelf: Shelf
) -> None:
    outside.execute("TRUNCATE t_items")
    assert noted(figure_engine) == {"t_boxes": 1}
    assert len(heal_noted(figure_engine, registry).corrections) == 2 + 1
    assert db.scalar(select(Shelf.total)) == D(0)


def test_an_outside_change_through_another_table_finds_its_owner(
    db: Session, figure_engine: Engine, outside: psycopg.Connection[Any]
) -> None:
    box, thing = Box(), Thing(weight=D(5))
    db.add_all([box, thing])
    db.flush()
    db.add(Slot(box_id=box.id, thing_id=thing.id))
    db.commit()
    outside.execute("UPDATE t_things SET weight = 6")
    heal_noted(figure_engine, registry)
    db.rollback()
    assert box.weight == D(6)


def test_the_strangers_negative_is_a_finding_and_heals(
    db: Session, figure_engine: Engine, surgery: psycopg.Connection[Any], shelf: Shelf
) -> None:
    surgery.execute("UPDATE t_items SET quantity = -1000")
    assert heal(figure_engine, registry).corrections == 6
    assert db.scalar(select(Shelf.total)) == D(-16000)


@pytest.mark.leaves_drift
def test_an_owner_that_cannot_be_corrected_is_named_and_stops_nobody(
    db: Session, figure_engine: Engine, surgery: psycopg.Connection[Any], shelf: Shelf
) -> None:
    huge = "999999999999.999"
    surgery.execute(f"UPDATE t_items SET quantity = {huge}, price = 99999999999 WHERE id = 3")
    surgery.execute("UPDATE t_items SET quantity = 4 WHERE id = 1")
    result = heal(figure_engine, registry, [registry.get("t_boxes.totals")])
    box, shelf_above = ("t_boxes", 2), ("t_shelves", 1)
    assert [(f.bundle, f.owner) for f in result.failures] == [box, shelf_above]
    assert all("overflow" in failure.error for failure in result.failures)
    assert result.corrections == 2, "the healthy owner's item and box are corrected all the same"
