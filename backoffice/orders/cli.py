"""`backoffice orders …`: the seed's commands for grand totals.

Exit status as `diff` has it: 0 clean or done, 1 drift found or some items failed, 2 trouble.
"""

import click
from flask.cli import AppGroup

from ..drift.cli import json_option, reason_option, run_heal, run_verify
from .figures import grand_total

group = AppGroup("orders")


@group.command("verify-grand-totals")
@json_option
def verify_grand_totals(as_json: bool) -> None:
    """Compare every stored grand total with what it must be. Exit status 1 when one differs."""
    run_verify([grand_total], (), as_json)


@group.command("update-grand-totals")
@click.option(
    "--force", is_flag=True, help="Recompute every order, not only those that are found to differ."
)
@click.option("--dry-run", is_flag=True, help="Only say what would change; apply it later.")
@reason_option
@json_option
def update_grand_totals(force: bool, dry_run: bool, reason: str, as_json: bool) -> None:
    """Correct wrong grand totals and what they build on; only differences are written, each recorded."""
    run_heal([grand_total], (), as_json, reason=reason, every_owner=force, dry_run=dry_run)
