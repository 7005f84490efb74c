"""Looks on while the app works: how long requests and statements take, and which ones are slow.

Only what happens within requests is counted, for only the web server is asked for its counts; slow
statements are told to the log wherever they happen.
"""

import time
from typing import Any

import structlog
from flask import Flask, Response, g, has_request_context, request

from ...figures.computing.registry import registry
from ...figures.keeping import hooks

log = structlog.get_logger("backoffice.database")

SLOW_SECONDS = 0.5
LONGEST_TEXT = 2000
"""Characters of a slow statement that are logged: whose it is can be told from fewer."""


class TimedCursor(hooks.NotingCursor):
    """The app's cursor, with a clock: whatever is sent through a connection comes by here."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute, and count how long that took, in vain too: a statement that was cancelled was slow."""
        began_at = time.perf_counter()
        try:
            return super().execute(query, params, **options)
        finally:
            _count_query(query, time.perf_counter() - began_at)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Execute for each set of parameters; counts as one."""
        began_at = time.perf_counter()
        try:
            super().executemany(query, params_seq, **options)
        finally:
            _count_query(query, time.perf_counter() - began_at)


def init_app(app: Flask) -> None:
    """Watch the requests of this app; its connections have their clocks from the start."""
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
        write = log.warning if is_asked_for else log.info  # background work has time
        shown = " ".join(hooks.text_of(query).split())[:LONGEST_TEXT]
        write("slow query", milliseconds=round(seconds * 1000), statement=shown)


def _count_recalculation(seconds: float, rows: int) -> None:
    if rows and has_request_context():
        from . import instruments

        instruments.RECALCULATIONS.observe(seconds)
        instruments.RECALCULATED.inc(rows)
