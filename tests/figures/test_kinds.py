"""Every kind of figure follows its sources in the same transaction."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from .models import (
    Box,
    Item,
    Month,
    Movement,
    Price,
    Purse,
    Shelf,
    Slot,
    Thing,
    Transfer,
    Usage,
    registry,
)

D = Decimal


def a_box(db: Session, *items: tuple[str, str], shelf: Shelf | None = None) -> Box:
    """A committed box with items of (quantity, price)."""
    if shelf is not None:
        db.add(shelf)
        db.flush()
    box = Box(shelf_id=shelf.id if shelf else None)
    db.add(box)
    db.flush()
    db.add_all(Item(box_id=box.id, quantity=D(q), price=D(p)) for q, p in items)
    db.commit()
    return box


def item_of(db: Session, box: Box) -> Item:
    """The box's first item."""
    return db.scalars(select(Item).where(Item.box_id == box.id).order_by(Item.id)).first()  # type: ignore[return-value]


def test_a_row_formula_is_rounded_half_away_from_zero(db: Session) -> None:
    box = a_box(db, ("1", "0.005"), ("3", "1.1150"), ("-1", "0.0050"))
    amounts = db.scalars(select(Item.amount).where(Item.box_id == box.id).order_by(Item.id)).all()
    assert amounts == [D("0.01"), D("3.35"), D("-0.01")]


def test_a_sum_and_a_filtered_sum_follow_a_figure_beneath_them(db: Session) -> None:
    box = a_box(db, ("2", "10"), ("1", "5"))
    assert (box.total, box.red) == (D(25), D(25))
    item_of(db, box).colour = "blue"
    db.commit()
    assert (box.total, box.red) == (D(25), D(5))


def test_three_levels_follow_in_one_transaction(db: Session) -> None:
    shelf = Shelf()
    box = a_box(db, ("2", "10"), shelf=shelf)
    item_of(db, box).quantity = D(3)
    db.commit()
    assert (item_of(db, box).amount, box.total, shelf.total) == (D(30), D(30), D(30))


def test_a_figure_is_right_when_it_is_read_before_the_commit(db: Session) -> None:
    shelf = Shelf()
    box = a_box(db, ("2", "10"), shelf=shelf)
    item_of(db, box).quantity = D(5)
    assert db.scalar(select(Shelf.total)) == D(50)
    assert db.scalar(text("SELECT total FROM t_boxes")) == D(50)
    db.rollback()
    assert db.scalar(select(Shelf.total)) == D(20)


def test_a_moved_child_leaves_both_parents_right(db: Session) -> None:
    one, two = Shelf(), Shelf()
    box, other = a_box(db, ("2", "10"), shelf=one), a_box(db, ("1", "1"), shelf=two)
    item_of(db, box).box_id = other.id
    db.commit()
    assert (box.total, other.total, one.total, two.total) == (D(0), D(21), D(0), D(21))
    other.shelf_id = one.id
    db.commit()
    assert (one.total, two.total) == (D(21), D(0))
    other.shelf_id = None
    db.commit()
    assert (one.total, two.total) == (D(0), D(0))


def test_deleted_children_and_deleted_owners_leave_the_rest_right(db: Session) -> None:
    shelf = Shelf()
    box = a_box(db, ("2", "10"), ("1", "1"), shelf=shelf)
    db.delete(item_of(db, box))
    db.commit()
    assert (box.total, shelf.total) == (D(1), D(1))
    db.execute(delete(Box).where(Box.id == box.id))
    db.commit()
    assert shelf.total == D(0)


def test_a_stored_figure_that_the_app_writes_is_overwritten_by_the_truth(
    db: Session,
) -> None:
    box = a_box(db, ("2", "10"))
    box.total = D(999)
    db.commit()
    assert box.total == D(20)
    db.execute(update(Item).values(amount=D(1)))
    db.commit()
    assert (item_of(db, box).amount, box.total) == (D(20), D(20))


def test_a_column_that_no_figure_reads_notes_nothing(db: Session) -> None:
    box = a_box(db, ("2", "10"))
    db.execute(update(Item).values(note="seen"))
    noted = db.connection().exec_driver_sql("SELECT count(*) FROM figure_notes").scalar()
    assert noted == 0
    assert box.total == D(20)


def test_a_running_balance_follows_a_backdated_row(db: Session) -> None:
    box = a_box(db)
    db.add_all(
        Movement(box_id=box.id, on=date(2026, 1, d), amount=D(a)) for d, a in [(1, 10), (3, -4)]
    )
    db.commit()
    db.add(Movement(box_id=box.id, on=date(2026, 1, 2), amount=D(100)))
    db.commit()
    balances = db.scalars(select(Movement.balance).order_by(Movement.on)).all()
    assert balances == [D(10), D(110), D(106)]


