"""A correction suppresses notes on the rows that it has just recomputed, and on no others."""

import threading

import pytest
from sqlalchemy import Connection, case, func, select, text
from sqlalchemy.exc import DBAPIError

from backoffice.base import table_of
from backoffice.base.money import rounded
from backoffice.database.proof import prove
from backoffice.figures import Registry
from backoffice.figures.keeping.drain import correction_of, drain
from backoffice.figures.keeping.notes import Touched
from backoffice.figures.keeping.recomputing import recompute, suppressing
from backoffice.figures.models import FigureNote
from backoffice.figures.verifying.healing import heal
from backoffice.figures.verifying.outside import drain_noted, heal_noted

from .test_trust import Make, Region, Sale, Seller, fill, one, sales, summed, world
from .worlds import World

__all__ = ["world"]

NOTES = table_of(FigureNote)
SALE, SELLER = "trust_sales", "trust_sellers"
WAITING = b"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
WRONG = b"UPDATE trust_sales SET amount = amount + 1"


def towers() -> Registry:
    """Sales add up to their seller's total, and sellers to their region's."""
    registry = sales()
    registry.figure(Seller.total, summed(Sale.amount, Sale.seller_id), title="Sold")
    registry.figure(Region.total, summed(Seller.total, Seller.region_id), title="Region")
    return registry


def noted(connection: Connection) -> set[tuple[str, int]]:
    """This transaction's notes."""
    mine = select(NOTES.c.bundle, NOTES.c.owner).where(NOTES.c.xid == func.pg_current_xact_id())
    return {(bundle, owner) for bundle, owner in connection.execute(mine)}


def test_a_settled_bundle_is_not_noted_but_what_builds_on_it_is(world: Make) -> None:
    registry = towers()
    w = world(registry)
    fill(w, {"price": 5}, {"price": 7, "seller_id": 2})
    w.surgery.execute(WRONG)
    bundle = registry.bundle_of(registry.get("trust_sales.amount"))
    statement, why = recompute(registry, bundle, correct=True, by_facts=True), correction_of("heal")
    with w.engine.connect() as connection, connection.begin() as transaction:
        with suppressing(connection, [SALE]):
            statement.rows(connection, owners=[1], **why)
        assert noted(connection) == {(SELLER, 1)}
        prove(connection)
        statement.rows(connection, owners=[2], **why)
        assert noted(connection) == {(SELLER, 1), (SELLER, 2), (SALE, 2)}, "it has ended"
        transaction.rollback()
    heal(w.engine, registry)


def test_who_writes_in_the_transaction_of_a_correction_is_noted(world: Make) -> None:
    registry = towers()
    w = world(registry)
    fill(w, {"price": 5}, {"price": 7, "seller_id": 2})
    w.surgery.execute(WRONG)
    with w.engine.begin() as connection:
        owners = {SALE: Touched(owners={1})}
        drain(connection, registry, owners, correction_of("heal"))
        assert noted(connection) == set()
        connection.execute(text("UPDATE trust_sales SET amount = 99 WHERE id = 1"))
        assert noted(connection) == {(SALE, 1), (SELLER, 1)}
    heal(w.engine, registry)
    assert one(w, "SELECT total FROM trust_regions WHERE id = 1") == 24
    assert not w.drift()


def test_a_correction_that_fails_takes_its_silence_back_with_it(world: Make) -> None:
    registry = towers()
    w = world(registry)
    fill(w, {"price": 5}, {"price": 7, "seller_id": 2})
    w.surgery.execute(WRONG)
    w.surgery.execute(
        "ALTER TABLE trust_sales ADD CONSTRAINT no_ten CHECK (amount <> 10) NOT VALID"
    )
    with w.engine.begin() as connection:
        owners = {SALE: Touched(owners={1})}
        with pytest.raises(DBAPIError), connection.begin_nested():
            drain(connection, registry, owners, correction_of("heal"))
        connection.execute(text("UPDATE trust_sales SET amount = 99 WHERE id = 2"))
        assert noted(connection) == {(SALE, 2), (SELLER, 2)}
    w.surgery.execute("ALTER TABLE trust_sales DROP CONSTRAINT no_ten")
    heal(w.engine, registry)


