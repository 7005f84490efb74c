"""One amount of the company data stands for a row: for every declared figure, in Python and SQL."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, null, select
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.base.money_columns import is_money
from backoffice.drift.amounts import amounts_of, gross_in_sql, leading_in_sql
from backoffice.figures import Figure, figure, registry
from backoffice.figures.computing.registry import Registry
from backoffice.figures.errors import DeclarationError
from backoffice.orders.models import Order
from tests.depth import examples

CENTS = st.integers(-(10**14), 10**14).map(lambda cents: Decimal(cents).scaleb(-2))

LEADING = {
    "accounts.balance": "balance",
    "accounts.sums": "balance",
    "account_manager_targets.achieved": "achieved",
    "customers.balance": "balance",
    "invoices.amount": "amount",
    "invoices.paid": "paid",
    "meters.balance": "balance",
    "meters.documents": "invoiced",
    "monthly_customer_balances.closing_balance": "closing_balance",
    "order_lines.amount": "amount",
    "orders.components": "total_price",
    "orders.grand_total": "grand_total",
    "transaction_calculations.total_price": "total_price",
    "wallet_transactions.balance": "balance_after",
    "wallets.balance": "balance",
}


def test_every_figure_declares_the_amount_that_stands_for_its_rows() -> None:
    leading = {f.name: f.leading.key for f in registry.figures if f.leading is not None}
    assert leading.items() >= LEADING.items()
    for one in registry.figures:
        assert bool(one.leading is not None) == any(is_money(c) for c in one.columns), one
        assert one.leading is None or is_money(one.leading), f"{one}: a quantity is no money"
        assert set(one.amounts) == {c.key for c in one.columns if is_money(c)}, one
        stated = [other for other in registry.figures if one.leading in other.columns]
        assert one.leading is None or len(stated) == 1, "before, net and after are stated once"


def test_a_figure_of_several_amounts_that_names_none_is_refused() -> None:
    with pytest.raises(DeclarationError, match="say leading=… which of promo, additions"):
        Registry().declare(
            [
                figure(
                    {Order.promo: Order.promo, Order.additions: Order.additions},
                    name="x",
                    title="x",
                )
            ]
        )


@st.composite
def rows(draw: Any) -> tuple[Figure, Mapping[str, str] | None, Mapping[str, str] | None]:
    """A figure with stored and expected values of some of its columns; or without a row on one side."""
    figure = draw(st.sampled_from(sorted(registry.figures, key=lambda figure: figure.name)))
    columns = [column.key for column in figure.columns]
    named = draw(st.lists(st.sampled_from(columns), min_size=1, unique=True))
    missing = draw(st.sampled_from(["", "before", "after"]))
    before, after = ({name: str(draw(CENTS)) for name in named} for _ in range(2))
    return figure, None if missing == "before" else before, None if missing == "after" else after


@settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(row=rows())
def test_amounts_are_those_of_one_column_and_gross_hides_nothing(session: Any, row: Any) -> None:
    figure, before, after = row
    amounts = amounts_of(figure, before, after)
    if not figure.amounts:
        assert amounts is None
        return
    assert amounts is not None
    sides = [
        tuple(Decimal((side or {}).get(name, 0)) for side in (before, after))
        for name in figure.amounts
    ]
    assert amounts.gross == max(abs(one - other) for one, other in sides)
    reported = (amounts.amount_before, amounts.amount_after)
    if not figure.has_net:
        assert (*reported, amounts.amount) == (None, None, None)
    else:
        assert amounts.amount_before + amounts.amount == amounts.amount_after
        assert amounts.gross >= abs(amounts.amount)
        assert reported in sides, "an amount of one column"
        if sides[0][0] != sides[0][1]:
            assert reported == sides[0], "the leading one's"
        else:
            assert bool(amounts.amount) == any(one != other for one, other in sides)
    name = literal(figure.name)
    was, is_now = (null() if side is None else literal(side, JSONB) for side in (before, after))
    every = registry.figures
    asked = select(
        leading_in_sql(every, name, was, is_now), leading_in_sql(every, name, is_now, was),
        gross_in_sql(every, name, was, is_now),
    )  # fmt: skip
    assert tuple(session.execute(asked).one()) == (*reported, amounts.gross)


@pytest.mark.parametrize(
    ("before", "after", "net", "gross"),
    [
        ({"balance": "511.33"}, {"balance": "261.33"}, "-250.00", "250.00"),
        ({"balance": "0.00", "overpayment": "900.00"}, {"balance": "900.00", "overpayment": "0.00"},
         "900.00", "900.00"),
        ({"balance": "1.00", "overpayment": "0.00"}, {"balance": "0.00", "overpayment": "900.00"},
         "-1.00", "900.00"),
        ({"overpayment": "5.00"}, {"overpayment": "7.00"}, "2.00", "2.00"),
        (None, {"balance": "1847.31", "overpayment": "0.00"}, "1847.31", "1847.31"),
    ],
)  # fmt: skip
def test_a_balance_stands_for_its_row(before: Any, after: Any, net: str, gross: str) -> None:
    reported = amounts_of(registry.get("meters.balance"), before, after)
    assert reported is not None
    assert (reported.amount, reported.gross) == (Decimal(net), Decimal(gross))
