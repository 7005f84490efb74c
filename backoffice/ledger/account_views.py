"""Accounts: list, form and files as declared; one account shows what was posted to it, with the balance after it."""

from flask import Blueprint, Response, request

from .. import lists
from ..app.extensions import db
from ..lists import List
from ..records.calculations import marks_of
from ..records.screens import Screens
from ..security.permissions import requires
from ..web.htmx import render
from .listing import statement_of
from .naming import search
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
    marks = marks_of(ACCOUNT, account)  # first: the list marks what is known by then
    part = lists.part(statement_of(account), endpoint="accounts.record", code=code)
    return screens.shown(account, statement=part, marks=marks)


@bp.get("/<code>/statement")
@requires("ledger.read")
def statement(code: str) -> Response:
    """Everything that was posted to one account, each line with the balance after it."""
    account = screens.found(code)
    return lists.show(statement_of(account), "ledger/statement.html", account=account)


def _statement_of(code: str) -> List:
    return statement_of(screens.found(code))


lists.add_export(
    bp, "/<code>/statement/export.<flavour>", "export_statement", "ledger.read", _statement_of
)
