"""`backoffice schedule …`: list the schedules, and run one in this process.

Exit status as of `diff`: 0 done, 1 drift found or some items failed, 2 trouble.
"""

import json
import sys
from datetime import UTC, datetime

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..app.command_line import CLEAN, FOUND, Trouble, print_rows
from ..app.extensions import db
from ..base import periods
from ..drift.healing.performing import is_wrong_still, performed
from ..runs import actions
from ..runs.models import COUNTERS, FAILED, Run
from ..runs.wording import STATUSES
from . import queries, wording
from .catalog import SCHEDULES, schedule_of
from .queries import ScheduleStatus

group = AppGroup("schedule")

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@group.command("list")
@json_option
def list_schedules(as_json: bool) -> None:
    """Every schedule: when it is due, how its last run ended, when it is due next."""
    schedule_statuses = queries.schedule_statuses(db.session(), datetime.now(UTC))
    if as_json:
        click.echo(json.dumps({"schedules": [_as_json(status) for status in schedule_statuses]}))
        return
    rows = [
        (
            status.schedule.name,
            wording.rule_in_words(status.schedule.rule),
            f"{_here(run.created_at)} {_status(run)}" if (run := status.run) else "–",
            _(wording.STATES[status.state][0]),
            _here(status.next_at),
        )
        for status in schedule_statuses
    ]
    print_rows([_("Name"), _("When"), _("Last run"), _("State"), _("Next")], rows)


def _status(run: Run) -> str:
    return str(_(STATUSES[run.status].word))


def _here(moment: datetime) -> str:
    return moment.astimezone(periods.timezone()).strftime("%Y-%m-%d %H:%M")


def _as_json(status: ScheduleStatus) -> dict[str, object]:
    schedule, run = status.schedule, status.run
    return {
        "name": schedule.name,
        "kind": schedule.kind,
        "when": wording.rule_in_words(schedule.rule),
        "last_due": status.due_at.isoformat(),
        "next_due": status.next_at.isoformat(),
        "state": status.state,
        "run": run and {"id": run.id, "status": run.status, "at": run.created_at.isoformat()},
    }


@group.command("run")
@click.argument("name")
@json_option
def run_schedule(name: str, as_json: bool) -> None:
    """Do what the schedule NAME does, here and now; needs no worker, no scheduler and no Redis."""
    run_here(name, as_json=as_json)


def run_here(name: str, *, as_json: bool) -> None:
    """Perform a schedule's run in this process, unpaced, and exit with its status."""
    schedule = schedule_of(name)
    if schedule is None:
        names = ", ".join(schedule.name for schedule in SCHEDULES)
        raise Trouble(
            _("There is no schedule %(name)s. There are: %(names)s.", name=name, names=names)
        )
    with Session(db.engine) as session:
        run_id = actions.request(
            session, schedule.kind, schedule.scope(datetime.now(UTC)),
            schedule=schedule.name, is_paced=False, is_here=True,
        ).id  # fmt: skip
        session.commit()
    done = performed(db.engine, run_id)
    if as_json:
        click.echo(json.dumps(_reported(done.run)))
    else:
        click.echo(_line(done.run))
    if done.run.status == FAILED:
        raise Trouble(done.run.error)
    sys.exit(CLEAN if done.is_clean and not _has_found(done.run) else FOUND)


def _has_found(run: Run) -> bool:
    """Whether the run has found something wrong; for a run that corrects, something still wrong at its end."""
    if run.kind == "figures.verify" and run.scope.get("fix"):
        return is_wrong_still(db.engine)
    is_valid = run.result.get("balance_sheet", {}).get("is_valid", True)
    return run.result.get("found", 0) > 0 or not is_valid


def _reported(run: Run) -> dict[str, object]:
    return {
        "run": run.id,
        "status": run.status,
        **{name: getattr(run, name) for name in COUNTERS},
        "result": run.result,
    }


def _line(run: Run) -> str:
    return str(
        _(
            "Run %(run)s: %(status)s. %(checked)s looked at: %(changed)s changed, %(unchanged)s right, "
            "%(skipped)s left alone, %(failed)s failed.",
            run=run.id, status=_status(run), **{name: getattr(run, name) for name in COUNTERS},
        )
    )  # fmt: skip
