"""What each kind of document should come to in the journal: one SELECT per kind, by document and day.

Amounts are in the deployment's currency; a negative amount exchanges debit and credit. Very frequent documents
(readings of gas, charges of wallets) are one posting per day.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Date,
    Select,
    Subquery,
    Text,
    any_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from ...audit.models import AuditEvent
from ...base import N_, periods
from ...base.identifiers import is_id
from ...billing.models import Invoice, MeterAdjustment, Payment
from ...billing.rules import VOID
from ...customers.models import Customer
from ...gas.models import Deposit
from ...gas.queries import CALCULATIONS, is_adjusting
from ...orders.models import Order
from ...wallets.models import Wallet, WalletTransaction
from ...wallets.rules import ADJUSTMENT, CHARGE, RECHARGE, REFUND
from ..rules import (
    CASH,
    GAS_DEPOSITS,
    GAS_REVENUE,
    METER_REVENUE,
    ORDER_REVENUE,
    ORDERS,
    RECEIVABLES,
    WALLET_REVENUE,
    WALLETS,
)


@dataclass(frozen=True)
class PostingSource:
    """One kind of document: `rows` answers `id` (None: one posting per day), `number`, `day` and `amount`.

    `number` is the number that users see; the customer's name where there is none. `debit` and `credit` are the roles
    of the accounts that a positive amount debits and credits; `memo` is the document's title in memos.
    """

    name: str
    title: str
    memo: str
    debit: str
    credit: str
    rows: Callable[[], Select[Any]]

    @property
    def id(self) -> Any:
        """The column of its documents' ids; None for daily postings."""
        column = self.rows().selected_columns["id"].element
        return column if isinstance(column, Column) else None


def _each(id_: Any, number: Any, day: Any, amount: Any, *where: Any) -> Select[Any]:
    """A posting for each document."""
    columns = (id_.label("id"), number.label("number"), day.label("day"), amount.label("amount"))
    return select(*columns).where(*where)


def _per_day(day: Any, amount: Any, *where: Any) -> Select[Any]:
    """A posting for each day."""
    each = select(day.label("day"), amount.label("amount")).where(*where).subquery()
    none = (cast(null(), BigInteger).label("id"), cast(null(), Text).label("number"))
    summed = func.sum(each.c.amount).label("amount")
    return select(*none, each.c.day, summed).group_by(each.c.day)


def _wallet(kind: str) -> Select[Any]:
    """The wallet transactions of a type, by business day."""
    t = WalletTransaction
    day = cast(func.timezone(periods.timezone().key, t.created_at), Date)
    if kind == CHARGE:
        return _per_day(day, t.amount, t.transaction_type == kind)
    named = func.concat_ws(", ", func.nullif(t.reference, ""), Customer.name)
    rows = _each(t.id, named, day, t.amount, t.transaction_type == kind)
    of_wallet = rows.outerjoin(Wallet, Wallet.id == t.wallet_id)
    return of_wallet.outerjoin(Customer, Customer.id == Wallet.customer_id)


