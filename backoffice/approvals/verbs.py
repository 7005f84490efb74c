"""The verbs that two people look at, each with the kind of run that carries it out once it is approved.

A domain declares its verbs in its `approved_verbs.py`. What waits holds the items that were shown; its only chunk does
what was asked in the name of whoever asked, if that is still exactly what was shown, and nothing otherwise.
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
"""Where the scope of a run holds what was asked, and the digest of what was shown."""

SCOPES = ((ASKED, N_("exactly the items that were shown")),)
"""What a run is asked to look at that has that in its scope."""

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Verb:
    """Something that one press changes and that nobody has typed: moved balances, many documents at once.

    `act` does what the payload (JSON) asks on behalf of a user, and raises a Refusal where that is impossible.
    `title` says it in the infinitive. With `is_always_shown` nobody does it without having seen what it changes,
    and a reason; else only above the limits. `digest` is another text as soon as it would do something else.
    """

    name: str
    title: str
    permission: str
    act: Callable[[Session, Any, Payload], object]
    is_always_shown: bool = False
    digest: Callable[[Outlook], str] = attrgetter("digest")

    @property
    def kind(self) -> RunKind:
        """The kind of run that carries it out once it is approved."""
        return RunKind(
            self.name, self.title, self.permission, _plan, partial(_carry_out, self), _result, is_once=True
        )  # fmt: skip


def outlook_of(session: Session, verb: Verb, user: User | None, payload: Payload) -> Outlook:
    """Do it, and answer what has changed; `user` is None of a command or a schedule.

    Raises NoLongerAllowed, and what the verb refuses.
    """
    if not (_is_deployment() if user is None else allowed(user, verb.permission)):
        raise NoLongerAllowed()
    return changed_by(session, lambda: verb.act(session, user, payload))


def _is_deployment() -> bool:
    """Whether a command or a schedule acts: what they may do is the deployment's own choice."""
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
    """What was asked, if it changes exactly what was shown. Raises OutlookChanged, NoLongerAllowed."""
    with figures.session_over(step.connection) as session:
        user = user_acting_as(session, asked.requested_by)
        reported = asked.scope[ASKED]
        with approved_by(asked.approved_by):
            outlook = outlook_of(session, verb, user, reported["payload"])
        if verb.digest(outlook) != reported["digest"]:
            raise OutlookChanged()


def _end(step: Step, outcome: str, error: str = "") -> None:
    """Say of every item that was shown what came of it."""
    mine = ITEMS.c.run_id == step.run_id, ITEMS.c.outcome == FOUND
    ended = step.connection.execute(update(ITEMS).where(*mine).values(outcome=outcome, error=error))
    step.tally.checked += ended.rowcount
    if outcome == APPLIED:
        step.tally.changed += ended.rowcount
    else:
        step.tally.skipped += ended.rowcount


def _result(_connection: Connection, _asked: Asked) -> Payload:
    return {}
