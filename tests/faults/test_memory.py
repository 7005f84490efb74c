"""A web process keeps nothing of its requests: its memory stays flat."""

import gc
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from backoffice.app import garbage
from backoffice.app.extensions import db
from tests.addresses import addresses, records_called_x
from tests.depth import rounds
from tests.processes import together

REQUESTS = rounds(600, 20_000)
MOST_MB = 20
"""Between full collections there may be 10; 20,000 requests grew by 14, and by 36 and more with seldom collections."""

NAMES = (
    "q", "sort", "page", "period", "status", "from", "to", "customer", "all", "kind", "figure", "day", "as_of", "by",
    "min", "max", "number", "code", "limit", "cursor", "meter", "account", "group",
)  # fmt: skip
WORDS = (
    "number",
    "-code",
    "balance",
    "open",
    "void",
    "true",
    "1",
    "all",
    "x",
    "customer",
    "2026-02-30",
    "é%_ ",
    "-5",
)


def megabytes() -> float:
    """The memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.slow
@pytest.mark.timeout(120 + REQUESTS)
def test_memory_of_a_web_process_stays_flat_over_mixed_requests(
    app: Flask, session: Session, sign_in: Callable[..., FlaskClient]
) -> None:
    """Pages, lists with any columns, files and the API, with arguments that fit and that do not."""
    records_called_x()
    session.commit()
    client, chance = sign_in("admin"), random.Random(1)
    columns = sorted({column.name for table in db.metadata.tables.values() for column in table.c})
    get = [address for _, method, address in addresses(app) if method == "GET"]

    def requested(count: int) -> None:
        for _ in range(count):
            query = {chance.choice(NAMES): chance.choice(WORDS) for _ in range(chance.randrange(4))}
            query["columns"] = ",".join(chance.sample(columns, 40))
            client.get(chance.choice(get), query_string=query)

    def grown() -> float:
        garbage.seek_seldom()
        # The compiled statements are kept on purpose, up to a number: fewer, so that they are complete early.
        cache: Any = db.engine._compiled_cache
        cache.capacity = 50
        requested(max(300, REQUESTS // 10))
        gc.collect()
        before = megabytes()
        requested(REQUESTS)
        return megabytes() - before

    assert together(app, grown, seconds=60 + REQUESTS)[0] <= MOST_MB
