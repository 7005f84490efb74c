"""`backoffice migrate|backfill|validate …`: the six steps of the migration, together and alone.

Exit status as `diff` has it: 0 done and nothing left, 1 a dry run found something, rows are left or
invalid, or items failed, 2 trouble.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...app.command_line import CLEAN, FOUND, Trouble, print_rows, progress_bar
from ...app.extensions import db
from ...base import money
from ...drift.cli import json_option
from ...drift.healing.performing import performed
from ...runs.errors import AlreadyRunning, EndedBadly
from ...runs.item_tables import SHOWN, items_as_dicts, print_items
from ...runs.kinds import kind_of
from ...runs.models import COUNTERS, DONE, Run
from ...runs.models import FOUND as RUN_FOUND
from ...runs.queries import found_by, run_of
from ...runs.wording import STATUSES, without_findings
from . import chain
from .lines import lines_of, open_rows, ties_out, totals_of, word_of
from .steps import KEY, STEP_NAMED, STEP_OF, STEPS, WHOLE, MigrationStep, after

migrate = AppGroup("migrate")
backfill = AppGroup("backfill")
validate = AppGroup("validate")

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Only say what would be done; exit status 1 if anything."
)


@migrate.command("meter-financials")
@dry_run_option
@json_option
def meter_financials(dry_run: bool, as_json: bool) -> None:
    """All six steps in order, each a run of its own, with a report per step.

    Whatever interrupted it, the same command goes on: with the step that is under way, else with
    the first one that is not finished. Doing it again changes nothing.
    """
    if dry_run and not as_json:
        click.echo(_("Dry run: nothing is changed."))
    runs: list[Run] = []
    run: Run | None = _started(dry_run)
    if run is not None and run.kind == WHOLE:
        run = _next_run(_listed(run.id))
    elif run is not None and not dry_run and not as_json:
        _report_skipped(STEP_OF[run.kind])
    while run is not None:
        runs.append(_performed(run.id, as_json))
        run = _next_run(runs[-1])
    whole = _list_of(runs[-1]) if dry_run else None
    if as_json:
        click.echo(json.dumps(_all_as_dict(runs, dry_run, whole)))
    elif whole is not None:
        _print_outlook(whole)
    _report_unfinished(runs[-1])
    sys.exit(max(_status_of(run) for run in [*runs, *([whole] if whole else [])]))


def _listed(run_id: int) -> Run:
    """Perform the run that lists all changes of a dry run. Raises EndedBadly."""
    with _progress(run_id) as advance:
        run = performed(db.engine, run_id, advance).run
    if not run.is_completed:
        raise EndedBadly(run)
    return run


def _list_of(step: Run) -> Run:
    with Session(db.engine, expire_on_commit=False) as session:
        return chain.listed_by(session, step)


@backfill.command("payment-meter-ids")
@dry_run_option
@json_option
def payment_meter_ids(dry_run: bool, as_json: bool) -> None:
    """Step 1: payments get the meter of their invoice, else the one that was assigned on their day.

    Invoices without a meter get the one that was assigned on their day first. What is not sure is
    left as it is and listed.
    """
    _run_step("payment-meters", dry_run, as_json)


@backfill.command("invoice-amounts")
@dry_run_option
@json_option
def invoice_amounts(dry_run: bool, as_json: bool) -> None:
    """Step 2: the amounts of invoices with units become units × rate, rounded, + fixed charge."""
    _run_step("invoice-amounts", dry_run, as_json)


@validate.command("meter-financial-data")
@click.option(
    "--full", is_flag=True, help="Prove by independent SQL that everything ties out, too."
)
@json_option
def meter_financial_data(full: bool, as_json: bool) -> None:
    """Step 3: look for orphans, documents without a meter, duplicates and the like; --full: step 6 too.

    Nothing is changed.
    """
    names = ["validation", "proof"] if full else ["validation"]
    runs = [_performed(_requested(STEP_NAMED[name], dry_run=False), as_json) for name in names]
    if as_json:
        click.echo(json.dumps(_all_as_dict(runs, False) if full else _as_dict(runs[0])))
    sys.exit(max(_status_of(run) for run in runs))


@migrate.command("customer-balances-to-meters")
@dry_run_option
@json_option
def customer_balances_to_meters(dry_run: bool, as_json: bool) -> None:
    """Step 4: the balances and overpayments of meters are calculated from their documents."""
    _run_step("meter-balances", dry_run, as_json)


def _run_step(name: str, dry_run: bool, as_json: bool) -> None:
    if dry_run and not as_json:
        click.echo(_("Dry run: nothing is changed."))
    run = _performed(_requested(STEP_NAMED[name], dry_run=dry_run), as_json)
    if as_json:
        reported = {"outlook": _outlook(run)} if dry_run else {}
        click.echo(json.dumps(_as_dict(run) | reported))
    elif dry_run:
        _print_outlook(run)
    sys.exit(_status_of(run))


def _outlook(run: Run) -> dict[str, Any]:
    """What a dry run would change, as JSON: every document and every total, before and after."""
    found = found_by(db.session(), run.id)
    items = items_as_dicts(run.id, None, RUN_FOUND)
    sums = {"net": str(found.net), "gross": str(found.gross)}
    return {"run": run.id, "rows": found.count, **sums, "items": items}


def _print_outlook(run: Run) -> None:
    """Print the same as a table, with totals and the command that applies it."""
    found = found_by(db.session(), run.id)
    if not found.count:
        return
    print_items(run.id, SHOWN, RUN_FOUND)
    amounts = {name: money.format_amount(getattr(found, name)) for name in ("net", "gross")}
    again = f"backoffice runs apply {run.id} --reason …"
    reported = _(
        "All in all %(count)s rows would change, net %(net)s, gross %(gross)s.",
        count=found.count,
        **amounts,
    )
    click.echo(reported)
    click.echo(_("Apply exactly these with: %(command)s", command=again))


def _requested(step: MigrationStep, *, dry_run: bool) -> int:
    with Session(db.engine) as session:
        run = chain.request_step(session, step, dry_run=dry_run, is_here=True, is_paced=False)
        session.commit()
        return run.id


def _started(dry_run: bool) -> Run:
    """Request the first unfinished step, or return the one that is under way."""
    with Session(db.engine, expire_on_commit=False) as session:
        try:
            run = chain.request_all(session, dry_run=dry_run, is_here=True, is_paced=False)
        except AlreadyRunning as live:
            run = run_of(session, live.run_id)
            click.echo(_("Run %(run)s is under way; going on with it.", run=run.id), err=True)
        session.commit()
        return run


def _next_run(run: Run) -> Run | None:
    with Session(db.engine, expire_on_commit=False) as session:
        return chain.next_run(session, run)


def _performed(run_id: int, as_json: bool) -> Run:
    """Perform the step in this process until it has ended, and print its report."""
    with _progress(run_id) as advance:
        run = performed(db.engine, run_id, advance).run
    if not as_json:
        _print_report(run)
    return run


@contextmanager
def _progress(run_id: int) -> Iterator[Callable[[int], None] | None]:
    with (
        Session(db.engine) as session,
        progress_bar(_(kind_of(run_of(session, run_id).kind).title)) as bar,
    ):
        if bar is None:
            session.close()
            yield None
            return

        def advance(checked: int) -> None:
            session.rollback()
            bar(total=run_of(session, run_id).total, completed=checked)

        yield advance


def _report_skipped(first: MigrationStep) -> None:
    for step in STEPS[: first.number - 1]:
        title = _(step.title)
        click.echo(_("Step %(number)s: %(title)s", number=step.number, title=title))
        click.echo("  " + _("It is done, and there is nothing further to do."))


def _print_report(run: Run) -> None:
    step = STEP_OF[run.kind]
    status = _(STATUSES[run.status].word)
    click.echo(_("Step %(number)s: %(title)s", number=step.number, title=_(step.title)))
    click.echo("  " + _("Run %(run)s: %(status)s", run=run.id, status=status))
    if run.dry_run and run.is_completed and step.in_advance and KEY in run.scope:
        click.echo(f"  {_(step.in_advance)}")
    rows = []
    for line in (line for line in lines_of(run) if line.rows):
        why = _(line.case.why) if line.case and line.case.why else ""
        amount = "–" if line.amount is None else line.amount
        rows.append((_(word_of(run, line)[0]), _(line.title), line.rows, amount, why))
    if rows:
        print_rows(["", _("What"), _("Rows"), _("Amount"), _("Why")], rows)
    else:
        click.echo("  " + without_findings(run, _("Nothing to do.")))
    if totals := totals_of(run):
        print_rows([_("What"), _("Amount")], [(_(title), held) for _name, title, held in totals])
    if run.error:
        click.echo(f"  {run.error}", err=True)


def _report_unfinished(last: Run) -> None:
    """Raise Trouble if a step did not end well, so that the later ones were not begun."""
    step = STEP_OF[last.kind]
    if after(step) is None and last.is_completed:
        return
    raise Trouble(
        _(
            "Step %(number)s did not finish (run %(run)s: %(status)s %(error)s), so the later steps have not started. "
            "Fix the cause, then run the same command again.",
            number=step.number, run=last.id, status=_(STATUSES[last.status].word), error=last.error,
        )
    )  # fmt: skip


def _all_as_dict(runs: list[Run], dry_run: bool, whole: Run | None = None) -> dict[str, Any]:
    """All steps; for a dry run with all that they would change."""
    is_last = after(STEP_OF[runs[-1].kind]) is None
    reported = {
        "dry_run": dry_run,
        "steps": [_as_dict(run) for run in runs],
        "left": sum(open_rows(run) for run in runs),
        "is_complete": is_last and all(run.is_completed for run in runs[-1:]),
    }
    return reported if whole is None else reported | {"outlook": _outlook(whole)}


def _as_dict(run: Run) -> dict[str, Any]:
    step = STEP_OF[run.kind]
    return {
        "step": step.number,
        "name": step.name,
        "run": run.id,
        "kind": run.kind,
        "status": run.status,
        "dry_run": run.dry_run,
        **{name: getattr(run, name) for name in COUNTERS},
        "report": run.result,
        "open": open_rows(run),
        "note": step.in_advance if run.dry_run and KEY in run.scope else "",
        **({"ties_out": ties_out(run)} if totals_of(run) else {}),
        "error": run.error,
    }


def _status_of(run: Run) -> int:
    """The exit status: 0 if nothing is left, else 1. Raises Trouble if the run did not end well."""
    if not run.is_completed:
        raise EndedBadly(run)
    found = run.dry_run and run.changed
    is_clean = run.status == DONE and not found
    if run.kind in STEP_OF:
        is_clean = is_clean and not open_rows(run) and ties_out(run)
    return CLEAN if is_clean else FOUND
