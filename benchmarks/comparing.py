"""(o) Figures beside django-computedfields: the same rows in one cluster, in turn.

The other side works on a copy of the app's own database in which every trigger is disabled; both write
the same columns of the same tables under the same indexes, and wait for the same disk.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

from flask import Flask
from psycopg import Connection
from sqlalchemy import Engine, update

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import OrderLine

from .book import LINES, load
from .healing import healed
from .report import Measured, Report
from .saving import hooked_edit, hooked_save
from .timing import Side, in_turn, ratio, summary, timed
from .web import logged_to_nowhere
from .world import World

ORDERS = 20_000
WRONG = 1_000
BULK = 1_000
"""The number of lines that one bulk statement changes, each of a different order."""
HEAVY_ROUNDS = 5
LIGHT_ROUNDS = 200
BULK_ROUNDS = 20
BAR = 1.0

THEIRS = "bench_computed_fields"
UNAUDITED = "bench_unaudited"

Seconds = dict[str, list[float]]
EVERY_TOTAL = "UPDATE orders SET grand_total = grand_total + 1"
EVERY_LINE = "UPDATE order_lines SET amount = amount + 1"
RAW = "UPDATE order_lines SET quantity = quantity + 1 WHERE id = ANY(%s)"


def is_installed() -> bool:
    """Whether the optional extra `compare` is installed."""
    try:
        import computedfields  # noqa: F401
    except ImportError:
        return False
    return True


def measure(world: World, scale: float) -> Report:
    """Each row is the library's median over this app's, so that more than 1 means that this app is faster."""
    orders = max(2 * WRONG, int(ORDERS * scale))
    rounds = partial(_at_scale, scale)
    _prepare(world, orders)
    with world.connect(ADMIN) as ours, world.connect(ADMIN, THEIRS) as theirs:
        for surgery in (ours, theirs):
            surgery.execute("SET session_replication_role = replica")
        with world.app.app_context(), logged_to_nowhere():
            heavy = _heavy(world, {"ours": ours, "theirs": theirs}, rounds(HEAVY_ROUNDS, 2))
            light = _light(world, rounds(LIGHT_ROUNDS, 20), rounds(BULK_ROUNDS, 5))
    _assert_right(world)
    seconds = heavy | light
    numbers = {row: {n: summary(t) for n, t in sides.items()} for row, sides in seconds.items()}
    return Report(_measured(seconds, orders), numbers | {"orders": orders})


def _at_scale(scale: float, rounds: int, least: int) -> int:
    return max(least, int(rounds * scale))


def _measured(seconds: dict[str, Seconds], orders: int) -> list[Measured]:
    def row(name: str, of: str, ours: str = "ours", bar: float | None = None) -> Measured:
        sooner = ratio(seconds[of]["theirs"], seconds[of][ours])
        return Measured("o", name, sooner, "× sooner", bar, at_least=True)

    return [
        row(f"verify {orders:,} orders, {orders * LINES:,} lines", "verify", bar=BAR),
        row(f"heal {WRONG:,} of them", "heal", bar=BAR),
        row("the same, beside their update of everything", "heal_unseen"),
        row(f"heal all {orders:,} and all their lines, as a run", "all", bar=BAR),
        row("the same, the library's own call", "all", "library"),
        row("save an order with 4 lines", "save", bar=BAR),
        row("the same, audited", "save", "audited"),
        row("the same, beside lines that are saved one by one", "save_each"),
        row("edit one line's quantity", "edit", bar=BAR),
        row("the same, audited", "edit", "audited"),
        row(f"change {BULK:,} lines of as many orders in bulk", "bulk", bar=BAR),
        row("the same, audited", "bulk", "audited"),
        row(f"UPDATE of {BULK:,} lines by another program: the triggers' price", "raw"),
        row("the same with the audit trail, and right again", "raw", "drained"),
    ]


def _prepare(world: World, orders: int) -> None:
    from .computed_fields import connect

    world.empty()
    print(f"    loading {orders:,} orders …", file=sys.stderr)
    with world.connect(ADMIN) as connection:
        load(connection, orders, falsified=False)
    world.settle()
    world.copy_database(THEIRS)
    world.put_triggers_to_sleep(THEIRS, ".")
    world.copy_database(UNAUDITED)
    world.put_triggers_to_sleep(UNAUDITED, "^backoffice_audit_")
    connect(world.url(database=THEIRS))


def _heavy(world: World, surgery: dict[str, Connection[Any]], rounds: int) -> dict[str, Seconds]:
    """Time verifications of a right book, and heals of one that is made wrong again before every run."""
    engine = db.engine
    a_few = f"{EVERY_TOTAL} WHERE id % {_orders(surgery['ours']) // WRONG} = 0"
    ours, theirs = (
        partial(_wrong, world, surgery["ours"], "backoffice"),
        partial(_wrong, world, surgery["theirs"], THEIRS),
    )
    library = partial(figures.heal, engine, ORDER_FIGURES)
    verify: dict[str, Side] = {
        "ours": lambda: timed(partial(_verified, engine)),
        "theirs": lambda: timed(_checked),
    }
    heal: dict[str, Side] = {
        "ours": partial(ours, [a_few], library),
        "theirs": partial(theirs, [a_few], _found_and_updated),
        "their update": partial(theirs, [a_few], _updated),
    }
    everything = [EVERY_TOTAL, EVERY_LINE]
    whole: dict[str, Side] = {
        "ours": partial(ours, everything, partial(healed, engine, 1)),
        "library": partial(ours, everything, library),
        "theirs": partial(theirs, everything, _updated),
    }
    found = {
        "verify": in_turn(verify, rounds),
        "heal": in_turn(heal, rounds),
        "all": in_turn(whole, rounds, warm_up=0),
    }
    found["heal_unseen"] = {
        "ours": found["heal"]["ours"],
        "theirs": found["heal"].pop("their update"),
    }
    return found


def _wrong(
    world: World,
    surgery: Connection[Any],
    database: str,
    statements: list[str],
    heal: Callable[[], object],
) -> float:
    for statement in statements:
        surgery.execute(statement.encode())
    world.settle(database)
    return timed(heal)


def _verified(engine: Engine) -> None:
    assert not list(figures.verify(engine, ORDER_FIGURES))


def _checked(**options: Any) -> None:
    from django.core.management import call_command

    call_command("checkdata", silent=True, skip_tainted=True, **options)


def _found_and_updated() -> None:
    """The library's documented way: the check writes its findings to a file, which the update reads.

    `updatedata --from-json` of 0.3.6 ends in a TypeError before it does anything (it passes the file's name
    to Django as a colour), so its work is done here.
    """
    from computedfields.models import update_dependent
    from django.apps import apps
    from django.core.management import CommandError
    from django.db import transaction

    found = StringIO()
    try:
        _checked(json=found)
    except CommandError:
        pass
    else:
        raise AssertionError("checkdata found nothing")
    with transaction.atomic():
        for line in found.getvalue().splitlines():
            model = apps.get_model(json.loads(line)["model"])
            wrong = json.loads(line)["desync"]
            update_dependent(model._base_manager.filter(pk__in=wrong))


def _updated() -> None:
    from django.core.management import call_command

    call_command("updatedata", stdout=StringIO())


def _light(world: World, rounds: int, bulk_rounds: int) -> dict[str, Seconds]:
    from .computed_fields import writing

    apps = {"ours": world.app_on(UNAUDITED), "audited": world.app}
    saves = {name: hooked_save(app) for name, app in apps.items()}
    with figures.acting_as("user:1"):
        found = {
            "save": in_turn(
                saves | {"theirs": writing.save, "one by one": writing.save_each}, rounds, warm_up=5
            )
        }
        found["save_each"] = {
            "ours": found["save"]["ours"],
            "theirs": found["save"].pop("one by one"),
        }
        edits = {name: hooked_edit(app) for name, app in apps.items()}
        found["edit"] = in_turn(edits | {"theirs": writing.edits()}, rounds, warm_up=5)
        found["bulk"] = in_turn(
            {name: _bulk(app) for name, app in apps.items()}
            | {"theirs": partial(writing.bulk, _ids())},
            bulk_rounds,
        )
        found["raw"] = _raw(world, bulk_rounds)
    return found


def _ids() -> list[int]:
    """The ids of the first lines of so many orders."""
    return [1 + LINES * order for order in range(BULK)]


def _bulk(app: Flask) -> Side:
    change = (
        update(OrderLine).where(OrderLine.id.in_(_ids())).values(quantity=OrderLine.quantity + 1)
    )

    def side() -> float:
        with app.app_context():
            return timed(partial(db.session.execute, change), db.session.commit)

    return side


def _raw(world: World, rounds: int) -> Seconds:
    """Time raw UPDATEs: here they leave notes for a worker to drain, with the library undetected wrong totals."""
    engine = db.engine
    with (
        world.connect() as product,
        world.connect(database=UNAUDITED) as ours,
        world.connect(database=THEIRS) as theirs,
        world.connect(ADMIN, UNAUDITED) as surgery,
    ):

        def update_by(connection: Connection[Any]) -> None:
            connection.execute(RAW.encode(), [_ids()])

        def drained() -> float:
            return timed(partial(update_by, product), partial(figures.heal_noted, engine))

        def undone(connection: Connection[Any]) -> float:
            seconds = timed(partial(update_by, connection))
            connection.execute(RAW.replace("+", "-").encode(), [_ids()])
            surgery.execute("TRUNCATE figure_notes")
            return seconds

        sides = {"ours": partial(undone, ours), "theirs": partial(undone, theirs)}
        return in_turn(sides | {"drained": drained}, rounds)


def _orders(connection: Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM orders").fetchone()
    assert row is not None
    return int(row[0])


def _assert_right(world: World) -> None:
    """Assert that both sides hold right totals at the end, by the library's check and by this app's."""
    _checked()
    for database in ("backoffice", UNAUDITED, THEIRS):
        with world.app_on(database).app_context():
            assert not list(figures.verify(db.engine, ORDER_FIGURES)), database
