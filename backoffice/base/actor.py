"""The actor of the current request, run or command, for the audit trail and the corrections."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

actor: ContextVar[str] = ContextVar("actor", default="")
"""“user:7”, “cli:ops” or the like; empty where unknown, and then the database user is recorded."""

ACTOR = {"is_actor": True}
"""The `info` of a column that holds an actor, so that a page shows the user's name."""

approver: ContextVar[str] = ContextVar("approver", default="")
"""The user who approved the current change, where a second person had to; else empty."""


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Set the actor to `name` within the block."""
    token = actor.set(name)
    try:
        yield
    finally:
        actor.reset(token)


@contextmanager
def approved_by(name: str) -> Iterator[None]:
    """Set the approver to `name` within the block."""
    token = approver.set(name)
    try:
        yield
    finally:
        approver.reset(token)
