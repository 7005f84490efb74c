"""Differences are signed, per column, and add up: in Python and in PostgreSQL, for every declared figure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, null, select
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.drift.amounts import amounts_of, by_column, gross_in_sql, money_columns, sum_in_sql
from backoffice.figures import Figure, registry
from tests.depth import examples

CENTS = st.integers(-(10**14), 10**14).map(lambda cents: Decimal(cents).scaleb(-2))


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
def test_before_and_net_make_after_and_gross_hides_nothing(session: Any, row: Any) -> None:
    figure, before, after = row
    apart, amounts = by_column(figure, before, after), amounts_of(figure, before, after)
    if not money_columns(figure):
        assert (apart, amounts) == ({}, None)
        return
    assert amounts is not None
    for column, difference in apart.items():
        stood, stands = (Decimal((side or {}).get(column, 0)) for side in (before, after))
        assert stood + difference == stands
    assert amounts.amount_before + amounts.amount == amounts.amount_after
    assert amounts.amount == sum(apart.values())
    assert amounts.gross == sum(map(abs, apart.values())) >= abs(amounts.amount)
    name = literal(figure.name)
    sides = [null() if side is None else literal(side, JSONB) for side in (before, after)]
    sums = [sum_in_sql(registry.figures, name, side) for side in sides]
    reported = session.execute(select(*sums, gross_in_sql(registry.figures, name, *sides))).one()
    assert tuple(reported) == (amounts.amount_before, amounts.amount_after, amounts.gross)


@pytest.mark.parametrize(
    ("before", "after", "net", "gross"),
    [
        ({"balance": "511.33"}, {"balance": "261.33"}, "-250.00", "250.00"),
        ({"balance": "0.00", "overpayment": "900.00"}, {"balance": "900.00", "overpayment": "0.00"},
         "0.00", "1800.00"),
        (None, {"balance": "1847.31", "overpayment": "0.00"}, "1847.31", "1847.31"),
    ],
)  # fmt: skip
def test_what_was_shown_with_the_wrong_sign(before: Any, after: Any, net: str, gross: str) -> None:
    reported = amounts_of(registry.get("meters.balance"), before, after)
    assert reported is not None
    assert (reported.amount, reported.gross) == (Decimal(net), Decimal(gross))
