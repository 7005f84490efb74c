"""Corrections after another program's writes name its database user, however fast it writes."""

import threading
import time
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.drift.outside import watch
from backoffice.figures.models import Correction, FigureNote
from tests.factories.orders import OrderFactory


@pytest.fixture
def order_id(session: Any) -> int:
    """An order with one package line."""
    order = OrderFactory(lines=[("package", "Tofu", "3", "10")])
    session.commit()
    return int(order.id)


@pytest.mark.parametrize(
    ("apart", "writes"), [(1, 3), (0.2, 5), (0.02, 20), (0, 40)], ids=["1s", "0.2s", "0.02s", "0"]
)
def test_rapid_writes_of_another_program_never_lose_their_author(
    app: Flask,
    order_id: int,
    owner_connection: psycopg.Connection[Any],
    apart: float,
    writes: int,
) -> None:
    is_written = threading.Event()
    failures: list[Any] = []

    def watching() -> None:
        with app.app_context():
            while not is_written.is_set():
                failures.extend(watch.drain(db.engine).failures)

    watcher = threading.Thread(target=watching)
    watcher.start()
    try:
        for _write in range(writes):
            owner_connection.execute(
                "UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = %s", [order_id]
            )
            time.sleep(apart)
    finally:
        is_written.set()
        watcher.join()
    failures += watch.drain(db.engine).failures
    assert failures == []
    assert db.session.scalars(select(FigureNote.id)).all() == []
    authors = set(db.session.execute(select(Correction.cause, Correction.db_user)).all())
    assert authors == {("bypass", "backoffice_owner")}
