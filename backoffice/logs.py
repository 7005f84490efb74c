"""Logs: one line an event on standard error, with no secret in it and no line that somebody forged."""

import contextlib
import logging
import re
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from flask import Flask, Response, g, request

from .figures.actor import actor

HIDDEN = "[hidden]"
_SECRET_NAMES = re.compile(
    r"password|passwd|secret|token|authorization|cookie|session_id|api_?key|credential",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"(\w+://[^\s:/@]*:)[^\s@]+@")

Event = MutableMapping[str, Any]


def hide_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """Blank out values whose name says that they are secret, and passwords inside addresses."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = HIDDEN
        elif isinstance(value, str) and "://" in value:
            event[name] = _PASSWORD_IN_URL.sub(rf"\1{HIDDEN}@", value)
    return event


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.StackInfoRenderer(),
    hide_secrets,
]


class StandardError(logging.Handler):
    """Writes to whatever standard error is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a log that cannot be written never breaks the work that it tells of."""
        with contextlib.suppress(OSError, ValueError):
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 (this is the log)


def configure(level: str = "INFO") -> None:
    """Write every log, ours and the libraries', as a JSON object a line.

    JSON writes a line break inside a value as two characters, and whatever is not ASCII as its
    number: no value can begin a line, colour a terminal or reverse the text.
    """
    render = structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *SHARED],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler = StandardError()
    handler.setFormatter(formatter)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def init_app(app: Flask) -> None:
    """Log every answered request: who, what, with which result, how long. Never its query or body."""
    app.before_request(_start_clock)
    app.after_request(_log_request)


def _start_clock() -> None:
    g.began_at = time.perf_counter()


def _log_request(response: Response) -> Response:
    structlog.get_logger("backoffice.request").info(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        milliseconds=round(
            (time.perf_counter() - g.get("began_at", time.perf_counter())) * 1000, 1
        ),
        actor=actor.get(),
    )
    return response
