"""`backoffice figures …`: list, verify, heal, rebuild, explain and reconcile figures.

Exit status like `diff`: 0 clean or done, 1 drift found or some items failed, 2 trouble.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import func, select

from .. import figures
from ..app.command_line import (
    CLEAN,
    FOUND,
    Trouble,
    never_together,
    print_rows,
    progress_bar,
)
from ..app.domain import declared
from ..app.extensions import db
from ..database.snapshots import snapshot
from ..figures import Figure, FigureError
from ..figures.verifying.findings import findings
from ..runs.models import DONE_WITH_FAILURES
from .facts.holding import LOCKED
from .healing import performing
from .healing.dry_runs import incomplete_in_words, print_dry_run
from .healing.performing import Performed, Scope, Verified
from .healing.printing import (
    print_checks,
    print_compared,
    print_explanation,
    print_failures,
    print_findings,
    print_healed,
)
from .naming import figure_called, named_failures, row_of, scoped, with_names
from .outside import watch
from .verification.chunks import ANOTHER
from .verification.scope import bundle_named

group = AppGroup("figures")

names = click.argument("names", nargs=-1, metavar="[FIGURE]…")
owner_option = click.option(
    "--owner",
    "owners",
    multiple=True,
    help="Only this owner, by id or name (NW-10250); may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
reason_option = click.option("--reason", default="", help="Why; kept with every correction.")


@group.command("list")
@json_option
def list_figures(as_json: bool) -> None:
    """Every figure, what it builds on, and how many notes of outside programs wait."""
    waiting = figures.noted(db.engine)
    listed: list[dict[str, Any]] = [
        {
            "figure": f.name,
            "title": f.title,
            "table": f.table.name,
            "columns": [c.key for c in f.columns],
            "owner": f.owner_table.name,
            "builds_on": sorted(d.name for d in figures.registry.depends_on(f)),
            "noted": waiting[f],
        }
        for f in figures.registry.figures
    ]
    checks = [
        {
            "check": one.name,
            "title": one.title,
            "left": [f"{part.sign} {part.title}" for part in one.left.sums],
            "right": [f"{part.sign} {part.title}" for part in one.right.sums],
        }
        for one in declared().checks.values()
    ]
    if as_json:
        click.echo(json.dumps({"figures": listed, "checks": checks}))
        return
    titles = [_("Figure"), _("Title"), _("Columns"), _("Owner"), _("Builds on"), _("Noted")]
    rows = [
        (
            line["figure"],
            _(line["title"]),
            ", ".join(line["columns"]),
            line["owner"],
            ", ".join(line["builds_on"]) or "–",
            line["noted"],
        )
        for line in listed
    ]
    print_rows(titles, rows)
    print_checks(declared().checks.values())


@group.command("check")
@click.argument("names", nargs=-1, metavar="[CHECK]…")
@json_option
def compare_checks(names: tuple[str, ...], as_json: bool) -> None:
    """Compare both sides of every check now, and record what differs. Exit status 1 when they are not the same."""
    known = declared().checks
    if unknown := [name for name in names if name not in known]:
        raise Trouble(
            _("There is no check %(name)s; `backoffice figures list` names them.", name=unknown[0])
        )
    asked = [known[name] for name in names or known]
    with snapshot(db.engine) as connection:
        seen = [(one.compare(connection), one.differing(connection)) for one in asked]
    if unrecorded := performing.record_checks(db.engine, [compared for compared, _parts in seen]):
        click.echo(_(unrecorded), err=True)
    if as_json:
        reported = [
            {**compared.as_dict(), "differing_parts": [part.as_dict() for part in parts]}
            for compared, parts in seen
        ]
        click.echo(json.dumps({"checks": reported}))
    else:
        for compared, parts in seen:
            print_compared(compared, parts)
    sys.exit(CLEAN if all(compared.holds for compared, _parts in seen) else FOUND)


@group.command()
@json_option
def prove(as_json: bool) -> None:
    """Compute a few owners alone and among all others. Exit status 1 when a declaration gives two results."""
    with snapshot(db.engine) as connection:
        found = list(figures.disproofs(connection))
    if as_json:
        disproved = [{"figure": one.figure.name, "problem": one.problem} for one in found]
        click.echo(json.dumps({"disproved": disproved}))
    else:
        for one in found:
            click.echo(str(one))
        if not found:
            click.echo(_("Every declaration gives one owner the same totals alone and among all."))
    sys.exit(FOUND if found else CLEAN)


@group.command()
@names
@owner_option
@json_option
def verify(names: tuple[str, ...], owners: tuple[str, ...], as_json: bool) -> None:
    """Compare what is stored with what is expected. Exit status 1 when anything drifted."""
    run_verify(*scope(names, owners), as_json)


@group.command()
@names
@owner_option
@reason_option
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would be healed; apply it later.")
@click.option("--noted", is_flag=True, help="Drain what outside programs left noted.")
@click.option("--resume", type=int, metavar="RUN", help="Continue a run that was interrupted.")
@never_together("noted", "names", "owners", "reason", "resume")
@never_together("resume", "names", "owners", "reason", "dry_run")
def heal(
    names: tuple[str, ...],
    owners: tuple[str, ...],
    reason: str,
    as_json: bool,
    dry_run: bool,
    noted: bool,
    resume: int | None,
) -> None:
    """Write the expected values over drifted ones; every change leaves a correction."""
    if noted and dry_run:
        run_heal(None, (), as_json, dry_run=True, scope=watch.noted_scope(db.engine))
    elif noted:
        run_heal_noted(as_json)
    elif resume is not None:
        run_resumed(resume, as_json)
    else:
        run_heal(*scope(names, owners), as_json, reason=reason, dry_run=dry_run)


@group.command()
@names
@owner_option
@reason_option
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would change; apply it later.")
def rebuild(
    names: tuple[str, ...],
    owners: tuple[str, ...],
    reason: str,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Recompute all in scope, writing only differences; nothing is ever emptied first."""
    run_heal(*scope(names, owners), as_json, reason=reason, every_owner=True, dry_run=dry_run)


