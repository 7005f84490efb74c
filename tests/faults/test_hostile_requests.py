"""FAULTS.md, the web: any request to any route by any role gets a response, and leaves every figure right.

`BACKOFFICE_FUZZ_REQUESTS=50000` sets the number of requests, `BACKOFFICE_FUZZ_SEED` selects others; by default
every route is requested once, multiplied by TEST_DEPTH.
"""

import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.app.protection import limiter
from backoffice.security.permissions import ROLES
from tests.addresses import records_called_x
from tests.depth import examples
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.faults.fuzzing import Fuzzer

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("BACKOFFICE_FUZZ_REQUESTS", "0"))
SEED = int(os.environ.get("BACKOFFICE_FUZZ_SEED", "11"))


def test_every_route_answers_whatever_it_is_sent_by_every_role(
    app: Flask, session: Any, sign_in: Callable[..., FlaskClient], capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(limiter, "enabled", False)
    app.config["PROPAGATE_EXCEPTIONS"] = False  # as in production
    begun = time.monotonic()
    records_called_x()
    for n in range(3):
        CustomerFactory(code=f"C-{n}")
        OrderFactory(number=f"SO-{n}", lines=[("package", "Queso", "12", "14.00")])
    session.commit()
    session.remove()
    fuzzer = Fuzzer(app, sign_in, tuple(ROLES), random.Random(SEED))
    fuzzer.crawl()
    fuzzer.attack(REQUESTS or examples(len(fuzzer.targets)))
    if REQUESTS:
        with capsys.disabled():
            print(fuzzer.report(time.monotonic() - begun))  # noqa: T201 (the long one is run to be read)
    assert fuzzer.found == []
    assert len(fuzzer.routes) == len(fuzzer.targets)
