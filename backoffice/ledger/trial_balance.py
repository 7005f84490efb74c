"""The trial balance: what every account held at the end of a day, on its side. Both sides come to the same."""

from datetime import date
from typing import Any

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from .. import lists
from ..base import N_, counted
from ..base.periods import today
from ..lists import AsOf, Choice, Column, List
from ..security.permissions import requires
from .figures import account_sums
from .models import Account
from .queries import held_on
from .rules import TYPES

AS_OF = AsOf("as_of", N_("As of"), today)
TITLE = N_("Trial balance")

bp = Blueprint("ledger", __name__, url_prefix="/ledger")


def listing_of(day: date) -> List:
    """The trial balance as a list: a row for each account to which anything was posted by then."""
    held = held_on(day)

    def statement(row: Any) -> str:
        return url_for("accounts.statement", code=row.code, until=day)

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(Account).join(held, held.c.account_id == Account.id)

    own = aliased(Account)
    stands_on = {account_sums.name: select(own.id).where(own.id == Account.id)}
    sides = (
        Column(
            name, label, held.c[name], kind="money", total=True, classes="cell-total", stands_on=stands_on,
        )
        for name, label in (("debit", N_("Debit")), ("credit", N_("Credit")))
    )  # fmt: skip
    return List(
        "trial_balance",
        TITLE,
        "ledger.trial_balance",
        export="ledger.export_trial_balance",
        rows=rows,
        key=Account.id,
        columns=(
            Column("code", N_("Code"), Account.code, link=statement, classes="cell-key"),
            Column("name", N_("Name"), Account.name, classes="cell-name"),
            Column("type", N_("Type"), Account.type, words=TYPES, classes="cell-word"),
            *sides,
        ),
        filters=(
            AS_OF,
            Choice(
                "type", N_("Type"),
                {name: (word, Account.type == name) for name, word in TYPES.items()},
            ),
        ),
        default_sort="code",
        is_computed=True,
        counted=counted("%(num)s account", "%(num)s accounts"),
        nothing_yet=(N_("Nothing is posted yet"), N_("Lines of posted entries appear here.")),
        classes="trial-balance-table compact",
    )  # fmt: skip


def _listing() -> List:
    return listing_of(AS_OF.day(request.args))


@bp.get("/trial-balance", endpoint="trial_balance")
@requires("ledger.read")
def show() -> Response:
    """The trial balance as of a day; it can be printed and taken along as a file."""
    return lists.show(_listing(), "ledger/trial_balance.html")


lists.add_export(
    bp, "/trial-balance/export.<flavour>", "export_trial_balance", "ledger.read", _listing
)

PAGES = ((TITLE, "ledger.trial_balance"),)
