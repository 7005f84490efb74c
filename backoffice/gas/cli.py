"""`backoffice balance …`: the stored months of gas and the calculated readings.

Exit status as `diff` has it: 0 clean or done, 1 something differs or could not be put right, 2 trouble.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.command_line import (
    CLEAN,
    FOUND,
    Trouble,
    month_given,
    never_together,
)
from ..app.extensions import db
from ..customers.models import Customer
from ..drift.cli import json_option, reason_option, run_heal
from . import actions, queries
from .figures import GAS_FIGURES
from .queries import CALCULATIONS, MONTHS

group = AppGroup("balance")


def _customer_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that select one customer or all."""
    one = click.option(
        "--customer-id", "--customer_id", "customer_id", type=int, metavar="N", help="Only this customer's."
    )  # fmt: skip
    return click.option("--all", "everybody", is_flag=True, help="Everybody's.")(one(command))


@group.command("initialize-realtime")
@_customer_options
@click.option("--dry-run", is_flag=True, help="Only say what would be calculated.")
@json_option
@never_together("everybody", "customer_id")
def initialize(everybody: bool, customer_id: int | None, dry_run: bool, as_json: bool) -> None:
    """Calculate and store what is missing; a customer who is named is calculated as things change from now on.

    With --all those who were switched off stay so.
    """
    customer = _selected(everybody, customer_id)
    if customer is not None and not customer.use_realtime_calculation:
        if not dry_run:
            actions.switch(db.session(), customer.id, is_stored=True)
            db.session.commit()
        found = _rows_of(customer)
        _print_result("\n".join(f"{name}: +{rows}" for name, rows in found.items()), found, as_json)
        sys.exit(FOUND if dry_run and any(found.values()) else CLEAN)
    owners = [] if customer_id is None else [customer_id]
    run_heal([*GAS_FIGURES], owners, as_json, every_owner=True, dry_run=dry_run)


@group.command("sync-realtime")
@_customer_options
@click.option(
    "--from-month", metavar="YYYY-MM",
    help="Only customers of whom anything is entered or stored of that month or later.",
)  # fmt: skip
@click.option(
    "--force", is_flag=True, help="Recompute everything, not only what is found to differ."
)
@click.option("--dry-run", is_flag=True, help="Only say what would change; apply it later.")
@reason_option
@json_option
@never_together("everybody", "customer_id")
def sync(
    everybody: bool,
    customer_id: int | None,
    from_month: str | None,
    force: bool,
    dry_run: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Correct what differs of readings' prices and of months; only differences are written, each recorded."""
    customer = _selected(everybody, customer_id)
    owners = [] if customer_id is None else [customer_id]
    if customer is not None and not customer.use_realtime_calculation:
        note = _(
            "%(name)s is switched off: nothing is stored, and their months are computed when they are read.",
            name=customer.name,
        )
        click.echo(note, err=as_json)
    if from_month is not None:
        concerned = actions.concerned_since(db.session(), month_given(from_month))
        db.session.rollback()
        owners = [owner for owner in concerned if customer_id in (None, owner)]
        if not owners:
            _print_result(
                _("Nothing is entered or stored of that month or later."), {"checked": 0}, as_json
            )
            sys.exit(CLEAN)
    run_heal([*GAS_FIGURES], owners, as_json, reason=reason, every_owner=force, dry_run=dry_run)


@group.command("counts")
@json_option
def counts(as_json: bool) -> None:
    """How many rows of gas there are, entered and stored."""
    found = queries.counts(db.session())
    db.session.rollback()
    _print_result("\n".join(f"{name}: {rows:,}" for name, rows in found.items()), found, as_json)


def _selected(everybody: bool, customer_id: int | None) -> Customer | None:
    """The selected customer; None for all. Raises Trouble without a selection, or for an unknown customer."""
    if not everybody and customer_id is None:
        raise Trouble(_("Say which customers: --all, or --customer-id N."))
    if customer_id is None:
        return None
    with Session(db.engine, expire_on_commit=False) as session:
        customer = session.get(Customer, customer_id)
    if customer is None:
        raise Trouble(_("There is no customer with the id %(id)s.", id=customer_id))
    return customer


def _rows_of(customer: Customer) -> dict[str, int]:
    """How many derived rows a customer has by table, stored or computed."""
    tables = {"transaction_calculations": CALCULATIONS, "monthly_customer_balances": MONTHS}
    found = {
        name: db.session.scalar(select(func.count()).where(rows.c.customer_id == customer.id)) or 0
        for name, rows in tables.items()
    }
    db.session.rollback()
    return found


def _print_result(text: str, reported: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(reported) if as_json else text)
