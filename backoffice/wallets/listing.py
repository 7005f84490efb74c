"""The list of wallets with their balances and last transactions, and the list of their transactions."""

from dataclasses import replace
from typing import Any

from flask import url_for
from sqlalchemy import Select, and_, func, select

from ..audit.queries import person_of
from ..base import N_, counted
from ..customers.listing import customer_columns, of_customer, page_of_customer
from ..customers.models import Customer
from ..lists import Choice, Column, List, Moments, Search, containing
from ..records.listing import column_of
from .fields import LOW_LIMIT, NUMBER, WHAT_FOR
from .models import Wallet, WalletTransaction
from .rules import STATUSES, TONES, TYPES, moved_by


def number_of(row: Any) -> str:
    """The address of the row's wallet."""
    return url_for("wallets.record", number=row.number)


def _sum(name: str) -> Column:
    """The column of a figure, linked to its calculation."""
    held = getattr(Wallet, name)

    def calculation(row: Any) -> str | None:
        if not getattr(row, name):
            return None
        return url_for("wallets.calculation_of", number=row.number, column=name)

    classes = f"cell-total {'cell-lead' if name == 'balance' else 'cell-part'}"
    return Column(
        name, held.info["label"], held, kind="money", total=True, link=calculation, classes=classes
    )


def balance_of(row: Any) -> str:
    """The address of the calculation of the row's balance."""
    return url_for("wallets.calculation_of", number=row.number, column="balance")


def _wallets(_user: Any) -> Select[Any]:
    return select().select_from(Wallet).outerjoin(Wallet.customer)


_last_moved = (
    select(func.max(WalletTransaction.created_at))
    .where(WalletTransaction.wallet_id == Wallet.id)
    .correlate(Wallet)
    .scalar_subquery()
)

WALLETS = List(
    "wallets",
    N_("Wallets"),
    "wallets.index",
    export="wallets.export",
    rows=_wallets,
    key=Wallet.id,
    columns=(
        column_of(NUMBER, link=number_of, classes="cell-key"),
        replace(column_of(WHAT_FOR, classes="cell-wide"), is_shown=False),
        *customer_columns(link=page_of_customer),
        Column("status", N_("Status"), Wallet.status, words=STATUSES, tones=TONES, classes="cell-word"),
        Column("last_moved", N_("Last transaction"), _last_moved, kind="moment", is_sortable=False),
        replace(column_of(LOW_LIMIT), classes="cell-part", is_shown=False),
        _sum("total_recharged"),
        _sum("total_spent"),
        _sum("balance"),
    ),
    filters=(
        Search(
            "q", N_("Search"), containing(Wallet.number, Wallet.description, Customer.code, Customer.name),
            placeholder=N_("Number or customer"),
        ),
        Choice.of("status", N_("Status"), Wallet.status, STATUSES),
        Choice(
            "state", N_("Balance"),
            {
                "low": (N_("Below its limit"), and_(Wallet.is_low)),
                "negative": (N_("Below zero"), Wallet.balance < 0),
                "filled": (N_("Above zero"), Wallet.balance > 0),
            },
        ),
        of_customer(Wallet.customer_id.in_),
    ),
    default_sort="number",
    counted=counted("%(num)s wallet", "%(num)s wallets"),
    new=("wallets.new", N_("New wallet")),
    nothing_yet=(N_("No wallets yet"), N_("A wallet is opened for a customer, and then recharged.")),
    nothing_fits=(
        N_("No wallet fits that"),
        N_("Take something out of the filter, or search for a part of the number."),
    ),
    classes="wallets-table compact",
)  # fmt: skip


_MAKER = func.coalesce(person_of(WalletTransaction.made_by), WalletTransaction.made_by)
"""The name of the user who made a transaction; for a program its name in the audit trail."""

_MOVED = moved_by(WalletTransaction.transaction_type, WalletTransaction.amount)
"""The signed amount of a transaction."""


