"""Every row of every figure is explained by its terms, each once, and found by the name that commands print."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.figures import explain, registry
from backoffice.gas.models import MonthlyCustomerBalance
from tests.drift.every_figure import fill
from tests.drift.whole_book import write_everything

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("make", [fill, lambda _session: write_everything()])
def test_no_term_is_listed_twice(make: Callable[[Any], None], session: Any) -> None:
    make(session)
    session.commit()
    columns = 0
    for figure in registry.figures:
        for key in session.scalars(select(figure.primary_key).limit(12)).all():
            explained = explain(session, figure, key)
            assert explained is not None
            for column in explained.columns:
                named = [(term.label, term.column, term.rows) for term in column.terms]
                assert len(named) == len({str(one) for one in named}), (figure.name, column.column)
                labels = [term.label for term in column.terms if term.rows]
                assert len(labels) == len(set(labels)), (figure.name, column.column, labels)
                columns += 1
    assert columns > 25


def test_a_month_continues_from_the_closing_of_the_last_one(session: Any, sign_in: Any) -> None:
    fill(session)
    figure = registry.get("monthly_customer_balances.closing_balance")
    month = MonthlyCustomerBalance
    [first, *_between, last] = session.scalars(
        select(month).where(month.customer_id == session.scalar(select(month.customer_id).limit(1)))
        .order_by(month.year_month)
    ).all()  # fmt: skip
    before = session.scalars(
        select(month).where(month.customer_id == last.customer_id, month.year_month < last.year_month)
        .order_by(month.year_month.desc()).limit(1)
    ).one()  # fmt: skip
    explained = explain(session, figure, last.id)
    assert explained is not None
    opening, *more = explained.of("opening_balance").terms
    assert (opening.label, opening.value) == ("Closing balance", before.closing_balance)
    assert [row.id for row in opening.rows] == [before.id]
    assert all(term.value == 0 and not term.rows for term in more)
    begun = explain(session, figure, first.id)
    assert begun is not None
    assert sum((Decimal(t.value or 0) for t in begun.of("opening_balance").terms), Decimal(0)) == 0
    page = sign_in("finance").get(f"/gas/months/{last.code}/calculation/opening_balance").text
    assert f'href="/gas/months/{before.code}/calculation/closing_balance"' in page
    assert before.year_month in page


@pytest.mark.parametrize("figure", sorted(figure.name for figure in registry.figures))
def test_a_row_is_explained_by_the_name_that_is_printed(
    figure: str, session: Any, run_command: Callable[..., Any]
) -> None:
    write_everything()
    session.commit()
    key = session.scalars(select(registry.get(figure).primary_key).limit(1)).one()
    by_id = run_command("figures", "explain", figure, str(key)).stdout
    head = by_id.splitlines()[0]
    title, _colon, printed = head.partition(": ")
    name, _bracket, pairs = printed.removesuffix(")").rpartition(" (")
    for text in (printed, pairs if name else printed):
        assert run_command("figures", "explain", figure, text).stdout == by_id, text
    said = run_command("figures", "explain", figure, name or printed)
    assert said.stdout == by_id or "say which by its id" in said.output, name
    assert run_command("figures", "explain", title, str(key)).stdout == by_id, title
