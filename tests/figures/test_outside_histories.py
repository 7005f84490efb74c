"""Changes by another program beneath a long history of one owner are followed a piece at a time."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from backoffice.figures.keeping import drain as drain_module
from backoffice.figures.keeping.drain import Drained
from backoffice.figures.models import Correction
from backoffice.figures.verifying import batches, healing
from backoffice.figures.verifying.outside import heal_noted, noted

from . import gas
from .gas import GAS
from .worlds import Building, World

pytestmark = pytest.mark.slow

D = Decimal
PIECE, READINGS = 20, 100
"""The readings fill whole pieces, so the last attempt writes nothing."""


@pytest.fixture
def world(building: Building, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A customer with a hundred days, of which at most twenty rows are written at a time."""
    monkeypatch.setattr(batches, "MOST_ROWS", PIECE)
    with building(GAS.base, GAS.registry) as world:
        GAS.begin(world)
        start = date(2024, 1, 1)
        price = {"customer_id": 1, "effective_from": start, "price": D(10), "factor": D(1)}
        readings = [
            {"customer_id": 1, "read_on": start + timedelta(number), "volume": D("12.345")}
            for number in range(READINGS)
        ]
        with world.sessions() as session:
            session.execute(insert(gas.Price), price)
            session.execute(insert(gas.Reading), readings)
            session.commit()
        yield world


def written(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for figure, before in connection.execute(select(Correction.figure, Correction.before)):
        assert before is not None
        found[figure] = found.get(figure, 0) + 1
    return found


def is_right(world: World) -> None:
    assert GAS.stored(world) == GAS.expected(world)
    assert set(noted(world.engine).values()) <= {0}
    assert world.drift() == []
    with world.sessions() as session:
        assert set(session.scalars(select(Correction.cause))) == {"bypass"}
        assert written(session.connection()) == {
            "calculations": READINGS,
            "months": 4,
            "shape_customers.balance": 1,
        }


def test_it_is_followed_in_pieces_each_row_once_and_with_what_builds_on_it(world: World) -> None:
    pieces: list[int] = []

    def within(_connection: Connection, _things: Any, drained: Drained) -> None:
        pieces.append(len(drained.corrected.get("calculations", ())))

    world.outside.execute("UPDATE shape_prices SET price = 11")
    done = heal_noted(world.engine, GAS.registry, within=within)
    assert done.failures == []
    assert max(pieces) == PIECE
    assert sum(pieces) == READINGS
    is_right(world)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_interrupted_one_is_noted_still_and_goes_on(world: World, after: int) -> None:
    left = after

    def within(_connection: Connection, _things: Any, drained: Drained) -> None:
        nonlocal left
        left -= drained.is_cut
        if left < 0:
            raise KeyboardInterrupt

    world.outside.execute("UPDATE shape_prices SET price = 11")
    if after < READINGS / PIECE:
        with pytest.raises(KeyboardInterrupt):
            heal_noted(world.engine, GAS.registry, within=within)
        assert noted(world.engine)["calculations"] >= 1
    heal_noted(world.engine, GAS.registry)
    is_right(world)


def test_where_what_builds_on_a_piece_is_not_left_noted_it_is_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a piece drops the notes of the owners above, and the last piece leaves none."""
    drop = drain_module.drop_mine
    monkeypatch.setattr(drain_module, "drop_mine", lambda connection, _fresh=None: drop(connection))
    world.outside.execute("UPDATE shape_prices SET price = 11")
    heal_noted(world.engine, GAS.registry)
    assert {f.figure.name for f in world.drift()} == {"months", "shape_customers.balance"}
    healing.heal(world.engine, GAS.registry)
    assert world.drift() == []


def test_a_row_that_stays_wrong_whatever_is_written_is_not_followed_for_ever(world: World) -> None:
    world.outside.execute(
        "CREATE FUNCTION shape_stubborn() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.total := OLD.total; RETURN NEW; END'"
    )
    world.outside.execute(
        "CREATE TRIGGER stubborn BEFORE UPDATE ON shape_calculations FOR EACH ROW "
        "EXECUTE FUNCTION shape_stubborn()"
    )
    try:
        world.outside.execute("UPDATE shape_prices SET price = 11")
        heal_noted(world.engine, GAS.registry)
        assert noted(world.engine) == {}
        assert len([f for f in world.drift() if f.figure.name == "calculations"]) == READINGS
    finally:
        world.outside.execute("DROP FUNCTION shape_stubborn CASCADE")
    healing.heal(world.engine, GAS.registry)
    assert world.drift() == []
