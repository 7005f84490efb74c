"""Two versions at work: neither recomputes by its own definition what the database keeps by another."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from backoffice.base.money import rounded
from backoffice.figures import Registry
from backoffice.figures.computing import definitions
from backoffice.figures.errors import AnotherDefinition
from backoffice.figures.keeping import drain, hooks, triggers
from backoffice.figures.verifying.healing import heal, renew
from backoffice.figures.verifying.outside import heal_noted
from backoffice.figures.verifying.verification import verify
from backoffice.reconciliation.report import Report

from .test_trust import Bucket, Make, Sale, fill, one, summed, world
from .worlds import World

pytestmark = pytest.mark.slow

__all__ = ["world"]

CHANGED, SAME = "trust_sales.amount", "trust_buckets.total"


def version(times: int, *, incremental: bool = False) -> Registry:
    """A version in which an amount is `times` the price; buckets sum all prices in both."""
    registry = Registry("trust")
    registry.figure(Sale.amount, rounded(Sale.price * times), title="Amount")
    registry.figure(
        Bucket.total, summed(Sale.price, Sale.bucket_id), title="Bucket", incremental=incremental
    )
    return registry


@pytest.fixture
def process(database_url: str) -> Iterator[Callable[[Registry], sessionmaker[Session]]]:
    """A process of another version that works on the same database."""
    with ExitStack() as stack:

        def process(registry: Registry) -> sessionmaker[Session]:
            url = database_url.replace("postgresql:", "postgresql+psycopg:", 1)
            engine = create_engine(url, connect_args={"cursor_factory": hooks.NotingCursor})
            stack.callback(engine.dispose)
            hooks.install(engine, registry)
            sessions = sessionmaker(engine, class_=type("Other", (Session,), {}))
            hooks.install_session(sessions, registry)
            return sessions

        yield process


def upgraded(w: World, owner_database_url: str, registry: Registry) -> None:
    """Perform the last step of `db upgrade` with another version."""
    url = owner_database_url.replace("postgresql:", "postgresql+psycopg:", 1)
    engine = create_engine(url)
    with engine.begin() as connection:
        triggers.sync(connection, registry)
    list(renew(engine, registry))
    engine.dispose()


def save(sessions: sessionmaker[Session], price: int) -> None:
    with sessions() as session:
        session.get_one(Sale, 1).price = price
        session.commit()


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("direction", ["the older after an upgrade", "the newer before it"])
def test_a_save_of_the_other_version_leaves_what_it_would_settle_otherwise(
    direction: str, incremental: bool, world: Make, process: Any, owner_database_url: str
) -> None:
    older, newer = version(2, incremental=incremental), version(3, incremental=incremental)
    w = world(older)
    fill(w, {"price": 5, "bucket_id": 1})
    theirs, others = older, newer
    if direction == "the older after an upgrade":
        upgraded(w, owner_database_url, newer)
        theirs, others = newer, older
        assert one(w, "SELECT amount FROM trust_sales") == 15, "computed by the upgrade"
    times = 3 if theirs is newer else 2
    other = process(others)
    save(other, 7)
    assert one(w, "SELECT total FROM trust_buckets WHERE id = 1") == 7, (
        "what both keep alike it settles itself"
    )
    assert one(w, "SELECT amount FROM trust_sales") == 5 * times, "not by its own definition"
    notes = w.outside.execute("SELECT bundle FROM figure_notes").fetchall()
    assert len(notes) == 1
    heal_noted(other.kw["bind"], others)
    assert w.outside.execute("SELECT bundle FROM figure_notes").fetchall() == notes, "nor its watch"
    heal_noted(w.engine, theirs)
    assert one(w, "SELECT amount FROM trust_sales") == 7 * times
    assert list(verify(w.engine, theirs)) == []
    upgraded(w, owner_database_url, older)
    assert list(verify(w.engine, older)) == []


HEALERS: dict[str, Callable[[Engine, Registry], Any]] = {
    "verify": lambda engine, registry: list(verify(engine, registry)),
    "verify one": lambda engine, registry: list(verify(engine, registry, [registry.get(CHANGED)])),
    "heal": heal,
    "heal one": lambda engine, registry: heal(engine, registry, [registry.get(CHANGED)]),
    "rebuild": lambda engine, registry: heal(engine, registry, every_owner=True),
    "owners": lambda engine, registry: heal(engine, registry, [registry.get(CHANGED)], [1]),
}


def _report(engine: Engine, registry: Registry) -> None:
    with engine.connect() as connection:
        Report(connection, registry, registry.get(CHANGED))


def _drain(engine: Engine, registry: Registry) -> None:
    bundle = registry.bundle_of(registry.get(CHANGED))
    with engine.begin() as connection:
        pending = {bundle.name: drain.Touched(owners={1})}
        drain.drain(connection, registry, pending, drain.correction_of("heal"))


HEALERS |= {"report": _report, "a correcting drain": _drain}


@pytest.mark.parametrize("how", list(HEALERS))
def test_who_has_another_definition_neither_verifies_nor_heals_and_names_the_figure(
    how: str, world: Make, process: Any, owner_database_url: str
) -> None:
    older, newer = version(2), version(3)
    w = world(older)
    fill(w, {"price": 5, "bucket_id": 1})
    upgraded(w, owner_database_url, newer)
    engine = process(older).kw["bind"]
    before = one(w, "SELECT count(*) FROM corrections")
    with pytest.raises(AnotherDefinition, match=CHANGED) as refused:
        HEALERS[how](engine, older)
    assert SAME not in str(refused.value)
    assert one(w, "SELECT amount FROM trust_sales") == 15
    assert one(w, "SELECT count(*) FROM corrections") == before
    same = [older.get(SAME)]
    assert list(verify(engine, older, same)) == []
    w.surgery.execute("UPDATE trust_buckets SET total = 99 WHERE id = 1")
    assert heal(engine, older, same).corrections == 1, "what both keep alike it heals"
    with engine.connect() as connection:
        assert definitions.differing(connection, older) == {
            older.bundle_of(older.get(CHANGED)).name
        }
        assert definitions.differing(connection, newer) == frozenset()
    assert list(verify(w.engine, newer)) == []
    upgraded(w, owner_database_url, older)


def test_what_both_keep_alike_is_verified_before_the_rest_is_refused(
    world: Make, process: Any, owner_database_url: str
) -> None:
    """Regression: one figure of another definition made the whole call fail before anything was verified."""
    older, newer = version(2), version(3)
    w = world(older)
    fill(w, {"price": 5, "bucket_id": 1})
    upgraded(w, owner_database_url, newer)
    engine = process(older).kw["bind"]
    w.surgery.execute("UPDATE trust_buckets SET total = 99 WHERE id = 1")
    found = []
    with pytest.raises(AnotherDefinition, match=CHANGED) as refused:
        found.extend(finding.figure.name for finding in verify(engine, older))
    assert found == [SAME]
    assert refused.value.names == [CHANGED]
    upgraded(w, owner_database_url, older)
    heal(w.engine, older)