def test_a_look_up_by_date_follows_the_price_list(db: Session) -> None:
    box = a_box(db)
    usage = Usage(box_id=box.id, on=date(2026, 2, 10), quantity=D("1.5"))
    db.add(usage)
    db.commit()
    assert (usage.price_used, usage.cost) == (D(0), D(0))
    db.add(Price(box_id=box.id, since=date(2026, 1, 1), price=D(100)))
    db.add(Price(box_id=box.id, since=date(2026, 3, 1), price=D(900)))
    db.commit()
    assert (usage.price_used, usage.cost) == (D(100), D(150))
    db.add(Price(box_id=box.id, since=date(2026, 2, 10), price=D("33.3333")))
    db.commit()
    assert (usage.price_used, usage.cost) == (D("33.3333"), D(50))


def test_derived_rows_appear_and_vanish_but_an_entered_fact_stays(db: Session) -> None:
    box = a_box(db)
    db.add(Month(box_id=box.id, month="2026-05", target=D(500)))
    first = Movement(box_id=box.id, on=date(2026, 4, 1), amount=D(7))
    db.add_all([first, Movement(box_id=box.id, on=date(2026, 5, 1), amount=D(8))])
    db.commit()
    rows = select(Month.month, Month.added, Month.moves, Month.target).order_by(Month.month)
    assert db.execute(rows).all() == [
        ("2026-04", D(7), 1, None),
        ("2026-05", D(8), 1, D(500)),
    ]
    db.delete(first)
    db.execute(delete(Movement).where(Movement.amount == D(8)))
    db.commit()
    assert db.execute(rows).all() == [("2026-05", D(0), 0, D(500))]


def test_a_derived_row_that_the_app_removes_or_invents_is_put_right(
    db: Session,
) -> None:
    box = a_box(db)
    db.add(Movement(box_id=box.id, on=date(2026, 4, 1), amount=D(7)))
    db.commit()
    db.execute(delete(Month))
    db.add(Month(box_id=box.id, month="1999-01", added=D(1)))
    db.commit()
    assert db.execute(select(Month.month, Month.added)).all() == [("2026-04", D(7))]


def test_a_source_that_is_reached_through_another_table(db: Session) -> None:
    box, other = a_box(db), a_box(db)
    light, heavy = Thing(weight=D(1)), Thing(weight=D(50))
    db.add_all([light, heavy])
    db.flush()
    slot = Slot(box_id=box.id, thing_id=heavy.id)
    db.add_all([Slot(box_id=box.id, thing_id=light.id), slot])
    db.commit()
    assert (box.weight, other.weight) == (D(51), D(0))
    heavy.weight = D(60)
    db.commit()
    assert box.weight == D(61)
    slot.box_id = other.id
    heavy.weight = D(70)
    db.commit()
    assert (box.weight, other.weight) == (D(1), D(70))
    slot.active = False
    db.commit()
    assert other.weight == D(0)


def test_an_incremental_figure_equals_the_absolute_one(db: Session) -> None:
    a, b = Purse(), Purse()
    db.add_all([a, b])
    db.flush()
    db.add_all(
        [
            Transfer(to_id=a.id, amount=D(100)),
            Transfer(from_id=a.id, to_id=b.id, amount=D(30)),
            Transfer(from_id=b.id, amount=D(5)),
        ]
    )
    db.commit()
    assert (a.balance, a.received, b.balance, b.received) == (
        D(70),
        D(100),
        D(25),
        D(30),
    )
    db.execute(update(Transfer).where(Transfer.amount == D(30)).values(void=True))
    db.commit()
    assert (a.balance, b.balance, b.received) == (D(100), D(-5), D(0))
    db.execute(update(Transfer).where(Transfer.amount == D(100)).values(to_id=b.id))
    db.execute(delete(Transfer).where(Transfer.amount == D(5)))
    db.commit()
    assert (a.balance, a.received, b.balance, b.received) == (
        D(0),
        D(0),
        D(100),
        D(100),
    )


@pytest.mark.leaves_drift
def test_an_incremental_figure_applies_changes_and_recomputes_nothing(
    db: Session, admin_database_url: str
) -> None:
    import psycopg

    purse = Purse()
    db.add(purse)
    db.flush()
    db.add(Transfer(to_id=purse.id, amount=D(10)))
    db.commit()
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        surgery.execute("UPDATE t_purses SET balance = 1000")
    db.add(Transfer(to_id=purse.id, amount=D(1)))
    db.commit()
    assert purse.balance == D(1001), "the change was applied; what was wrong before is for verify"


def test_the_registry_sorts_what_was_declared_from_the_top_down() -> None:
    names = [f.name for f in registry.figures]
    assert names.index("t_items.amount") < names.index("t_boxes.totals")
    assert names.index("t_boxes.totals") < names.index("t_shelves.total")
