"""Screens of accounts: list, form and exports as declared, and the account page with its running statement."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from .. import lists
from ..app.extensions import db
from ..base import N_
from ..base.periods import read_day
from ..lists import List, Said
from ..records.calculations import marks_of
from ..records.screens import Screens
from ..security.permissions import requires
from ..web.formats import day_filter, money_filter
from ..web.htmx import render
from .listing import statement_of
from .models import Account
from .naming import search
from .queries import brought_forward
from .records import ACCOUNT
from .rules import TYPES

OFFERED = 20

bp = Blueprint("accounts", __name__, url_prefix="/ledger/accounts")

screens = Screens(
    ACCOUNT, "ledger/accounts.html", record_page="ledger/account_record.html", frame="ledger/account.html",
    head=lambda _account: {"TYPES": TYPES},
)  # fmt: skip
screens.add_to(bp, without=("record",))


@bp.get("/options")
@requires("ledger.read")
def options() -> Response:
    """The accounts that fit what is typed into a form, as options to choose from."""
    text = next(iter(request.args.values()), "").strip()[:100]
    return render("ledger/options.html", found=search(db.session(), text, limit=OFFERED))


@bp.get("/<code>")
@requires("ledger.read")
def record(code: str) -> Response:
    """One account with its last lines, the newest first."""
    account = screens.found(code)
    marks = marks_of(ACCOUNT, account)  # first: the list marks what has been read by then
    part = lists.part(statement_of(account), endpoint="accounts.record", code=code)
    return screens.shown(account, statement=part, marks=marks)


@bp.get("/<code>/statement")
@requires("ledger.read")
def statement(code: str) -> Response:
    """Everything that was posted to one account, each line with the balance after it."""
    account = screens.found(code)
    sentence, opening = "", _opening(account)
    if opening is not None:
        day, amount = day_filter(opening[0]), money_filter(opening[1], symbol=True)
        sentence = _("Brought forward to %(day)s: %(amount)s", day=day, amount=amount)
    statement = statement_of(account)
    return lists.show(statement, "ledger/statement.html", account=account, said=sentence)


def _opening(account: Account) -> tuple[date, Decimal] | None:
    """The first day of the statement that is asked for, and the balance brought forward to it; None without one."""
    since = read_day(request.args.get("since", ""))
    return None if since is None else (since, brought_forward(db.session(), account, since))


def _statement_of(code: str) -> List:
    account = screens.found(code)
    listing, opening = statement_of(account), _opening(account)
    if opening is None:
        return listing
    said = Said("opening", N_("Brought forward"), money_filter(opening[1]))
    return replace(listing, filters=(*listing.filters, said))


lists.add_export(
    bp, "/<code>/statement/export.<flavour>", "export_statement", "ledger.read", _statement_of
)
