"""`backoffice recalculate …`: customers' balances from the documents of their meters.

Exit status as `diff` has it: 0 clean or done, 1 a dry run found something or something failed, 2 trouble.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TextIO

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...app import logs
from ...app.command_line import CLEAN, FOUND
from ...app.extensions import db
from ...drift.cli import json_option
from ...drift.healing.dry_runs import SHOWN
from ...drift.healing.performing import performed
from ...runs import actions
from ...runs.errors import EndedBadly
from ...runs.models import DONE, Run
from ...runs.queries import run_of
from ...runs.wording import error_in_words
from . import text
from .chunks import customers
from .queries import Uncorrected, uncorrected_by
from .report import write_to_log

group = AppGroup("recalculate")


@group.command("customer-balances")
@click.option("--dry-run", is_flag=True, help="Only say what would change; exit status 1 if any.")
@json_option
def customer_balances(dry_run: bool, as_json: bool) -> None:
    """Recalculate every customer with a meter: their meters first, then what they owe.

    Only differences are written, each recorded. A customer or meter that cannot be corrected is
    named, and never stops the rest.
    """
    with Session(db.engine) as session:
        everyone = select(func.count()).select_from(customers({}).subquery())
        count = session.scalar(everyone) or 0
    if not as_json:
        _begin(count, dry_run)
    run = _performed(dry_run, count, sys.stderr if as_json else sys.stdout, is_drawn=not as_json)
    with Session(db.engine) as session:
        left = uncorrected_by(session, run.id)
    if as_json:
        about = {"run": run.id, "status": run.status, "dry_run": run.dry_run}
        click.echo(json.dumps({**about, **run.result, "left": [asdict(one) for one in left]}))
    elif count:
        _end(run)
    _print_uncorrected(left)
    if run.error:
        click.echo(f"  {run.error}", err=True)
    logs.let_through("INFO")
    write_to_log(run.result, dry_run=dry_run)
    is_clean = run.status == DONE and not left and not (dry_run and run.changed)
    sys.exit(CLEAN if is_clean else FOUND)


def _begin(count: int, dry_run: bool) -> None:
    if dry_run:
        click.echo(text.DRY_RUN)
    click.echo(f"{text.STARTING}\n")
    click.echo(text.processing(count) if count else text.NO_CUSTOMERS)


def _end(run: Run) -> None:
    click.echo()
    for line in text.lines(run.result):
        click.echo(line)
    if run.dry_run:
        click.echo(f"\n{text.DRY_RUN_COMPLETE}")
        if run.changed:
            again = f"backoffice runs apply {run.id} --reason …"
            click.echo(_("Apply exactly these with: %(command)s", command=again), err=True)


def _performed(dry_run: bool, count: int, stream: TextIO, *, is_drawn: bool) -> Run:
    """Perform the run in this process until it has ended. Raises Trouble."""
    with Session(db.engine) as session:
        asked = actions.request(
            session, "billing.recalculate", {}, dry_run=dry_run, is_paced=False, is_here=True
        )
        run_id = asked.id
        session.commit()
    with _bar(run_id, count, stream, is_drawn=is_drawn) as advance:
        run = performed(db.engine, run_id, advance).run
    if not run.is_completed:
        raise EndedBadly(run)
    return run


@contextmanager
def _bar(
    run_id: int, count: int, stream: TextIO, *, is_drawn: bool
) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over the customers on a terminal; elsewhere only its last line if it `is_drawn`."""
    if not stream.isatty():
        yield None
    else:
        with Session(db.engine) as session:

            def advance(checked: int) -> None:
                total = run_of(session, run_id).total
                session.rollback()
                if count and total:
                    done = min(count * checked // total, count - 1)
                    click.echo(f"\r{text.bar(done, count)}", file=stream, nl=False)

            yield advance
        click.echo("\r", file=stream, nl=False)
        is_drawn = True
    if count and is_drawn:
        click.echo(text.bar(count, count), file=stream)


def _print_uncorrected(left: Sequence[Uncorrected]) -> None:
    """Print the customers and meters that could not be corrected, on standard error."""
    for one in left[:SHOWN]:
        name = text.printable(f"{one.kind} {one.code or one.id} {one.name}".strip())
        click.echo(f"  {name}: {error_in_words(one.error)}", err=True)
    if len(left) > SHOWN:
        click.echo(_("… and %(count)d more", count=len(left) - SHOWN), err=True)
