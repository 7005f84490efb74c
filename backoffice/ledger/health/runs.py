"""The maintenance run of the balance sheet: verifies what it is derived from, heals what is safe, closes due months.

It ends by sending an alert where anything was wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import current_app
from sqlalchemy import Connection, bindparam, select

from ...base import N_
from ...drift.facts.holding import Hold
from ...drift.runs import VERIFY
from ...drift.verification.checks import LAST_STAGE
from ...runs.kinds import RunKind
from ...runs.models import APPLIED, ITEM_FAILED, RunItem
from ...runs.wording import Reason
from ...runs.work import Asked, Chunk, Work
from ...web.record_links import Word
from ..figures import LEDGER_FIGURES, account_sums
from ..periods.approved_verbs import CLOSE
from ..periods.due import close_due
from .alerts import NOT_SENT, send
from .entries import QUARANTINED, quarantined
from .examining import stored_health
from .telling import alert_of, done_by
from .wording import as_texts

SCOPE: Mapping[str, Any] = {"figures": {f.name: None for f in LEDGER_FIGURES}, "fix": True}

ALERT, DUE = "alert", "due"
_CLOSING_CHUNK = Chunk({DUE: True}, 0, LAST_STAGE + 1)
_CLOSED = (
    select(RunItem.key["month"].astext)
    .where(
        RunItem.run_id.in_(bindparam("runs", expanding=True)),
        RunItem.subject == CLOSE.name,
        RunItem.outcome == APPLIED,
    )
    .order_by(RunItem.id)
)
"""The months that these runs have closed."""
_ALERT_CHUNK = Chunk({ALERT: True}, 0, LAST_STAGE + 2)


def _plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    yield from VERIFY.plan(connection, asked)
    yield _CLOSING_CHUNK
    yield _ALERT_CHUNK


def _work(work: Work) -> None:
    if ALERT in work.payload:
        _send_alert(work)
    elif DUE in work.payload:
        close_due(work)
    else:
        VERIFY.work(work)


def _send_alert(work: Work) -> None:
    """Report what was healed or closed, and what is still wrong; no alert is sent where all was right."""
    with work.snapshot() as connection:
        health = stored_health(connection)
        runs = [run for run in (work.asked.scope.get("retry"), work.asked.id) if run is not None]
        done = done_by(connection, runs)
        closed = connection.scalars(_CLOSED, {"runs": runs}).all()
    is_worth = done or closed or not health.is_valid or "retry" in work.asked.scope
    alert = alert_of(work.asked.id, health, done, closed)
    sent = send(current_app.config, alert) if is_worth else {}
    with work.transaction(is_last=True) as step:
        for channel, is_sent in sent.items():
            if not is_sent:
                step.item(ALERT, ITEM_FAILED, key={"channel": channel}, error=NOT_SENT)
                step.tally.failed += 1
                step.tally.checked += 1


def _finish(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    found = dict(VERIFY.finish(connection, asked))
    return found | {"balance_sheet": as_texts(stored_health(connection))}


def _again(items: Sequence[Any]) -> Iterator[Chunk]:
    yield from VERIFY.again([item for item in items if item.subject not in (ALERT, CLOSE.name)])
    if any(item.subject == ALERT for item in items):
        yield _ALERT_CHUNK


MAINTAIN = RunKind(
    "ledger.maintenance", N_("Balance sheet maintenance"), "figures.heal",
    _plan, _work, _finish, _again, preview=VERIFY.preview, findings="drift.index",
)  # fmt: skip

KINDS = (MAINTAIN,)

HOLDS = (Hold(account_sums.name, QUARANTINED, quarantined),)
"""Accounts that no heal writes: those with an invalid entry."""

REASONS = (Reason(QUARANTINED, "drift.index"), Reason(NOT_SENT))
WORDS = (Word(ALERT, N_("Alerts"), ALERT, {"channel": N_("Sent by")}),)
