"""Screens and exports of the trial balance, the balance sheet and the income statement."""

from flask import Blueprint, Response, request

from ... import lists
from ...base import N_
from ...security.permissions import requires
from ...web.htmx import render
from ..listing import trial_balance_of
from .presentation import (
    BALANCE_SHEET,
    INCOME_STATEMENT,
    ReportPage,
    balance_sheet_page,
    income_statement_page,
    listing_of,
)

bp = Blueprint("ledger", __name__, url_prefix="/ledger")


lists.add_list(
    bp, "/trial-balance", "trial_balance", "ledger.read", lambda: trial_balance_of(request.args),
    "ledger/trial_balance.html",
)  # fmt: skip


@bp.get("/balance-sheet", endpoint="balance_sheet")
@requires("ledger.read")
def show_balance_sheet() -> Response:
    """Assets, liabilities and equity at the end of a day, beside another day if asked."""
    return _render_page(balance_sheet_page(request.args))


@bp.get("/income-statement", endpoint="income_statement")
@requires("ledger.read")
def show_income_statement() -> Response:
    """Revenue and expenses of a period, beside another one if asked."""
    return _render_page(income_statement_page(request.args))


lists.add_export(
    bp, "/balance-sheet/export.<flavour>", "export_balance_sheet", "ledger.read",
    lambda: listing_of(balance_sheet_page(request.args)),
)  # fmt: skip
lists.add_export(
    bp, "/income-statement/export.<flavour>", "export_income_statement", "ledger.read",
    lambda: listing_of(income_statement_page(request.args)),
)  # fmt: skip


def _render_page(shown: ReportPage) -> Response:
    return render("ledger/report.html", "report", shown=shown, report=shown.report)


PAGES = (
    (N_("Trial balance"), "ledger.trial_balance"),
    (BALANCE_SHEET, "ledger.balance_sheet"),
    (INCOME_STATEMENT, "ledger.income_statement"),
)
