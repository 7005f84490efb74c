"""FAULTS.md, line 34: Redis dies or freezes while users work; nothing is lost and no user waits for it."""

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice.database.embedded import Services
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.depth import examples
from tests.factories.orders import OrderFactory
from tests.faults.servers import send, web
from tests.faults.workers import listening, until, worker
from tests.orders.pages import fields_of
from tests.signing_in import cookie_for, someone

pytestmark = pytest.mark.slow

PEOPLE = examples(10)
WITHIN_SECONDS = 2.0
DONE_WITHIN_SECONDS = 60


def test_while_redis_is_away_people_save_and_what_is_asked_for_is_done_when_it_is_back(
    app: Flask, session: Any, services: Services, tmp_path: Path
) -> None:
    """It is killed, and then frozen, under the same web server and worker: neither is started again."""
    log = tmp_path / "log"
    cookies = ["=".join(cookie_for(app, someone(app, "finance"))) for _ in range(PEOPLE)]
    numbers = {
        fault: [
            OrderFactory(number=f"{fault}-{n}", lines=[("package", "Tofu", "3", "10")]).number
            for n in range(PEOPLE)
        ]
        for fault in ("killed", "frozen")
    }
    session.commit()
    with web(log, WEB_CONCURRENCY="1") as port, worker(log):
        for fault, orders in numbers.items():
            forms = [
                fields_of(send(port, "GET", f"/orders/{number}/edit", cookie).text)
                for number, cookie in zip(orders, cookies, strict=True)
            ]
            redis = services.redis.pid() or 0
            os.kill(redis, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
            asked = [queued(session, number) for number in orders]
            took = saved(port, orders, cookies, forms)
            for cookie in cookies:
                assert send(port, "GET", "/orders", cookie).status == 200, "a user was signed out"
            if fault == "killed":
                services.redis.start(tied=True)
            else:
                os.kill(redis, signal.SIGCONT)
            are_done(session, asked, log)
            assert {status for status, _ in took} == {303}, (fault, took)
            slowest = max(seconds for _, seconds in took)
            assert slowest < WITHIN_SECONDS, (fault, sorted(took)[-5:])
    every = [number for orders in numbers.values() for number in orders]
    promos = select(Order.promo).where(Order.number.in_(every)).distinct()
    assert session.scalars(promos).all() == [7]


def test_a_worker_that_is_asked_to_stop_while_redis_is_away_ends(
    app: Flask, services: Services, tmp_path: Path
) -> None:
    """As on a host that shuts down: Redis may be gone before the worker has signed off."""
    log = tmp_path / "log"
    with worker(log) as process:
        listening(services, process, log=log)
        os.kill(services.redis.pid() or 0, signal.SIGKILL)
        process.terminate()
        try:
            assert process.wait(40) == 0, log.read_text()
        finally:
            services.redis.start(tied=True)


def are_done(session: Any, asked: list[int], log: Path) -> None:
    """Assert that all these runs end, and with success."""
    live = select(func.count()).where(Run.id.in_(asked), Run.finished_at.is_(None))

    def all_ended() -> bool:
        session.rollback()
        return session.scalar(live) == 0

    until(all_ended, DONE_WITHIN_SECONDS, "everything asked for is done", log)
    session.rollback()
    statuses = select(Run.status).where(Run.id.in_(asked)).distinct()
    assert session.scalars(statuses).all() == ["done"]


def queued(session: Any, number: str) -> int:
    order = session.scalar(select(Order.id).where(Order.number == number))
    scope = {"figures": {"orders.grand_total": [order]}}
    run = actions.request(session, "figures.heal", scope)
    session.commit()
    return int(run.id)


def saved(
    port: int, numbers: list[str], cookies: list[str], forms: list[Any]
) -> list[tuple[int, float]]:
    """Each client saves its order within some seconds; returns status and seconds of each response."""
    took: list[tuple[int, float]] = []

    def save(number: str, cookie: str, form: Any) -> None:
        time.sleep(random.uniform(0, PEOPLE / 12))
        form["promo"] = "7"
        began = time.monotonic()
        status = send(port, "POST", f"/orders/{number}/edit", cookie, form).status
        took.append((status, time.monotonic() - began))

    threads = [
        threading.Thread(target=save, args=three)
        for three in zip(numbers, cookies, forms, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took