SOURCES: Sequence[PostingSource] = (
    PostingSource(
        "orders", N_("Closed orders"), "Order", ORDERS, ORDER_REVENUE,
        lambda: _each(Order.id, Order.number, Order.closing_date, Order.grand_total, Order.closing_date.is_not(None)),
    ),
    PostingSource(
        "invoices", N_("Invoices"), "Invoice", RECEIVABLES, METER_REVENUE,
        lambda: _each(
            Invoice.id, Invoice.number, Invoice.issued_on, Invoice.amount,
            Invoice.status != VOID, Invoice.meter_id.is_not(None),
        ),
    ),
    PostingSource(
        "payments", N_("Payments"), "Payment", CASH, RECEIVABLES,
        lambda: _each(Payment.id, Payment.reference, Payment.paid_on, Payment.amount, Payment.status != VOID),
    ),
    PostingSource(
        "adjustments", N_("Adjustments"), "Adjustment", RECEIVABLES, METER_REVENUE,
        lambda: _each(
            MeterAdjustment.id, MeterAdjustment.number, MeterAdjustment.adjusted_on, MeterAdjustment.amount,
            MeterAdjustment.status != VOID,
        ),
    ),
    PostingSource(
        "deposits", N_("Gas deposits"), "Gas deposit", CASH, GAS_DEPOSITS,
        lambda: _each(
            Deposit.id, Customer.name, Deposit.deposited_on, Deposit.amount, ~is_adjusting()
        ).outerjoin(Customer, Customer.id == Deposit.customer_id),
    ),
    PostingSource(
        "gas_purchases", N_("Gas purchases"), "Gas purchases of the day", GAS_DEPOSITS, GAS_REVENUE,
        lambda: _per_day(CALCULATIONS.c.transaction_date, CALCULATIONS.c.total_price),
    ),
    PostingSource(
        "wallet_recharges", N_("Wallet recharges"), "Wallet recharge", CASH, WALLETS, lambda: _wallet(RECHARGE)
    ),
    PostingSource(
        "wallet_charges", N_("Wallet charges"), "Wallet charges of the day", WALLETS, WALLET_REVENUE,
        lambda: _wallet(CHARGE),
    ),
    PostingSource(
        "wallet_refunds", N_("Wallet refunds"), "Wallet refund", WALLET_REVENUE, WALLETS, lambda: _wallet(REFUND)
    ),
    PostingSource(
        "wallet_adjustments", N_("Wallet adjustments"), "Wallet adjustment", WALLET_REVENUE, WALLETS,
        lambda: _wallet(ADJUSTMENT),
    ),
)  # fmt: skip
"""Every kind of document that is posted. An invoice without a meter counts nowhere, and is not posted either."""

BY_NAME = {source.name: source for source in SOURCES}


def is_document(name: str) -> bool:
    """Whether it has the form of an entry's document: `invoices/7`, or `gas_purchases` for a daily posting."""
    source, slash, key = name.partition("/")
    is_single = source in BY_NAME and BY_NAME[source].id is not None
    return is_id(key) if is_single else source in BY_NAME and not slash


def is_known(name: Any) -> ColumnElement[bool]:
    """The condition that the document of such a name exists or existed, by the audit trail."""
    tables = {s.name: s.id.table.name for s in SOURCES if s.id is not None}
    table = case(tables, value=func.split_part(name, "/", 1))
    key = func.split_part(name, "/", 2)
    was = select(AuditEvent.id).where(AuditEvent.table_name == table, AuditEvent.row_id == key)
    return (key == "") | was.exists()


def expected(
    sources: Sequence[PostingSource] = SOURCES, only: Mapping[str, Collection[int]] | None = None
) -> Subquery:
    """`source, document, number, day, role, amount`: what should be posted; a debit is above zero, a credit below.

    `only` are the ids of the documents, by the name of their source; a source that it does not name has none.
    """
    sides = (
        side
        for source in sources
        for side in _sides(source, None if only is None else only.get(source.name, ()))
    )
    return union_all(*sides).subquery("expected")


def _sides(source: PostingSource, only: Collection[int] | None) -> Iterator[Select[Any]]:
    rows = source.rows().subquery()
    chosen = [] if only is None else [rows.c.id == any_(literal(sorted(only), ARRAY(BigInteger)))]
    name = literal(source.name, Text)
    document = func.concat_ws("/", name, rows.c.id)
    for role, amount in ((source.debit, rows.c.amount), (source.credit, -rows.c.amount)):
        yield select(
            name.label("source"), document.label("document"), rows.c.number, rows.c.day,
            literal(role, Text).label("role"), amount.label("amount"),
        ).where(rows.c.day.between(periods.FIRST_DAY, periods.LAST_DAY), *chosen)  # fmt: skip
