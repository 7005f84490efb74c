"""CPU measurement: the work of this process and of PostgreSQL is counted, waiting time is not."""

import time
from typing import Any

from sqlalchemy import text

from backoffice.database.embedded import Services
from tests.processor import seconds_of

COUNTED = text("SELECT count(*) FROM generate_series(1, 3000000)")


def test_work_of_the_database_and_of_this_process_is_counted(
    session: Any, services: Services
) -> None:
    assert seconds_of(lambda: session.scalar(COUNTED), services) > 0.05
    assert seconds_of(lambda: sum(range(5_000_000)), services) > 0.02


def test_waiting_is_not_counted(session: Any, services: Services) -> None:
    def wait() -> None:
        session.execute(text("SELECT pg_sleep(0.5)"))
        time.sleep(0.5)

    assert seconds_of(wait, services) < 0.5
