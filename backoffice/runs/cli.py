"""`backoffice runs …`: list, show, cancel, retry and apply runs.

Commands that start work (retry, apply) perform it in this process until it has ended, beside any workers; with
`--queue` it is left to the workers. Exit status as of `diff`: 0 clean or done, 1 a dry run found
something, items failed, it was cancelled or waits for approval, 2 trouble.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import Select, select

from ..app.command_line import (
    CLEAN,
    FOUND,
    TROUBLE,
    Trouble,
    print_rows,
    progress_bar,
)
from ..app.extensions import db
from ..base import periods
from ..people.actors import names_of
from . import actions, queries, working
from .actions import Limits
from .item_tables import items_as_dicts, print_items
from .kinds import kind_of, kinds
from .models import (
    AWAITING_APPROVAL,
    CANCELLED,
    COUNTERS,
    DONE,
    DONE_WITH_FAILURES,
    ENDED,
    FAILED,
    STATUSES,
    Run,
)
from .wording import STATUSES as LOOKS
from .wording import (
    kind_title,
    result_in_words,
    scope_in_words,
)

LOOK_AGAIN_SECONDS = 0.2

group = AppGroup("runs")

number = click.argument("run_id", type=click.IntRange(1, 2**63 - 1), metavar="RUN")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
queue_option = click.option(
    "--queue", "is_queued", is_flag=True, help="Leave it to the workers, and do not wait for them."
)


@group.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@click.option("--kind", help="Only runs of this kind.")
@click.option("--live", is_flag=True, help="Only runs that have not ended.")
@click.option("--all", "is_whole", is_flag=True, help="Housekeeping too.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
def list_runs(
    status: str | None, kind: str | None, live: bool, is_whole: bool, limit: int, as_json: bool
) -> None:
    """The newest runs first."""
    if live and status in ENDED:
        raise Trouble(_("A run of that status has ended, so it is not live: leave out --live."))
    runs = db.session.scalars(_chosen(status, kind, live, is_whole).limit(limit)).all()
    if as_json:
        click.echo(json.dumps({"runs": [_as_dict(run) for run in runs]}))
        return
    titles = [_("Run"), _("Kind"), _("What"), _("Who"), _("When"), _("Status"), _("Changed")]
    names = names_of(db.session, {run.requested_by for run in runs})
    rows = [
        (
            str(run.id), kind_title(run.kind), scope_in_words(run.scope), names[run.requested_by],
            f"{run.created_at.astimezone(periods.timezone()):%Y-%m-%d %H:%M}", _(LOOKS[run.status].word),
            str(queries.progress_of(db.session(), run).changed),
        )
        for run in runs
    ]  # fmt: skip
    print_rows(titles, rows)


def _chosen(status: str | None, kind: str | None, live: bool, is_whole: bool) -> Select[Run]:
    runs = select(Run).order_by(Run.id.desc())
    if kind is not None:
        kind_of(kind)
    quiet = [name for name, known in kinds().items() if known.is_quiet]
    if kind is not None:
        runs = runs.where(Run.kind == kind)
    elif not is_whole:
        runs = runs.where(Run.kind.not_in(quiet))
    if status is not None:
        runs = runs.where(Run.status == status)
    return runs.where(Run.finished_at.is_(None)) if live else runs


@group.command()
@number
@click.option("--items", "count", type=click.IntRange(0), default=50, show_default=True)
@json_option
def show(run_id: int, count: int, as_json: bool) -> None:
    """One run with what came of it, and its items, those that are wrong by most first."""
    run = queries.run_of(db.session(), run_id)
    if as_json:
        click.echo(json.dumps({**_as_dict(run), "items": items_as_dicts(run_id, count)}))
    else:
        _print_run(run)
        print_items(run_id, count)
    sys.exit(_status_of(run))


@group.command()
@number
@json_option
def cancel(run_id: int, as_json: bool) -> None:
    """Stop a run: what is under way is finished, nothing further is begun.

    It waits for that, or until whoever held it seems dead.
    """
    run = actions.cancel(db.session(), run_id)
    db.session.commit()
    end = time.monotonic() + current_app.config["RUN_LEASE_SECONDS"] + LOOK_AGAIN_SECONDS
    while run.is_live and time.monotonic() < end:
        run = _worked_on(run_id)
    _print_outcome(run, as_json)
    if run.is_live:
        being = "It is being stopped: what is under way is finished, nothing further is begun."
        click.echo(_(being), err=True)


@group.command()
@number
@queue_option
@json_option
def retry(run_id: int, is_queued: bool, as_json: bool) -> None:
    """Do what a run left undone: what failed, and what it did not come to."""
    run = actions.retry(db.session(), run_id)
    _go_on(run, is_queued, as_json)


@group.command()
@number
@click.option("--reason", default="", help="Why; kept with every correction. Must be given.")
@queue_option
@json_option
def apply(run_id: int, reason: str, is_queued: bool, as_json: bool) -> None:
    """Apply exactly what a dry run has found; above a limit another user has to approve it first."""
    limits = Limits.of(current_app.config)
    run = actions.apply(db.session(), run_id, reason=reason, limits=limits)
    _go_on(run, is_queued, as_json)


def _go_on(run: Run, is_queued: bool, as_json: bool) -> None:
    """Perform the run here, unless it waits for approval or is left to the workers."""
    db.session.commit()
    if run.status != AWAITING_APPROVAL and not is_queued:
        run = _performed(run.id)
    _print_outcome(run, as_json)
    sys.exit(_status_of(run))


def _performed(run_id: int) -> Run:
    """Perform the run until it has ended, with a progress bar on a terminal."""
    with _progress(run_id) as advance:
        while (run := _worked_on(run_id, advance)).is_live:
            pass
    return run


def _worked_on(run_id: int, advance: Callable[[], None] = lambda: None) -> Run:
    """Perform what can be claimed of the run now; where it has not ended, wait a moment. Returns the run."""
    working.perform(db.engine, run_id, progress=advance)
    db.session.expire_all()
    run = queries.run_of(db.session(), run_id)
    if run.is_live:
        db.session.rollback()
        time.sleep(LOOK_AGAIN_SECONDS)
    return run


@contextmanager
def _progress(run_id: int) -> Iterator[Callable[[], None]]:
    with progress_bar(_("Items")) as bar:

        def tell() -> None:
            if bar is None:
                return
            db.session.expire_all()
            progress = queries.progress_of(db.session(), queries.run_of(db.session(), run_id))
            db.session.rollback()
            bar(total=progress.total, completed=progress.checked)

        yield tell


def _status_of(run: Run) -> int:
    """Exit status: 0 done or still queued; 1 something was found, failed, left or waits for approval; 2 it failed."""
    if run.status == FAILED:
        return TROUBLE
    found = run.status == DONE and run.dry_run and run.changed
    left = run.status in (DONE_WITH_FAILURES, CANCELLED, AWAITING_APPROVAL)
    return FOUND if found or left else CLEAN


def _as_dict(run: Run) -> dict[str, Any]:
    """The run for JSON; times as ISO 8601. The counts of a live run are those so far."""
    progress = queries.progress_of(db.session(), run)
    counts = ("total", *COUNTERS, "workers")
    reported = ("kind", "scope", "dry_run", "status", "requested_by", "reason", "follows")
    ended = ("approved_by", "cancelled_by", "schedule", "result", "error")
    moments = ("created_at", "started_at", "finished_at")
    return {
        "run": run.id,
        **{name: getattr(run, name) for name in reported},
        **{name: getattr(progress, name) for name in counts},
        **{name: getattr(run, name) for name in ended},
        **{name: at.isoformat() if (at := getattr(run, name)) else None for name in moments},
    }


def _print_outcome(run: Run, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_dict(run)))
    else:
        _print_run(run)


def _print_run(run: Run) -> None:
    progress = queries.progress_of(db.session(), run)
    counts = _(
        "%(checked)s looked at: %(changed)s changed, %(unchanged)s right, %(skipped)s left alone, %(failed)s failed",
        **{name: getattr(progress, name) for name in COUNTERS},
    )  # fmt: skip
    dry = f" ({_('Dry run')})" if run.dry_run else ""
    click.echo(f"{_('Run')} {run.id}: {kind_title(run.kind)}, {scope_in_words(run.scope)}{dry}")
    click.echo(f"  {_(LOOKS[run.status].word)}; {counts}")
    for name, value in result_in_words(run):
        click.echo(f"  {name}: {value}")
    if run.error:
        click.echo(f"  {run.error}", err=True)
