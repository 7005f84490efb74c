"""`backoffice targets …`: propose targets, and correct what is stored as achieved.

Exit status as `diff` has it: 0 clean or done, 1 a dry run found something or some items failed, 2 trouble.
"""

import json
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from ..app.command_line import CLEAN, FOUND, Trouble, month_given
from ..app.extensions import db
from ..base import money, periods
from ..base.periods import Month
from ..drift.cli import json_option
from ..drift.healing import dry_runs, performing
from ..drift.healing.performing import Performed
from ..drift.healing.printing import print_failures
from ..web.formats import signed_filter
from . import actions
from .actions import Proposal, Proposals
from .figures import TARGET_FIGURES, achieved
from .queries import EARLIEST, LATEST

SHOWN = 50
"""Proposals and failures printed to a person; --json prints them all."""

group = AppGroup("targets")


@group.command("generate")
@click.option(
    "--update",
    is_flag=True,
    help="Replace targets that are already set, also those that a user entered; "
    "without it only months without a target get one. The audit trail keeps what was replaced.",
)
@click.option("--month", "month_text", metavar="YYYY-MM", help="Only this month.")
@click.option(
    "--year", type=click.IntRange(EARLIEST, LATEST), help="The months of this year; default: now."
)
@click.option(
    "--growth",
    "growth_text",
    default="0",
    metavar="PERCENT",
    help="On top of what was achieved a year earlier; -5 takes five percent off.",
)
@click.option(
    "--otherwise",
    "otherwise_text",
    metavar="AMOUNT",
    help="The target of a month a year before which nothing was achieved; default: none is set.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would be set and corrected; exit status 1 if anything.",
)
@json_option
def generate(
    update: bool,
    month_text: str | None,
    year: int | None,
    growth_text: str,
    otherwise_text: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set a target for every active account manager and every month of the year, or of --month.

    First, what is stored as achieved is compared with the orders, of every manager and month, and
    corrected where it differs. The target is what the manager achieved in the same month of the
    year before, plus --growth percent, rounded to the currency's smallest unit.
    """
    months = _months(month_text, year)
    how: dict[str, Any] = {
        "growth": _number("--growth", growth_text, _percent),
        "otherwise": _number("--otherwise", otherwise_text, _amount) if otherwise_text else None,
        "update": update,
    }
    if dry_run:
        done = _healed(dry_run=True)
        proposals = actions.propose(db.session(), months, **how, achieved=_achieved(done.run.id))
        db.session.rollback()
        _print_dry_run(months, proposals, done, as_json)
        sys.exit(CLEAN if done.is_clean and not proposals.proposed else FOUND)
    done = _healed(dry_run=False)
    proposals = actions.generate(db.session(), months, **how)
    db.session.commit()
    _print_done(months, proposals, done, as_json)
    sys.exit(CLEAN if done.is_clean else FOUND)


def _healed(*, dry_run: bool) -> Performed:
    """Heal the stored achieved amounts, or dry-run that."""
    return performing.heal(db.engine, TARGET_FIGURES, reason="targets generate", dry_run=dry_run)


def _achieved(run_id: int) -> dict[tuple[int, Month], Decimal]:
    """The corrected achieved amounts, by manager and month, that the dry run has found."""
    return {
        (
            int(item.key["account_manager_id"]),
            Month.of(date.fromisoformat(item.key["month"])),
        ): Decimal((item.after or {}).get("achieved", 0))
        for item in dry_runs.items_found(db.session(), run_id)
        if item.subject == achieved.name and "achieved" in (item.after or {"achieved": 0})
    }


def _months(text: str | None, year: int | None) -> list[Month]:
    if text is None:
        chosen = periods.today().year if year is None else year
        return list(Month(chosen, 1).through(Month(chosen, 12)))
    month = month_given(text)
    if not EARLIEST <= month.year <= LATEST or year not in (None, month.year):
        raise Trouble(_("%(month)s is not a month of that year.", month=text))
    return [month]


def _number(option: str, text: str, read: Callable[[str], Decimal]) -> Decimal:
    """The number in an option, in the notation of programs: 1000.50. Raises Trouble."""
    try:
        return read(text)
    except money.AmountError as refusal:
        raise Trouble(f"{option}: {_(refusal.message, **refusal.params)}") from refusal


def _percent(text: str) -> Decimal:
    return money.parse_quantity(text, minimum=Decimal(-100), maximum=Decimal(10_000))


def _amount(text: str) -> Decimal:
    return money.parse_amount(text, minimum=Decimal(0))


def _as_dict(months: list[Month], proposals: Proposals) -> dict[str, Any]:
    created = sum(proposal.is_new for proposal in proposals.proposed)
    return {
        "months": [str(month) for month in months],
        "created": created,
        "updated": len(proposals.proposed) - created,
        "unchanged": proposals.right,
        "kept": proposals.kept,
        "without_basis": proposals.without_basis,
        "targets": [_proposal(proposal) for proposal in proposals.proposed],
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "account_manager": proposal.manager.email,
        "month": str(proposal.month),
        "before": None if proposal.before is None else str(proposal.before),
        "target": str(proposal.target),
        "difference": str(proposal.difference),
    }


def _print_dry_run(
    months: list[Month], proposals: Proposals, done: Performed, as_json: bool
) -> None:
    reported, run = _as_dict(months, proposals), done.run
    if as_json:
        click.echo(json.dumps({**reported, **dry_runs.as_dict(run)}))
        return
    _print_proposals(proposals)
    click.echo(
        _(
            "Dry run: %(created)s targets would be set, %(updated)s replaced; "
            "%(drifted)s stored figures would be corrected first.",
            created=reported["created"], updated=reported["updated"], drifted=run.changed,
        )
    )  # fmt: skip
    if found := dry_runs.items_found(db.session(), run.id):
        dry_runs.print_items(found)
    print_failures(done.failures)


def _print_done(months: list[Month], proposals: Proposals, done: Performed, as_json: bool) -> None:
    reported = _as_dict(months, proposals)
    if as_json:
        failures = [dict(zip(("bundle", "owner", "error"), f, strict=True)) for f in done.failures]
        healed = {"run": done.run.id, "corrections": done.run.changed, "failures": failures}
        click.echo(json.dumps({**reported, **healed}))
        return
    _print_proposals(proposals)
    click.echo(
        _(
            "%(created)s targets set, %(updated)s replaced, %(kept)s kept, %(unchanged)s right already; "
            "%(without_basis)s months have nothing to go by.",
            **{name: reported[name] for name in ("created", "updated", "kept", "unchanged", "without_basis")},
        )
    )  # fmt: skip
    click.echo(
        _(
            "Run %(run)s: %(corrections)s achieved amounts corrected, %(failed)s failed.",
            run=done.run.id, corrections=done.run.changed, failed=done.run.failed,
        )
    )  # fmt: skip
    print_failures(done.failures)


def _print_proposals(proposals: Proposals) -> None:
    for proposal in proposals.proposed[:SHOWN]:
        before = "–" if proposal.before is None else money.format_amount(proposal.before)
        target = money.format_amount(proposal.target)
        apart = signed_filter(proposal.difference)
        click.echo(f"  {proposal.month} {proposal.manager.name}: {before} → {target} ({apart})")
    if len(proposals.proposed) > SHOWN:
        click.echo(_("… and %(count)d more", count=len(proposals.proposed) - SHOWN))
