"""(b) Saving an order with four lines: figures kept by the hooks, beside plain inserts.

Every side has its own copy of the same database, so that nothing has to be
switched between two runs and all of them can take turns.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, selectinload

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import Order

from .book import load
from .orders import add_one, add_one_completely, complete_order, new_order
from .report import Measured, Report
from .statements import statements_of
from .timing import Side, in_turn, ratio, summary, timed
from .world import World

BAR = 2.0
ORDERS = 20_000
"""The number of existing orders."""
ROUNDS = 600

COPIES = {
    "bare": ".",
    "plain": "^backoffice_(note|audit)_",
    "unaudited": "^backoffice_audit_",
}
"""Database → pattern of its disabled triggers; in the app's own database all are enabled."""

Seconds = dict[str, list[float]]


def measure(world: World, scale: float) -> Report:
    """Time new orders (the bar), one edited quantity, and both again without waiting for the disk."""
    _prepare(world)
    rounds = max(20, int(ROUNDS * scale))
    apps = {"figures": world.app_on("bench_unaudited"), "audited": world.app}
    engines = {side: _plain_engine(world, f"bench_{side}") for side in ("plain", "bare")}
    with figures.acting_as("user:1"):
        saved = in_turn(_sides(apps, engines, hooked_save, _plain_save), rounds, warm_up=20)
        edited = in_turn(_sides(apps, engines, hooked_edit, _plain_edit), rounds, warm_up=20)
        with _without_waiting_for_the_disk(world):
            hasty = in_turn(_sides(apps, engines, hooked_save, _plain_save), rounds, warm_up=20)
        texts = {
            "(b) where a save's time goes": statements_of(hooked_save(apps["figures"]), rounds),
            "(b) where plain inserts' time goes": statements_of(
                _plain_save(engines["plain"]), rounds
            ),
        }
    for name, app in apps.items():
        _assert_right(name, app)
    numbers = {"durable": _summaries(saved), "edit": _summaries(edited), "hasty": _summaries(hasty)}
    return Report(_measured(saved, edited, hasty), numbers, texts)


def _measured(saved: Seconds, edited: Seconds, hasty: Seconds) -> list[Measured]:
    def beside_plain(name: str, seconds: Seconds, side: str, bar: float | None = None) -> Measured:
        return Measured("b", name, ratio(seconds[side], seconds["plain"]), "× plain ORM", bar)

    bare = ratio(saved["figures"], saved["bare"])
    return [
        beside_plain("save an order with 4 lines", saved, "figures", BAR),
        beside_plain("the same, audited", saved, "audited"),
        Measured("b", "the same, beside tables without any trigger", bare, "× plain ORM"),
        beside_plain("the same, synchronous_commit off", hasty, "figures"),
        beside_plain("edit one line's quantity", edited, "figures"),
        beside_plain("the same, audited", edited, "audited"),
    ]


def _summaries(seconds: Seconds) -> dict[str, Any]:
    return {side: summary(runs) for side, runs in seconds.items()}


def _prepare(world: World) -> None:
    world.empty()
    with world.connect(ADMIN) as connection:
        load(connection, ORDERS, falsified=False)
    world.settle()
    for name, sleeping in COPIES.items():
        world.copy_database(f"bench_{name}")
        world.put_triggers_to_sleep(f"bench_{name}", sleeping)


def _plain_engine(world: World, database: str) -> Engine:
    """An engine like the app's, without its cursor class and its hooks."""
    with world.app.app_context():
        options = dict(world.app.config["SQLALCHEMY_ENGINE_OPTIONS"])
    connect = {k: v for k, v in options["connect_args"].items() if k != "cursor_factory"}
    return create_engine(world.sqlalchemy_url(database), **{**options, "connect_args": connect})


@contextmanager
def _without_waiting_for_the_disk(world: World) -> Iterator[None]:
    def change(statement: bytes) -> None:
        with world.connect(ADMIN) as connection:
            connection.execute(statement)
            connection.execute("SELECT pg_reload_conf(), pg_sleep(0.2)")

    change(b"ALTER SYSTEM SET synchronous_commit = off")
    yield
    change(b"ALTER SYSTEM RESET synchronous_commit")


def _sides(
    apps: dict[str, Flask],
    engines: dict[str, Engine],
    hooked: Callable[[Flask], Side],
    plain: Callable[[Engine], Side],
) -> dict[str, Side]:
    return {name: plain(engine) for name, engine in engines.items()} | {
        name: hooked(app) for name, app in apps.items()
    }


def hooked_save(app: Flask) -> Side:
    """Save through the app's own session: facts are added, right figures are committed."""

    def side() -> float:
        with app.app_context():
            order = new_order()
            return timed(partial(db.session.add, order), db.session.commit)

    return side


def _plain_save(engine: Engine) -> Side:
    def side() -> float:
        with Session(engine) as session:
            order = complete_order()
            return timed(partial(session.add, order), session.commit)

    return side


def hooked_edit(app: Flask) -> Side:
    with app.app_context():
        ids = _saved_ids(db.session())

    def side() -> float:
        with app.app_context():
            order = _loaded(db.session(), next(ids))
            return timed(partial(add_one, order), db.session.commit)

    return side


def _plain_edit(engine: Engine) -> Side:
    with Session(engine) as session:
        ids = _saved_ids(session)

    def side() -> float:
        with Session(engine) as session:
            order = _loaded(session, next(ids))
            return timed(partial(add_one_completely, order), session.commit)

    return side


def _saved_ids(session: Session) -> Iterator[int]:
    """The ids of the orders that the benchmark has saved, newest first."""
    orders = session.query(Order.id).where(Order.number.like("BENCH-%")).order_by(Order.id.desc())
    return iter([key for (key,) in orders])


def _loaded(session: Session, key: int) -> Order:
    return session.get_one(Order, key, options=[selectinload(Order.lines)])


def _assert_right(name: str, app: Flask) -> None:
    """Assert that the measured work is right: no figure has drifted, and no notes are left."""
    with app.app_context():
        drifted = list(figures.verify(db.engine, ORDER_FIGURES))
        noted = sum(figures.noted(db.engine).values())
    assert not drifted, f"{name}: {len(drifted)} figures are wrong after the benchmark"
    assert not noted, f"{name}: {noted} notes were left behind"
