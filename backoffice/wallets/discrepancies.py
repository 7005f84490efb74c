"""The list of wallets with open findings: stored and actual balance, since when, and the likely cause."""

from typing import Any

from flask import url_for
from sqlalchemy import Numeric, Select, cast, func, select
from sqlalchemy.orm import aliased

from ..base import N_, counted
from ..customers.listing import page_of_customer
from ..customers.models import Customer
from ..drift.facts.findings import name_of
from ..drift.figure_status import IS_OPEN
from ..drift.models import DriftFinding
from ..drift.wording import CAUSES
from ..lists import Buttons, Choice, Column, List, Search, containing
from .figures import running, wallet_totals
from .listing import balance_of, number_of
from .models import Wallet, WalletTransaction

FACTS = tuple(name_of(model.__tablename__) for model in (Wallet, WalletTransaction))

_IS_SUM = DriftFinding.figure == wallet_totals.name

_wallet = aliased(Wallet)
"""An alias for the findings' subquery, so that the actual balance, which is not stored, is never marked as wrong."""


def _found_of(amounts: Any) -> Any:
    """The balance that findings recorded for a wallet; its stored balance where that is right."""
    text = func.max(amounts["balance"].astext).filter(_IS_SUM)
    return func.coalesce(cast(text, Numeric(15, 2)), func.max(_wallet.balance))


_found = (
    select(
        DriftFinding.owner.label("wallet_id"),
        func.min(DriftFinding.first_seen_at).label("since"),
        _found_of(DriftFinding.stored).label("stored"),
        _found_of(DriftFinding.expected).label("expected"),
        func.count().filter(DriftFinding.figure == running.name).label("transactions"),
        func.count().filter(DriftFinding.figure.in_(FACTS)).label("facts"),
        func.coalesce(
            func.min(DriftFinding.cause).filter(DriftFinding.figure.in_(FACTS)),
            func.min(DriftFinding.cause).filter(DriftFinding.figure == running.name),
            func.min(DriftFinding.cause),
        ).label("cause"),
        func.min(DriftFinding.id).label("finding"),
    )
    .join(_wallet, _wallet.id == DriftFinding.owner)
    .where(IS_OPEN, DriftFinding.figure.in_((running.name, wallet_totals.name, *FACTS)))
    .group_by(DriftFinding.owner)
    .subquery()
)
_own = aliased(Wallet)
_stored, _expected = _found.c.stored, _found.c.expected


def _rows(_user: Any) -> Select[Any]:
    wallets = select().select_from(_found).join(Wallet, Wallet.id == _found.c.wallet_id)
    return wallets.outerjoin(Wallet.customer)


def _finding(row: Any) -> str:
    return url_for("drift.record", finding_id=row.finding)


DISCREPANCIES = List(
    "wallet_discrepancies",
    N_("Discrepancies of wallets"),
    "wallets.discrepancies",
    export="wallets.export_discrepancies",
    bulk="wallets.preview_heal",
    buttons=Buttons(
        chosen=N_("Preview the correction"),
        matching=N_("Preview it for all that match"),
        counted=N_("Preview it for all %(count)s that match"),
        icon="calculator",
        posts=True,
    ),
    rows=_rows,
    key=Wallet.id,
    also={"finding": _found.c.finding, "customer_code": Customer.code},
    columns=(
        Column("number", N_("Wallet"), Wallet.number, link=number_of, classes="cell-key"),
        Column("customer", N_("Customer"), Customer.name, link=page_of_customer, classes="cell-name"),
        Column(
            "stored", N_("Stored balance"), _stored, kind="money", link=balance_of,
            stands_on={wallet_totals.name: select(_own.id).where(_own.id == Wallet.id)},
        ),
        Column("expected", N_("Actual balance"), _expected, kind="money"),
        Column(
            "difference", N_("Difference"), _stored - _expected, kind="money", total=True,
            classes="cell-total cell-lead",
        ),
        Column("transactions", N_("Transactions"), _found.c.transactions, kind="number"),
        Column("facts", N_("Facts in doubt"), _found.c.facts, kind="number"),
        Column("cause", N_("Likely cause"), _found.c.cause, words=CAUSES, link=_finding),
        Column("since", N_("First seen"), _found.c.since, kind="moment"),
        Column("size", N_("Size"), func.abs(_stored - _expected), kind="money", is_shown=False),
    ),
    filters=(
        Search(
            "q", N_("Search"), containing(Wallet.number, Customer.code, Customer.name),
            placeholder=N_("Number or customer"),
        ),
        Choice(
            "heals", N_("Correction"),
            {
                "held": (N_("Left alone: facts in doubt"), _found.c.facts > 0),
                "open": (N_("Can be corrected"), _found.c.facts == 0),
            },
        ),
    ),
    default_sort="-size",
    counted=counted("%(num)s wallet", "%(num)s wallets"),
    nothing_yet=(
        N_("Nothing is wrong"),
        N_("Verification has found no wallet that is stored wrongly."),
    ),
    classes="drift-table",
)  # fmt: skip
