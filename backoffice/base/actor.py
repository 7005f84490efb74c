"""On whose behalf this process is acting, for the audit trail and the corrections."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

actor: ContextVar[str] = ContextVar("actor", default="")
"""“user:7”, “cli:ops” or the like; empty where nobody is known, then the database user stands."""


approver: ContextVar[str] = ContextVar("approver", default="")
"""Who has approved what is being done, where a second person had to; else empty."""


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Act on behalf of `name` within the block."""
    token = actor.set(name)
    try:
        yield
    finally:
        actor.reset(token)


@contextmanager
def approved_by(name: str) -> Iterator[None]:
    """Do within the block what `name` has approved."""
    token = approver.set(name)
    try:
        yield
    finally:
        approver.reset(token)
