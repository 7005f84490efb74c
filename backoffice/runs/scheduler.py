"""Asks the workers for periodic work when it is due."""

import time
from collections.abc import Mapping
from datetime import timedelta
from threading import Event

import structlog
from redis import Redis

from .worker import enqueue

log = structlog.get_logger("backoffice.scheduler")

ASK_AGAIN_SECONDS = 5.0
"""How soon to ask again when Redis does not answer."""


def run(connection: Redis, intervals: Mapping[str, timedelta], stopping: Event) -> None:
    """Enqueue each piece of work now and then every so often, until `stopping` is set."""
    due = dict.fromkeys(intervals, 0.0)
    log.info("scheduler started", work=sorted(intervals))
    while not stopping.is_set():
        for name, moment in due.items():
            if moment <= time.monotonic():
                seconds = intervals[name].total_seconds()
                is_taken = enqueue(connection, name, seconds=int(seconds))
                due[name] = time.monotonic() + (seconds if is_taken else ASK_AGAIN_SECONDS)
        stopping.wait(1)
    log.info("scheduler stopped")
