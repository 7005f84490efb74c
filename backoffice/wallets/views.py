"""Screens of wallets: as declared, with a chart of daily balances and the transactions on a wallet's page."""

from collections.abc import Sequence

from flask import Blueprint, Response

from .. import lists
from ..app.extensions import db
from ..records.calculations import marks_of
from ..records.screens import Screens
from ..security.permissions import requires
from ..web.charts import Chart, Point, bar_chart
from ..web.formats import day_filter, money_filter
from .history import DayBalance, balances_by_day
from .listing import transactions_of
from .records import WALLET
from .rules import STATUSES, TONES

NAMED = 6
"""Every how many days the chart has a label; a phone has no room for more."""

bp = Blueprint("wallets", __name__, url_prefix="/wallets")

screens = Screens(
    WALLET, "wallets/index.html", record_page="wallets/record.html", frame="wallets/wallet.html",
    head=lambda _wallet: {"STATUSES": STATUSES, "TONES": TONES},
)  # fmt: skip
screens.add_to(bp, without=("record",))


@bp.get("/<path:number>")
@requires("wallets.read")
def record(number: str) -> Response:
    """One wallet with its transactions, the newest first."""
    wallet = screens.found(number)
    part = lists.part(transactions_of(wallet), endpoint="wallets.record", number=number)
    days = balances_by_day(db.session(), wallet) if part.rows else ()
    return screens.shown(
        wallet, transactions=part, days=days, chart=_chart(days), marks=marks_of(WALLET, wallet)
    )


def _chart(days: Sequence[DayBalance]) -> Chart:
    return bar_chart(
        [
            Point(
                label=day_filter(day.day).rsplit(" ", 1)[0] if number % NAMED == 0 else "",
                title=f"{day_filter(day.day)}: {money_filter(day.balance, symbol=True)}",
                value=day.balance,
            )
            for number, day in enumerate(days)
        ]
    )
