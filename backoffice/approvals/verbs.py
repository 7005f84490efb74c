"""Verbs that may need approval, each with the kind of run that carries it out once it is approved.

A domain declares its verbs in its `approved_verbs.py`. A pending run holds the items that were shown; its only chunk
does the work on behalf of the requesting user, if the changes still equal what was shown, and nothing otherwise.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, update
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_, table_of
from ..base.actor import actor, approved_by
from ..base.refusals import Refusal
from ..people.models import User
from ..people.queries import user_acting_as
from ..runs.kinds import RunKind
from ..runs.models import APPLIED, FOUND, SKIPPED, RunItem
from ..runs.work import Asked, Chunk, Step, Work
from ..security.rights import allowed
from .changes import Outlook, changed_by
from .refusals import NoLongerAllowed, OutlookChanged

ITEMS = table_of(RunItem)

ASKED = "asked"
"""The key in a run's scope of the payload and the digest of what was shown."""

SCOPES = ((ASKED, N_("exactly the items that were shown")),)
"""The title of that scope on the run's page."""

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Verb:
    """An action that changes much at one press: moved balances, many documents at once.

    `act` does what the payload (JSON) asks on behalf of a user, and raises a Refusal if that is impossible. `title`
    is in the infinitive. With `is_always_shown` the changes are always shown first, and a reason is required; else
    only above the limits. `digest` differs as soon as the changes would differ.
    """

    name: str
    title: str
    permission: str
    act: Callable[[Session, Any, Payload], object]
    is_always_shown: bool = False
    digest: Callable[[Outlook], str] = attrgetter("digest")

    @property
    def kind(self) -> RunKind:
        """The kind of run that does it once it is approved."""
        return RunKind(
            self.name, self.title, self.permission, _plan, partial(_carry_out, self), _result, is_once=True
        )  # fmt: skip


def outlook_of(session: Session, verb: Verb, user: User | None, payload: Payload) -> Outlook:
    """Do it, and return the changes; `user` is None for a command or a schedule.

    Raises NoLongerAllowed, and the verb's refusals.
    """
    if not (_is_deployment() if user is None else allowed(user, verb.permission)):
        raise NoLongerAllowed()
    return changed_by(session, lambda: verb.act(session, user, payload))


def _is_deployment() -> bool:
    """Whether the actor is a command or a schedule, which the deployment itself has authorized."""
    return actor.get().startswith(("cli:", "schedule:"))


def _plan(_connection: Connection, _asked: Asked) -> Iterable[Chunk]:
    yield Chunk({})


def _carry_out(verb: Verb, work: Work) -> None:
    with work.transaction(is_last=True) as step:
        try:
            with step.savepoint():
                _do(verb, work.asked, step)
        except Refusal as refusal:
            _end(step, SKIPPED, refusal.sentence % refusal.values)
        else:
            _end(step, APPLIED)


def _do(verb: Verb, asked: Asked, step: Step) -> None:
    """Apply the request if it changes exactly what was shown. Raises OutlookChanged, NoLongerAllowed."""
    with figures.session_over(step.connection) as session:
        user = user_acting_as(session, asked.requested_by)
        reported = asked.scope[ASKED]
        with approved_by(asked.approved_by):
            outlook = outlook_of(session, verb, user, reported["payload"])
        if verb.digest(outlook) != reported["digest"]:
            raise OutlookChanged()


def _end(step: Step, outcome: str, error: str = "") -> None:
    """Set the outcome of every item that was shown."""
    mine = ITEMS.c.run_id == step.run_id, ITEMS.c.outcome == FOUND
    ended = step.connection.execute(update(ITEMS).where(*mine).values(outcome=outcome, error=error))
    step.tally.checked += ended.rowcount
    if outcome == APPLIED:
        step.tally.changed += ended.rowcount
    else:
        step.tally.skipped += ended.rowcount


def _result(_connection: Connection, _asked: Asked) -> Payload:
    return {}