@group.command()
@click.argument("name", metavar="FIGURE")
@click.argument("row", metavar="ROW")
@json_option
def explain(name: str, row: str, as_json: bool) -> None:
    """How the figure of one row (its id or name) was calculated, down to the rows behind it."""
    [figure] = chosen((figure_called(name),)) or []
    connection = db.session.connection()
    explanation = figures.explain(db.session, figure, row_of(connection, figure, row))
    if explanation is None:
        raise Trouble(_("%(figure)s has no row %(key)s.", figure=name, key=row))
    [reported] = with_names(connection, [explanation.as_dict()])
    if as_json:
        click.echo(json.dumps(reported))
    else:
        print_explanation(explanation, reported["name"])
    sys.exit(CLEAN if explanation.is_right else FOUND)


def chosen(names: Sequence[str]) -> list[Figure] | None:
    """The named figures; None for all of them."""
    try:
        return [figures.registry.get(n) for n in names] or None
    except FigureError as error:
        raise Trouble(str(error)) from error


def scope(names: Sequence[str], owners: Sequence[str]) -> tuple[list[Figure] | None, list[int]]:
    """The named figures, and the ids of the owners given as ids or names."""
    scoped_to = scoped(db.session.connection(), chosen(names), owners)
    db.session.rollback()
    return scoped_to


def run_verify(selected: list[Figure] | None, owners: Sequence[int], as_json: bool) -> None:
    """Verify, record and print the findings, and exit 0 or 1.

    Raises Trouble where the verification itself failed.
    """
    with _progress(selected, owners) as advance:
        done = performing.verify(db.engine, selected, owners or None, progress=advance)
    if as_json:
        asked = [f.name for f in selected or figures.registry.figures]
        counts = {name: 0 for name in asked if name not in done.not_ours}
        for finding in done.findings:
            counts[finding["figure"]] = counts.get(finding["figure"], 0) + 1
        reported = {
            "run": done.run.id if done.run else None,
            "drifted": len(done.findings),
            "figures": counts,
            "not_verified": list(done.not_ours),
            "findings": with_names(db.session.connection(), done.findings),
            "checks": list(done.checks),
            "differing": list(done.differing),
        }
        click.echo(json.dumps(reported))
    else:
        print_findings(done, is_all=not selected and not owners)
    if done.unrecorded:
        click.echo(_(done.unrecorded), err=True)
    if done.not_ours:
        names = ", ".join(done.not_ours)
        click.echo(_("Not verified: %(figures)s. %(why)s", figures=names, why=_(ANOTHER)), err=True)
    if done.is_whole:
        sys.exit(CLEAN if done.is_right else FOUND)
    _say_incomplete(done)
    sys.exit(FOUND)


