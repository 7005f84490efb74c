"""`backoffice balance …`: compare the balances of wallets with their transactions.

Exit status as `diff` has it: 0 clean or done, 1 something differs or could not be put right, 2 trouble.
"""

import json
import sys
from collections.abc import Sequence

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import select

from ..app.command_line import (
    CLEAN,
    FOUND,
    Trouble,
    never_together,
    print_rows,
)
from ..app.extensions import db
from ..customers.models import Customer
from ..customers.queries import survivor_of
from ..drift.cli import json_option, reason_option
from . import syncing
from .models import Wallet
from .syncing import FIXED, SYNCED, SyncResult, WalletDetail

SHOWN = 50
"""Wallets printed to a person; --json prints them all."""

MISMATCH = "MISMATCH"
"""The status of a wrong wallet in the table, untranslated so that scripts can search for it."""

group = AppGroup("balance")


@group.command("verify-sync")
@click.option(
    "--fix", is_flag=True, help="Put right what differs; every change leaves a correction."
)
@click.option("--rebuild", is_flag=True, help="Recompute every wallet, and write what differs.")
@click.option(
    "--user-id", type=int, metavar="N", help="Only the wallets of the customer with this id."
)
@click.option("--wallet-id", type=int, metavar="N", help="Only the wallet with this id.")
@click.option("--dry-run", is_flag=True, help="Only say what differs; record nothing.")
@reason_option
@json_option
@never_together("fix", "rebuild")
@never_together("user_id", "wallet_id")
def verify_sync(
    fix: bool,
    rebuild: bool,
    user_id: int | None,
    wallet_id: int | None,
    dry_run: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Compare the stored balances of wallets with their transactions. Exit status 1 when one differs.

    What differs becomes a finding, as with every verification.
    """
    wallets = _chosen(user_id, wallet_id)
    if dry_run:
        result = syncing.verify(db.engine, wallets)
    elif not (fix or rebuild):
        result, unrecorded = syncing.record(db.engine, wallets)
        if unrecorded:
            click.echo(_(unrecorded), err=True)
    elif rebuild:
        result = syncing.rebuild(db.engine, wallets, reason=reason)
    else:
        result = syncing.fix(db.engine, wallets, reason=reason)
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    else:
        _print(result)
    sys.exit(CLEAN if result.is_clean else FOUND)


def _chosen(user_id: int | None, wallet_id: int | None) -> list[int] | None:
    """The ids of the selected wallets; None: all. Raises Trouble where there is no such customer or wallet."""
    session = db.session()
    if user_id is not None:
        if (customer := session.get(Customer, user_id)) is None:
            raise Trouble(_("There is no customer with the id %(id)s.", id=user_id))
        owned = select(Wallet.id).where(Wallet.customer_id == survivor_of(session, customer).id)
        chosen: list[int] | None = list(session.scalars(owned))
    elif wallet_id is not None:
        if session.get(Wallet, wallet_id) is None:
            raise Trouble(_("There is no wallet with the id %(id)s.", id=wallet_id))
        chosen = [wallet_id]
    else:
        chosen = None
    session.rollback()
    return chosen


def _print(result: SyncResult) -> None:
    click.echo(_("Checked: %(count)s wallets", count=f"{len(result.details):,}"))
    click.echo(_("Synced: %(count)s wallets", count=f"{result.count(SYNCED):,}"))
    click.echo(_("Fixed: %(count)s wallets", count=f"{result.count(FIXED):,}"))
    if result.wrong:
        click.echo(_("Discrepancies found:"))
        _print_wrong(result.wrong)
    for number, error in result.errors:
        click.echo(f"{number}: {_(error)}", err=True)


def _print_wrong(wrong: Sequence[WalletDetail]) -> None:
    columns = (
        _("User ID"), _("Wallet"), _("Stored balance"), _("Actual balance"), _("Difference"), _("What"), _("Status"),
    )  # fmt: skip
    rows = []
    for detail in wrong[:SHOWN]:
        what = list(detail.columns)
        if detail.transactions:
            what.append(_("%(count)s transactions", count=detail.transactions))
        status = _("Fixed") if detail.status == FIXED else MISMATCH
        amounts = (detail.stored, detail.actual, detail.difference)
        rows.append((str(detail.user), detail.number, *amounts, ", ".join(what), status))
    print_rows(columns, rows)
    if len(wrong) > SHOWN:
        click.echo(_("… and %(count)d more", count=len(wrong) - SHOWN))
