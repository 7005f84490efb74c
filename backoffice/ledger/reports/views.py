"""The trial balance and the balance sheet of a day, the income statement of a period: on screen, in print, as files."""

from flask import Blueprint, Response, request

from ... import lists
from ...base import N_
from ...lists import List
from ...security.permissions import requires
from ...web.htmx import render
from ..listing import trial_balance_of
from .showing import (
    BALANCE_SHEET,
    INCOME_STATEMENT,
    Shown,
    listing_of,
    shown_balance_sheet,
    shown_income_statement,
)

bp = Blueprint("ledger", __name__, url_prefix="/ledger")


def _trial_balance() -> List:
    return trial_balance_of(request.args)


@bp.get("/trial-balance", endpoint="trial_balance")
@requires("ledger.read")
def show_trial_balance() -> Response:
    """What every account held at the end of a day, on its side; both sides come to the same."""
    return lists.show(_trial_balance(), "ledger/trial_balance.html")


lists.add_export(
    bp, "/trial-balance/export.<flavour>", "export_trial_balance", "ledger.read", _trial_balance
)


@bp.get("/balance-sheet", endpoint="balance_sheet")
@requires("ledger.read")
def show_balance_sheet() -> Response:
    """What there is and what is owed at the end of a day, beside another one if asked."""
    return _page(shown_balance_sheet(request.args))


@bp.get("/income-statement", endpoint="income_statement")
@requires("ledger.read")
def show_income_statement() -> Response:
    """What was earned and spent in a period, beside another one if asked."""
    return _page(shown_income_statement(request.args))


lists.add_export(
    bp, "/balance-sheet/export.<flavour>", "export_balance_sheet", "ledger.read",
    lambda: listing_of(shown_balance_sheet(request.args)),
)  # fmt: skip
lists.add_export(
    bp, "/income-statement/export.<flavour>", "export_income_statement", "ledger.read",
    lambda: listing_of(shown_income_statement(request.args)),
)  # fmt: skip


def _page(shown: Shown) -> Response:
    return render("ledger/report.html", "report", shown=shown, report=shown.report)


PAGES = (
    (N_("Trial balance"), "ledger.trial_balance"),
    (BALANCE_SHEET, "ledger.balance_sheet"),
    (INCOME_STATEMENT, "ledger.income_statement"),
)
