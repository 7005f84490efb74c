"""The maintenance run of the balance sheet: verifies what it is derived from, heals what is safe, closes due months.

It ends by sending an alert where anything was wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import Connection, bindparam, func, select

from ...base import N_
from ...drift.facts.holding import Hold
from ...drift.findings import CORRECTIONS
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
from .alerts import NOT_SENT, Alert, send
from .entries import QUARANTINED, quarantined
from .examining import BalanceHealth, stored_health
from .wording import as_problem, as_texts, in_lines, verdict

SCOPE: Mapping[str, Any] = {"figures": {f.name: None for f in LEDGER_FIGURES}, "fix": True}

ALERT, DUE = "alert", "due"
_CLOSING_CHUNK = Chunk({DUE: True}, 0, LAST_STAGE + 1)
_CLOSED = (
    select(RunItem.key["month"].astext)
    .where(
        RunItem.run_id == bindparam("run"),
        RunItem.subject == CLOSE.name,
        RunItem.outcome == APPLIED,
    )
    .order_by(RunItem.id)
)
"""The months that a run has closed."""
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
        of_run = CORRECTIONS.c.run_id == work.asked.id
        healed = connection.scalar(select(func.count()).select_from(CORRECTIONS).where(of_run)) or 0
        closed = connection.scalars(_CLOSED, {"run": work.asked.id}).all()
    is_worth = healed or closed or not health.is_valid or "retry" in work.asked.scope
    alert = _alert(work.asked.id, health, healed, closed)
    sent = send(current_app.config, alert) if is_worth else {}
    with work.transaction(is_last=True) as step:
        for channel, is_sent in sent.items():
            if not is_sent:
                step.item(ALERT, ITEM_FAILED, key={"channel": channel}, error=NOT_SENT)
                step.tally.failed += 1
                step.tally.checked += 1


def _alert(run: int, health: BalanceHealth, healed: int, closed: Sequence[str]) -> Alert:
    lines = [*in_lines(health), _("Corrected by run %(run)s: %(count)s", run=run, count=healed)]
    if closed:
        lines.append(_("Closed: %(months)s", months=", ".join(closed)))
    facts = {
        "balance_status": health.is_valid,
        "corrected": healed,
        "closed": closed,
        "balance_sheet": as_texts(health),
        "problems": list(map(as_problem, health.problems)),
    }
    return Alert(
        run, f"{current_app.config['COMPANY_NAME']}: {verdict(health)}", "\n".join(lines), facts
    )


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
