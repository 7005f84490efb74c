"""Screens of wallet transactions, as declared."""

from flask import Blueprint

from ..records.screens import Screens
from .records import TRANSACTION

bp = Blueprint("wallet_transactions", __name__, url_prefix="/wallet-transactions")

screens = Screens(TRANSACTION, "wallets/transactions.html", frame="wallets/transaction.html")
screens.add_to(bp)