def _balance(name: str) -> Column:
    held = getattr(WalletTransaction, name)
    return Column(
        name, held.info["label"], held, kind="money", is_sortable=False, classes="cell-total cell-detail",
        link=lambda row: url_for(
            "wallets.calculation_of_part", number=row.of, column=name, part=row.key
        ),
    )  # fmt: skip


def _transactions(_user: Any) -> Select[Any]:
    return select().select_from(WalletTransaction).outerjoin(WalletTransaction.wallet)


TRANSACTIONS = List(
    "wallet_transactions",
    N_("Wallet transactions"),
    "wallet_transactions.index",
    export="wallet_transactions.export",
    rows=_transactions,
    key=WalletTransaction.id,
    columns=(
        Column(
            "id", N_("Transaction"), WalletTransaction.id, classes="cell-key",
            link=lambda row: url_for("wallet_transactions.record", id=row.id),
        ),
        Column("created_at", N_("When"), WalletTransaction.created_at, kind="moment", is_sortable=False),
        Column(
            "wallet", N_("Wallet"), Wallet.number, is_sortable=False,
            link=lambda row: url_for("wallets.record", number=row.wallet),
        ),
        Column(
            "transaction_type", N_("Type"), WalletTransaction.transaction_type, words=TYPES,
            is_sortable=False, classes="cell-word",
        ),
        Column("service_type", N_("Service"), WalletTransaction.service_type, is_sortable=False),
        Column(
            "description", N_("Description"), WalletTransaction.description, is_sortable=False,
            classes="cell-wide",
        ),
        Column("reference", N_("Reference"), WalletTransaction.reference, is_sortable=False),
        Column("made_by", N_("Made by"), _MAKER, is_sortable=False),
        Column(
            "moved", N_("Amount"), _MOVED, kind="money", total=True, is_sortable=False,
            classes="cell-total cell-detail",
        ),
        _balance("balance_before"),
        replace(_balance("balance_after"), classes="cell-total cell-lead"),
    ),
    filters=(
        Search(
            "q", N_("Search"),
            containing(
                WalletTransaction.description, WalletTransaction.reference, WalletTransaction.service_type,
            ),
            placeholder=N_("Description, reference or service"),
        ),
        Choice.of("type", N_("Type"), WalletTransaction.transaction_type, TYPES),
        Moments("since", "until", N_("From"), N_("to"), WalletTransaction.created_at),
        Search("wallet", N_("Wallet"), lambda text: Wallet.number == text, is_quiet=True),
    ),
    default_sort="-id",
    also={"of": Wallet.number},
    counted=counted("%(num)s transaction", "%(num)s transactions"),
    nothing_yet=(N_("No transactions yet"), N_("What is put into wallets and taken out of them appears here.")),
    classes="wallet-transactions-table compact",
)  # fmt: skip


def transactions_of(wallet: Wallet) -> List:
    """The transactions of one wallet, the newest first."""
    is_of_wallet = WalletTransaction.wallet_id == wallet.id
    others = tuple(column for column in TRANSACTIONS.columns if column.name != "wallet")
    return replace(
        TRANSACTIONS,
        rows=lambda user: _transactions(user).where(is_of_wallet),
        columns=others,
        path="wallets.record",
    )


def wallets_of(customer: Customer) -> List:
    """The wallets of one customer."""
    names = (
        "number",
        "description",
        "status",
        "last_moved",
        "total_recharged",
        "total_spent",
        "balance",
    )
    columns = [replace(WALLETS.column(name), total=name == "balance") for name in names]
    return List(
        "wallets_of_customer",
        WALLETS.title,
        "customers.record",
        rows=lambda _user: select().select_from(Wallet).where(Wallet.customer_id == customer.id),
        key=Wallet.id,
        columns=columns,
        default_sort="number",
        counted=WALLETS.counted,
        classes="wallets-table compact",
    )
