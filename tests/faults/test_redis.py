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
from tests.faults.workers import until, worker
from tests.orders.pages import fields_of
from tests.signing_in import cookie_for, someone

pytestmark = pytest.mark.slow

PEOPLE = examples(10)
WITHIN_SECONDS = 2.0
DONE_WITHIN_SECONDS = 60


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_while_redis_is_away_people_save_and_what_is_asked_for_is_done_when_it_is_back(
    fault: str, app: Flask, session: Any, services: Services, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    cookies = ["=".join(cookie_for(app, someone(app, "finance"))) for _ in range(PEOPLE)]
    numbers = [
        OrderFactory(number=f"R-{n}", lines=[("package", "Tofu", "3", "10")]).number
        for n in range(PEOPLE)
    ]
    session.commit()
    with web(log) as port, worker(log):
        forms = [
            fields_of(send(port, "GET", f"/orders/{number}/edit", cookie).text)
            for number, cookie in zip(numbers, cookies, strict=True)
        ]
        redis = services.redis.pid() or 0
        os.kill(redis, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        asked = [queued(session, number) for number in numbers]
        took = saved(port, numbers, cookies, forms)
        for cookie in cookies:
            assert send(port, "GET", "/orders", cookie).status == 200, "a user was signed out"
        if fault == "killed":
            services.redis.start(tied=True)
        else:
            os.kill(redis, signal.SIGCONT)
        live = select(func.count()).where(Run.id.in_(asked), Run.finished_at.is_(None))

        def all_done() -> bool:
            session.rollback()
            return session.scalar(live) == 0

        until(all_done, DONE_WITHIN_SECONDS, "everything asked for is done", log)
    assert {status for status, _ in took} == {303}, took
    assert max(seconds for _, seconds in took) < WITHIN_SECONDS, sorted(took)[-5:]
    session.rollback()
    statuses = select(Run.status).where(Run.id.in_(asked)).distinct()
    assert session.scalars(statuses).all() == ["done"]
    promos = select(Order.promo).where(Order.number.in_(numbers)).distinct()
    assert session.scalars(promos).all() == [7]


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
