"""The rows that a run found wrong are listed from its page, as many as it reports, despite later verifications."""

from typing import Any

import pytest

from backoffice.orders.models import Order
from backoffice.runs.models import Run
from backoffice.runs.wording import findings_of
from tests.drift.books import rows_of, run_of

pytestmark = pytest.mark.leaves_drift

GRAND_TOTAL = "orders.grand_total"


def test_each_run_lists_what_it_has_found(
    wrong: dict[str, Order], session: Any, surgery: Any, sign_in: Any
) -> None:
    scopes: list[dict[str, Any]] = [
        {},
        {"figures": {GRAND_TOTAL: None}},
        {"figures": {GRAND_TOTAL: [wrong["A-1"].id]}},
        {"figures": {GRAND_TOTAL: [wrong["A-3"].id]}},
        {"figures": {"wallets.balance": None}},
    ]
    runs = [run_of("figures.verify", scope).id for scope in scopes]
    finance = sign_in("finance")
    assert finance.get("/orders/A-1").status_code == 200, "a page has seen it, too"
    surgery.execute("UPDATE orders SET grand_total = 30 WHERE number = 'A-1'")
    runs += [run_of("figures.verify", scope).id for scope in scopes]
    found = {}
    for number in runs:
        run = session.get_one(Run, number)
        listed = rows_of(finance, f"/health/drift?run={number}&state=all")
        found[number] = run.result["found"], len([row for row in listed if len(row) > 1])
    assert {number for number, (said, listed) in found.items() if said != listed} == set(), found
    assert {said for said, _listed in found.values()} == {0, 1, 2}
    assert findings_of(session.get_one(Run, runs[0])) == "drift.index"


def test_a_run_of_what_is_declared_no_more_lists_what_it_saw_last(
    wrong: dict[str, Order], session: Any, sign_in: Any
) -> None:
    run = run_of("figures.verify")
    session.get_one(Run, run.id).scope = {"figures": {"orders.gone": None}}
    session.commit()
    assert len(rows_of(sign_in("finance"), f"/health/drift?run={run.id}")) == 2
