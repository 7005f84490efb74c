"""Wallets: list, form, files and verbs as declared; one wallet shows what moved in it."""

from flask import Blueprint, Response

from .. import lists
from ..records.screens import Screens
from ..security.permissions import requires
from .listing import transactions_of
from .records import WALLET

bp = Blueprint("wallets", __name__, url_prefix="/wallets")

screens = Screens(
    WALLET, "wallets/index.html", record_page="wallets/record.html", frame="wallets/wallet.html"
)
screens.add_to(bp, without=("record",))


@bp.get("/<path:number>")
@requires("wallets.read")
def record(number: str) -> Response:
    """One wallet with its transactions, the newest first."""
    wallet = screens.found(number)
    part = lists.part(
        transactions_of(wallet), without=("wallet",), endpoint="wallets.record", number=number
    )
    return screens.shown(wallet, transactions=part)
