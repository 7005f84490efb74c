"""(h) The audit trail with a million events: sealing it, verifying its chain, and finding things in it."""

import sys
from functools import partial
from statistics import median
from typing import Any

from psycopg import Connection

from backoffice.app.extensions import db
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.sealing import seal
from backoffice.audit.chain.verifying import verify
from backoffice.database.embedded import ADMIN

from .listing import ALLOWANCE_MS, EMPTY_TIMES, p95
from .report import Measured, Report
from .statements import statements_of
from .timing import Side, in_turn, summary, timed
from .web import EMPTY, Request, logged_to_nowhere, sign_in, with_empty_route
from .world import World

EVENTS = 1_000_000
BAR_SECONDS = 60.0
ROUNDS = 40
SEARCHES = ("common", "rare")
"""Pages that search in values, for which there is no index."""

_TRAIL = """
INSERT INTO users (id, email, name, role) OVERRIDING SYSTEM VALUE
  SELECT n, 'person' || n || '@example.com', 'Person ' || n, 'finance' FROM generate_series(1, 50) AS n;
INSERT INTO audit_events (xid, at, actor, db_user, table_name, row_id, action, before, after)
  SELECT (3 + n::bigint * {transactions} / {events})::text::xid8, now() - ({events} - n) * interval '30 seconds',
         CASE WHEN n % 4 = 0 THEN 'cli:root' ELSE 'user:' || 1 + hash % 50 END, 'backoffice_app',
         (ARRAY['orders', 'order_lines', 'customers', 'products'])[1 + hash % 4], (hash % 90000)::text,
         CASE WHEN n % 5 = 0 THEN 'INSERT' WHEN n % 997 = 0 THEN 'DELETE' ELSE 'UPDATE' END,
         CASE WHEN n % 5 > 0 THEN jsonb_build_object('promo', (hash % 900000) / 100.0, 'city', 'Jakarta') END,
         CASE WHEN n % 997 > 0 THEN jsonb_build_object('promo', (hash % 70000) / 100.0,
              'city', 'Nairobi', 'description', 'Queso Cabrales ' || n) END
  FROM (SELECT n, hashint8(n) & 2147483647 AS hash FROM generate_series(1, {events}) AS n) numbered
"""
"""Events as triggers write them, by fifty users and a program over a year, with ids of past transactions."""


def measure(world: World, scale: float) -> Report:
    """Time sealing and verifying once each, as a schedule does; then the pages in turn with the empty route."""
    count = max(20_000, int(EVENTS * scale))
    with world.connect(ADMIN) as connection:
        print(f"    writing {count:,} events …", file=sys.stderr)
        _load(world, connection, count)
    keys = Keyring.of(world.app.config)
    with world.app.app_context():
        engine = db.engine
    seconds: dict[str, list[float]] = {
        "seal": [timed(lambda: _sealed(engine, keys, count))],
        "verify": [timed(lambda: _verified(engine, keys, count))],
    }
    world.settle()
    seconds["verify"].append(timed(lambda: _verified(engine, keys, count)))
    with world.connect(ADMIN) as connection:
        _tampered(connection, engine, keys, count // 2)
    pages, texts = _pages(world, count, scale)
    figures = [
        Measured("h", f"sealing {count:,} events", seconds["seal"][0], "s"),
        Measured(
            "h", f"verify-chain of {count:,} events", max(seconds["verify"]), "s", BAR_SECONDS
        ),
        *_measured(pages),
    ]
    return Report(figures, {n: summary(t) for n, t in (seconds | pages).items()}, texts)


def _load(world: World, connection: Connection[Any], count: int) -> None:
    world.empty()
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        transactions = _next_xid(connection) - 10
        connection.execute(_TRAIL.format(events=count, transactions=transactions).encode())
    world.settle()


def _next_xid(connection: Connection[Any]) -> int:
    row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert row is not None
    return int(row[0])


def _sealed(engine: Any, keys: Keyring, count: int) -> None:
    assert seal(engine, keys) == count


def _verified(engine: Any, keys: Keyring, count: int) -> None:
    found = verify(engine, keys)
    assert (found.events, found.waiting, found.bad) == (count, 0, [])


def _tampered(connection: Connection[Any], engine: Any, keys: Keyring, event: int) -> None:
    """Assert that one changed row is reported; then restore it."""
    connection.execute("SET session_replication_role = replica")
    change = "UPDATE audit_events SET row_id = row_id || %s WHERE id = %s"
    connection.execute(change, ["0", event])
    assert [bad.event for bad in verify(engine, keys).bad] == [event]
    connection.execute("UPDATE audit_events SET row_id = left(row_id, -1) WHERE id = %s", [event])


def _pages(world: World, count: int, scale: float) -> tuple[dict[str, list[float]], dict[str, str]]:
    rounds = max(10, int(ROUNDS * scale))
    app = with_empty_route(world.app_on("backoffice"))
    headers = {"Cookie": sign_in(app, user_id=1)}
    addresses = {
        "empty": EMPTY,
        "first": "/audit",
        "far": "/audit?page=500",
        "person": "/audit?person=7",
        "table": "/audit?table=orders&action=delete",
        "record": "/audit?table=orders&row=4711",
        "row": "/audit?row=4711",
        "days": "/audit?since=2026-03-01&until=2026-03-02",
        "common": "/audit?q=cabrales",
        "rare": f"/audit?q=cabrales+{count // 3}",
    }
    with logged_to_nowhere():
        requests = {name: Request(app, address, headers) for name, address in addresses.items()}
        assert requests["first"].send().count(b'class="row-link"') == 50
        assert b"Queso Cabrales" in requests["rare"].send()
        sides: dict[str, Side] = {n: partial(timed, r.send) for n, r in requests.items()}
        searched = {name: sides[name] for name in SEARCHES}
        seconds = in_turn({n: s for n, s in sides.items() if n not in SEARCHES}, rounds, warm_up=3)
        seconds |= in_turn(searched, max(3, rounds // 8))
        texts = {f"{name} page": statements_of(sides[name], 5) for name in ("first", "row", "rare")}
    return seconds, texts


def _measured(seconds: dict[str, list[float]]) -> list[Measured]:
    bar = EMPTY_TIMES * p95(seconds["empty"]) + ALLOWANCE_MS
    names = {
        "first": "first page of the trail", "far": "page 500", "person": "one person",
        "table": "one action on one table", "record": "one record", "row": "one number in any table",
        "days": "two days",
    }  # fmt: skip
    return [
        *(
            Measured("h", f"{reported}, p95", p95(seconds[n]), "ms", bar)
            for n, reported in names.items()
        ),
        Measured("h", "a value that is common", median(seconds["common"]) * 1000, "ms"),
        Measured("h", "a value that stands once", median(seconds["rare"]) * 1000, "ms"),
        Measured("h", "the empty signed-in route, p95", p95(seconds["empty"]), "ms"),
    ]