def test_a_program_that_says_it_settles_silences_nothing(world: Make) -> None:
    """It has not proved to be one of the app's processes, so all its writes are noted."""
    registry = towers()
    w = world(registry)
    fill(w, {"price": 5})
    with w.open_outside() as stranger:
        stranger.execute("SET backoffice.settling = 'trust_sales'")
        stranger.execute("UPDATE trust_sales SET amount = 4, price = 3")
        found = stranger.execute("SELECT bundle, owner FROM figure_notes").fetchall()
    assert set(found) == {(SALE, 1), (SELLER, 1)}
    heal_noted(w.engine, registry)
    assert one(w, "SELECT total FROM trust_sellers WHERE id = 1") == 6


def test_a_row_that_changes_hands_while_a_correction_waits_for_it_is_its_new_owners(
    world: Make,
) -> None:
    """The new owner's note may be drained before the correction has finished."""
    registry = Registry("trust")
    registry.figure(Sale.amount, rounded(Sale.price * 2), owner=Sale.seller_id, title="Amount")
    w = world(registry)
    fill(w, {"price": 5})
    w.surgery.execute("UPDATE trust_sales SET amount = 1")
    has_written, may_commit = threading.Event(), threading.Event()

    def correct() -> None:
        with w.engine.begin() as connection:
            drain(connection, registry, {SELLER: Touched(owners={1})}, correction_of("heal"))
            has_written.set()
            assert may_commit.wait(20)

    with w.open_outside() as stranger:
        stranger.execute("UPDATE trust_sales SET seller_id = 2, price = 50, amount = 100")
        correcting = threading.Thread(target=correct)
        correcting.start()
        while not w.surgery.execute(WAITING).fetchall():
            assert correcting.is_alive()
    assert has_written.wait(20)
    with w.engine.begin() as connection:
        of_the_new_owner = select(NOTES.c.id).where(NOTES.c.owner == 2)
        drain_noted(connection, registry, connection.scalars(of_the_new_owner).all())
    may_commit.set()
    correcting.join()
    heal_noted(w.engine, registry)
    assert one(w, "SELECT amount FROM trust_sales") == 100
    assert not w.drift()
    assert one(w, "SELECT count(*) FROM corrections") == 0


def correct_while_another_writes(
    w: World, registry: Registry, owners: dict[str, Touched], statement: str
) -> None:
    """Correct these owners from a thread that waits for the rows which `statement`, of another program, has changed."""
    errors: list[Exception] = []

    def correct() -> None:
        try:
            with w.engine.begin() as connection:
                drain(connection, registry, owners, correction_of("heal"))
        except Exception as error:  # noqa: BLE001 (handed to the test)
            errors.append(error)

    with w.open_outside() as stranger:
        stranger.execute(statement.encode())
        correcting = threading.Thread(target=correct)
        correcting.start()
        while not w.surgery.execute(WAITING).fetchall():
            assert correcting.is_alive(), errors
    correcting.join()
    assert errors == []


def test_a_row_that_changes_hands_between_two_owners_of_a_correction_keeps_its_new_amount(
    world: Make,
) -> None:
    """The correction holds both owners, so only the row itself tells that it has changed hands."""
    registry = Registry("trust")
    registry.figure(Sale.amount, rounded(Sale.price * 2), owner=Sale.seller_id, title="Amount")
    w = world(registry)
    fill(w, {"price": 5})
    w.surgery.execute("UPDATE trust_sales SET amount = 1")
    moved = "UPDATE trust_sales SET seller_id = 2, price = 50, amount = 100"
    correct_while_another_writes(w, registry, {SELLER: Touched(owners={1, 2})}, moved)
    assert one(w, "SELECT amount FROM trust_sales") == 100
    assert one(w, "SELECT count(*) FROM corrections") == 0
    heal_noted(w.engine, registry)
    assert not w.drift()


def test_what_another_program_enters_while_a_correction_waits_for_the_row_stays(
    world: Make,
) -> None:
    """The correction read the row before the entry; only what has drifted is written."""
    registry = Registry("trust")
    registry.figure(
        {
            Sale.amount: rounded(Sale.price * 2),
            Sale.fee: case((Sale.bucket_id.is_(None), Sale.fee), else_=0),
        },
        name="trust.amounts", owner=Sale.seller_id, title="Amount", entered={Sale.fee: Sale.bucket_id.is_(None)},
    )  # fmt: skip
    w = world(registry)
    fill(w, {"price": 5})
    w.surgery.execute("UPDATE trust_sales SET amount = 1")
    owners = {registry.bundles[0].name: Touched(owners={1})}
    correct_while_another_writes(w, registry, owners, "UPDATE trust_sales SET fee = 7")
    assert one(w, "SELECT fee FROM trust_sales") == 7
    assert one(w, "SELECT amount FROM trust_sales") == 10
    heal_noted(w.engine, registry)
    assert not w.drift()
