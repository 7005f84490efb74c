"""A report that ties out is shown as in doubt while its figure is in doubt: on its page, in the list, everywhere."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice.drift import figure_status
from backoffice.figures import registry
from backoffice.reconciliation.models import Reconciliation
from tests.drift.books import rows_of, run_of, text_of
from tests.drift.every_figure import fill
from tests.drift.forging import tell_of_the_book

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]

SPEAKS = {
    "a finding": "UPDATE orders SET grand_total = grand_total + 5 WHERE id = 1",
    "a forged fact": "UPDATE orders SET promo = promo + 5, grand_total = grand_total - 5 WHERE id = 1",
}
"""Reason for doubt → the statement, run without triggers after the report was made, that causes it."""


@pytest.mark.leaves_drift
@pytest.mark.parametrize("what", [*SPEAKS, "notes", "nothing"])
def test_no_report_says_that_it_ties_out_of_what_is_in_doubt(
    session: Any, surgery: Outside, owner_connection: Outside, app_connection: Outside, sign_in: Callable[..., Any],
    what: str,
) -> None:  # fmt: skip
    tell_of_the_book(owner_connection)
    fill(session)
    run_of("reconciliation.nightly")
    if what in SPEAKS:
        surgery.execute(SPEAKS[what].encode())
        run_of("figures.verify")
        run_of("audit.facts")
    if what == "notes":
        app_connection.execute(b"UPDATE order_lines SET quantity = quantity + 1 WHERE id = 1")
    session.rollback()
    names = figure_status.doubted(session)
    is_doubted = what != "nothing"
    assert ("orders.grand_total" in names) == is_doubted
    assert "account_manager_targets.achieved" in names or not is_doubted, "it is made of them"
    assert names <= {figure.name for figure in registry.figures}
    assert "customers.balance" not in names
    client = sign_in("finance")
    number = session.scalar(
        select(Reconciliation.id).where(Reconciliation.figure == "orders.grand_total")
    )
    [row] = rows_of(client, "/reconciliation/kept?figure=orders.grand_total")
    page = text_of(client.get(f"/reconciliation/kept/{number}").text)
    overview = " ".join(" ".join(cells) for cells in rows_of(client, "/reconciliation"))
    for reported in (" ".join(row), page, overview):
        assert ("In doubt" in reported) == is_doubted
    assert ("Ties out" in page) != is_doubted
    said = client.get(
        "/reconciliation/kept/export.csv?figure=orders.grand_total"
    ).text.splitlines()[1]
    assert ("In doubt" in said, "Ties out" in said) == (is_doubted, not is_doubted)
    only = text_of(client.get("/reconciliation/kept?state=right&figure=orders.grand_total").text)
    assert ("1 report" in only) != is_doubted
