"""The balance sheet of any day and the income statement of any period: on screen, in print and as files."""

from flask import Response, request

from ... import lists
from ...security.permissions import requires
from ...web.htmx import render
from ..trial_balance import bp
from .listing import listing_of
from .showing import (
    BALANCE_SHEET,
    INCOME_STATEMENT,
    Shown,
    shown_balance_sheet,
    shown_income_statement,
)

__all__ = ["PAGES", "bp"]


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


PAGES = ((BALANCE_SHEET, "ledger.balance_sheet"), (INCOME_STATEMENT, "ledger.income_statement"))
