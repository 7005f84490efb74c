"""Logs: one line an event on standard error, with no secret in it and no forged line.

Every line holds where it comes from (`host`, `pid`), the id of its request (`request_id`, which the response has
too) and the address of its sender (`client`), the user or program that acted (`actor`) and, within background work,
the number of the run (`run`).
"""

import contextlib
import logging
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from json import JSONEncoder
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.globals import request_ctx

from ..base.actor import actor

_requests = structlog.get_logger("backoffice.request")

HIDDEN = "[hidden]"

SLOW_MILLISECONDS = 1000.0
"""A request that takes longer is a warning."""

REQUEST_ID_HEADER = "X-Request-ID"
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_SECRET_NAMES = re.compile(
    r"password|passwd|secret|token|authorization|cookie|session_id|api_?key|credential",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"(\w+://[^\s:/@]*:)[^\s@]+@")
_CREDENTIAL = re.compile(r"\bBearer\s+[A-Za-z0-9._~+/=-]{8,}|\bbo_[A-Za-z0-9_-]{8,}", re.IGNORECASE)

Event = MutableMapping[str, Any]


def hide_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """Mask values with names like secrets, at any depth; passwords in URLs; tokens anywhere."""
    for name, value in event.items():
        event[name] = HIDDEN if _is_of_a_secret(name) else _without_secrets(value)
    return event


@lru_cache(maxsize=1000)
def _is_of_a_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        value = _PASSWORD_IN_URL.sub(rf"\1{HIDDEN}@", value) if "://" in value else value
        return _CREDENTIAL.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        hidden = _is_of_a_secret
        return {k: HIDDEN if hidden(str(k)) else _without_secrets(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value


def add_actor(_logger: Any, _method: str, event: Event) -> Event:
    """Add the actor, where one is known."""
    name = actor.get()
    if name:
        event.setdefault("actor", name)
    return event


def add_process(_logger: Any, _method: str, event: Event) -> Event:
    """Add where the line comes from: lines of several machines and processes are read together."""
    event["host"], event["pid"] = _host(), os.getpid()
    return event


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    add_actor,
    add_process,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.StackInfoRenderer(),
    hide_secrets,
]


class StandardError(logging.Handler):
    """Writes to the current `sys.stderr`, which may be replaced at run time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        write(self.format(record))


class Lines:
    """Writes the app's own lines unchanged: they are JSON already, and `logging` would make a second record of each."""

    def __init__(self, *_name: str) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = write


def write(line: str) -> None:
    """Write one line; a log that cannot be written never breaks the work that it reports."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")  # in one call, so that no other thread's line comes between
        sys.stderr.flush()


def configure(level: str = "INFO") -> None:
    """Write all logs, the app's and the libraries', as one JSON object per line.

    JSON escapes line breaks inside a value and all characters that are not ASCII:
    no value can begin a line, colour a terminal or reverse the text.
    """
    render = structlog.processors.JSONRenderer(_as_json)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *SHARED],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler = StandardError()
    handler.setFormatter(formatter)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    structlog.configure(
        processors=[*SHARED, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=Lines,
        cache_logger_on_first_use=True,
    )


def _as_json(event: Event, *, default: Callable[[Any], Any]) -> str:
    return _encoder(default).encode(event)


@lru_cache(maxsize=1)
def _encoder(default: Callable[[Any], Any]) -> JSONEncoder:
    """Made once: `json.dumps` would make one for every line."""
    return JSONEncoder(default=default)


def let_through(level: str) -> None:
    """Set the minimum level from now on: commands log little by default.

    Loggers that have written something already keep their level.
    """
    logging.root.setLevel(level)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level))
    )


def init_app(app: Flask) -> None:
    """Log every request: actor, path, status, duration. Never its query or body."""
    app.before_request(_begin)
    app.after_request(_log_request)
    app.teardown_request(_forget)


def _begin() -> None:
    """Start the clock, and take the request id from the client's header if it is valid."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    request_id = given if _WELL_FORMED_ID.fullmatch(given) else secrets.token_hex(8)
    vars(g).update(began_at=time.perf_counter(), request_id=request_id)
    structlog.contextvars.clear_contextvars()  # the server's thread has served another user before
    structlog.contextvars.bind_contextvars(request_id=request_id, client=request.remote_addr)


def _log_request(response: Response) -> Response:
    noted = vars(g)
    milliseconds = (time.perf_counter() - noted.get("began_at", time.perf_counter())) * 1000
    log_it = _requests.warning if milliseconds >= SLOW_MILLISECONDS else _requests.info
    of_request = request_ctx.request
    log_it(
        "request",
        method=of_request.method,
        path=of_request.path,
        status=response.status_code,
        milliseconds=round(milliseconds, 1),
        actor=actor.get(),
    )
    if "request_id" in noted:
        response.headers[REQUEST_ID_HEADER] = noted["request_id"]
    return response


def _forget(_error: BaseException | None = None) -> None:
    structlog.contextvars.clear_contextvars()
