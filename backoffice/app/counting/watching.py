"""Measures how long requests and statements take, and logs slow ones.

Only what happens within requests is counted, since only the web server's counters are scraped; slow
statements are logged wherever they happen.
"""

import time
from typing import Any

import structlog
from flask import Flask, Response, g, has_request_context, request

from ...figures.computing.registry import registry
from ...figures.keeping import effects, hooks

log = structlog.get_logger("backoffice.database")

SLOW_SECONDS = 0.5
LONGEST_TEXT = 2000
"""The maximum of characters of a slow statement that are logged; fewer are enough to identify it."""


class TimedCursor(hooks.NotingCursor):
    """The app's cursor, which times every statement that is sent through a connection."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute, and record the time, even if it fails: a statement that was cancelled was slow."""
        began_at = time.perf_counter()
        try:
            return super().execute(query, params, **options)
        finally:
            _count_query(query, time.perf_counter() - began_at)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Execute for each set of parameters; recorded as one statement."""
        began_at = time.perf_counter()
        try:
            super().executemany(query, params_seq, **options)
        finally:
            _count_query(query, time.perf_counter() - began_at)


def init_app(app: Flask) -> None:
    """Time the requests of this app; its connections are timed already, by their cursor class."""
    app.after_request(_count_request)
    registry.observe = _count_recalculation


def _count_request(response: Response) -> Response:
    from .instruments import REQUESTS

    began_at = g.get("began_at")
    if began_at is not None:
        endpoint = request.endpoint or "unknown"
        status = f"{response.status_code // 100}xx"
        REQUESTS.labels(endpoint, status).observe(time.perf_counter() - began_at)
    return response


def _count_query(query: Any, seconds: float) -> None:
    is_slow, is_asked_for = seconds > SLOW_SECONDS, has_request_context()
    if is_asked_for:
        from . import instruments

        instruments.QUERIES.observe(seconds)
        if is_slow:
            instruments.SLOW_QUERIES.inc()
    if is_slow:
        write = log.warning if is_asked_for else log.info  # background work may be slow
        shown = " ".join(effects.text_of(query).split())[:LONGEST_TEXT]
        write("slow query", milliseconds=round(seconds * 1000), statement=shown)


def _count_recalculation(seconds: float, rows: int) -> None:
    if rows and has_request_context():
        from . import instruments

        instruments.RECALCULATIONS.observe(seconds)
        instruments.RECALCULATED.inc(rows)