def _say_incomplete(done: Verified) -> None:
    """Print that the run did not verify everything. Raises Trouble where the run failed as a whole."""
    run = done.run
    if run is None or (done.not_ours and run.status == DONE_WITH_FAILURES and not run.error):
        return
    sentence = incomplete_in_words(run)
    if run.status != DONE_WITH_FAILURES:
        raise Trouble(sentence)
    click.echo(sentence, err=True)


def run_heal(
    selected: list[Figure] | None,
    owners: Sequence[int],
    as_json: bool,
    *,
    reason: str = "",
    every_owner: bool = False,
    dry_run: bool = False,
    scope: Scope | None = None,
) -> None:
    """Heal or rebuild as a run, print the result, and exit 0, or 1 when items failed.

    A dry run leaves its findings in the run's items, and exits 1 when there are any. `scope` replaces
    figures and owners: see `scope`.
    """
    with _progress(selected, owners) as advance:
        done = performing.heal(
            db.engine, selected, owners or None,
            every_owner=every_owner, dry_run=dry_run, reason=reason, progress=advance, scope=scope,
        )  # fmt: skip
    _print_performed(done, as_json)
    sys.exit(CLEAN if done.is_clean else FOUND)


def _print_performed(done: Performed, as_json: bool) -> None:
    """Print what a heal has changed, or what a dry run of one would change."""
    if not (done.run.dry_run and done.run.kind.startswith("figures.")):
        print_healed(done, as_json)
        return
    print_dry_run(done.run, as_json=as_json)
    if not as_json:
        print_failures(done.failures)


def run_resumed(run_id: int, as_json: bool) -> None:
    """Continue a run in this process until it has ended, and print its result."""
    done = performing.resume(db.engine, run_id)
    _print_performed(done, as_json)
    sys.exit(CLEAN if done.is_clean else FOUND)


def run_heal_noted(as_json: bool) -> None:
    """Drain the notes of outside programs, print how many, and exit 0, or 1 when some failed."""
    drained = watch.drain(db.engine, put_off=True)
    failures = [(f.bundle, f.owner, f.error) for f in drained.failures]
    for name, owners in drained.held.items():
        bundle = bundle_named(figures.registry, name)
        wrong = findings(db.session.connection(), figures.registry, bundle, sorted(owners))
        left = sorted({finding.owner for finding in wrong})
        failures += [(name, owner, owners[owner] or LOCKED) for owner in left]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "notes": drained.notes,
                    "corrections": len(drained.corrections),
                    "failures": named_failures(db.session.connection(), failures),
                }
            )
        )
    else:
        click.echo(
            _(
                "%(notes)s notes drained, %(corrections)s corrections.",
                notes=drained.notes, corrections=len(drained.corrections),
            )
        )  # fmt: skip
        print_failures(failures)
    sys.exit(FOUND if failures else CLEAN)


@contextmanager
def _progress(
    selected: list[Figure] | None, owners: Sequence[int]
) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over the owners."""
    with progress_bar(_("Owners")) as tell:
        if tell is None:
            yield None
            return
        total = 0
        for bundle in figures.registry.bundles_of(selected or figures.registry.figures):
            everyone = select(func.count()).select_from(bundle.owner_table)
            total += len(set(owners)) if owners else db.session.scalar(everyone) or 0
        db.session.rollback()
        tell(total=total)
        yield lambda checked: tell(completed=checked)
