"""The tie-out: control accounts compared with the totals of their sub-ledgers, term by term.

A control account holds nothing but postings of documents. So its balance plus what is not posted yet equals its
sub-ledger's total; a difference was entered on it by hand, or is an error in the sub-ledger.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from itertools import accumulate
from operator import add
from typing import Any

from sqlalchemy import Connection, Select, Text, func, literal, select
from sqlalchemy.orm import Session

from ...base import N_
from ...billing.models import Meter, MeterAssignment, Payment
from ...billing.queries import without_meter
from ...customers.models import Customer
from ...figures import amounts, check
from ...figures.declaring.checks import Part, Side
from ...gas.queries import MONTHS
from ...orders.models import Order
from ...wallets.models import Wallet
from ..models import Account
from ..rules import GAS_DEPOSITS, ORDERS, RECEIVABLES, ROLES, WALLETS
from .queries import EVERYTHING, posted
from .sources import expected

PageLink = tuple[str, Mapping[str, Any]]
"""The endpoint of a list, and the filters to apply."""


@dataclass(frozen=True)
class Term:
    """One term of a sub-ledger's total: its amounts, the page that lists them, and whether it is subtracted."""

    title: str
    rows: Select[Any]
    page: PageLink | None = None
    is_taken_off: bool = False


@dataclass(frozen=True)
class Control:
    """The control accounts of a role, with the terms of their sub-ledger; `is_owed`: an asset, else a liability."""

    role: str
    terms: Sequence[Term]
    is_owed: bool = False

    @property
    def title(self) -> str:
        """What the role is called on screen."""
        return ROLES[self.role]


_assigned = select(MeterAssignment.id).where(
    MeterAssignment.meter_id == Meter.id, MeterAssignment.is_active
)
_last_months = (
    select(MONTHS.c.customer_id, func.max(MONTHS.c.year_month).label("year_month"))
    .group_by(MONTHS.c.customer_id)
    .subquery()
)
_closing = select(MONTHS.c.closing_balance).join(
    _last_months,
    (_last_months.c.customer_id == MONTHS.c.customer_id) & (_last_months.c.year_month == MONTHS.c.year_month),
)  # fmt: skip
_unmatched = select(Payment.amount).where(without_meter(Payment))
_closed = select(Order.grand_total).where(Order.closing_date.is_not(None))

CONTROLS: Sequence[Control] = (
    Control(
        RECEIVABLES,
        (
            Term(N_("Balances of customers"), select(Customer.balance), ("customers.index", {})),
            Term(
                N_("Overpayments of customers"), select(Customer.overpayment), ("customers.index", {}),
                is_taken_off=True,
            ),
            Term(
                N_("Net balances of meters without an active assignment"),
                select(Meter.net_balance).where(~_assigned.exists()), ("meters.index", {"assigned": "unassigned"}),
            ),
            Term(N_("Unmatched payments"), _unmatched, ("billing.unmatched", {}), is_taken_off=True),
        ),
        is_owed=True,
    ),
    Control(ORDERS, (Term(N_("Closed orders"), _closed, ("orders.index", {"state": "closed"})),), is_owed=True),
    Control(GAS_DEPOSITS, (Term(N_("Closing balances of gas"), _closing),)),
    Control(WALLETS, (Term(N_("Balances of wallets"), select(Wallet.balance), ("wallets.index", {})),)),
)  # fmt: skip
"""Every control account, in the order in which the screen shows them."""


def _of_roles(amount: Any, role: Any = Account.role) -> Select[Any]:
    """The sums of these amounts by role, aggregated first: a check reads each of its rows once per sum."""
    chosen = role.in_([control.role for control in CONTROLS])
    return select(role, func.sum(amount)).where(chosen).group_by(role)


def _held() -> Side:
    debits = amounts(N_("Debits of control accounts"), _of_roles(Account.debits))
    return debits - amounts(N_("Credits of control accounts"), _of_roles(Account.credits))


def _not_posted() -> Side:
    wanted, booked = expected(), posted(EVERYTHING).subquery()
    taken = _of_roles(booked.c.amount).join(booked, booked.c.account_id == Account.id)
    to_post = _of_roles(wanted.c.amount, wanted.c.role)
    documents = amounts(N_("What documents should come to"), to_post)
    return documents + amounts(N_("What is posted of documents"), taken)


HELD, NOT_POSTED = _held(), _not_posted()
"""The balances of control accounts, and what is not posted yet, by role; debits are positive."""


def _beneath(control: Control) -> Iterator[Side]:
    """The terms of the sub-ledger of a control account, by role; debits are positive."""
    role = literal(control.role, Text)
    for term in control.terms:
        amount = func.sum(next(iter(term.rows.subquery().c)))
        side = amounts(term.title, select(role, amount).having(func.count() > 0))
        yield side if control.is_owed is not term.is_taken_off else Side(()) - side


ledger_tied = check(
    "ledger.tied",
    HELD + NOT_POSTED,
    reduce(add, (side for control in CONTROLS for side in _beneath(control))),
    title=N_("Control accounts tie out to their sub-ledgers"),
)
"""Verified with all figures, so that no status says they are right while a control account differs."""


@dataclass(frozen=True)
class TieOut:
    """One control account in one snapshot: the two amounts of the ledger, and the signed terms of the sub-ledger.

    `difference` is the ledger's total less the sub-ledger's.
    """

    control: Control
    held: Decimal
    not_posted: Decimal
    terms: Sequence[Decimal]
    difference: Decimal

    @property
    def ledger(self) -> Decimal:
        """The balance of the accounts, with what is not posted yet."""
        return _all((self.held, self.not_posted))

    @property
    def beneath(self) -> Decimal:
        """The total of the sub-ledger."""
        return _all(self.terms)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as texts."""
        each = zip(self.control.terms, self.terms, strict=True)
        return {
            "role": self.control.role,
            "held": str(self.held),
            "not_posted": str(self.not_posted),
            "beneath": str(self.beneath),
            "difference": str(self.difference),
            "terms": [{"title": term.title, "amount": str(amount)} for term, amount in each],
        }


def tie_out(reader: Connection | Session) -> Sequence[TieOut]:
    """Every control account beside its sub-ledger, read in one statement and so in one snapshot."""
    connection = reader.connection() if isinstance(reader, Session) else reader
    parts = {part.label: part for part in ledger_tied.every(connection)}
    places = accumulate((len(control.terms) for control in CONTROLS), initial=0)
    return [
        _tie_out_of(control, parts.get(control.role), at)
        for control, at in zip(CONTROLS, places, strict=False)
    ]


def _tie_out_of(control: Control, part: Part | None, place: int) -> TieOut:
    """The check's sums of one role, its terms from `place` on; with the sign reversed for a liability."""
    sums = (*ledger_tied.left.sums, *ledger_tied.right.sums)
    found = (Decimal(0),) * len(sums) if part is None else part.sums
    signed = [_turned(control, one.signed(amount)) for one, amount in zip(sums, found, strict=True)]
    held, left = len(HELD.sums), len(ledger_tied.left.sums)
    terms = signed[left + place : left + place + len(control.terms)]
    difference = Decimal(0) if part is None else _turned(control, -part.difference)
    return TieOut(control, _all(signed[:held]), _all(signed[held:left]), terms, difference)


def _turned(control: Control, debits: Decimal) -> Decimal:
    return debits if control.is_owed else -debits


def _all(found: Sequence[Decimal]) -> Decimal:
    return sum(found, Decimal(0))
