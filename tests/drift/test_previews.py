"""What is applied is exactly what was listed: every row, to the last unit, including figures above the scope."""

import random
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice.app.extensions import db
from backoffice.drift.healing.performing import performed
from backoffice.drift.verification.scope import scope_of
from backoffice.figures import registry
from backoffice.figures.models import Correction
from backoffice.runs import actions
from backoffice.runs.actions import Limits
from backoffice.runs.models import Run, RunItem
from backoffice.runs.queries import found_by
from tests.depth import examples
from tests.drift.books import an_order, run_of
from tests.drift.every_figure import changes, fill, reported, stored, tamper
from tests.factories.people import AccountManagerFactory
from tests.surgery import tell_of_everything

pytestmark = pytest.mark.slow

NO_LIMIT = Limits(10**9, Decimal(10**15))
Outside = psycopg.Connection[Any]


def items_of(run: Run, *outcomes: str) -> list[RunItem]:
    mine = select(RunItem).where(RunItem.run_id == run.id, RunItem.outcome.in_(outcomes))
    return list(db.session.scalars(mine.order_by(RunItem.id)))


def applied(dry: Run) -> Run:
    asked = actions.apply(db.session(), dry.id, reason="as listed", limits=NO_LIMIT)
    db.session.commit()
    return performed(db.engine, asked.id).run


def assert_applied_as_listed(session: Any, scope: Any, kind: str) -> int:
    """Perform a dry run of the scope and apply it; returns how many rows there were."""
    before = stored(session)
    dry = run_of(kind, scope, dry_run=True)
    assert stored(session) == before, "a dry run writes no figure"
    listed = items_of(dry, "found")
    found = found_by(session, dry.id)
    assert (found.count, found.net, found.gross) == (
        len(listed), sum(i.amount or 0 for i in listed), sum(i.gross or 0 for i in listed),
    )  # fmt: skip
    if not listed:
        return 0
    asked = applied(dry)
    assert (asked.status, asked.skipped, asked.failed) == ("done", 0, 0)
    after = stored(session)
    assert changes(before, after) == reported(listed)
    assert reported(items_of(asked, "applied")) == reported(listed)
    made = session.scalars(select(Correction).where(Correction.run_id == asked.id)).all()
    assert len(made) == len(listed) == asked.result["applied"]
    again = run_of(kind, scope, dry_run=True)
    assert items_of(again, "found") == [], "nothing of it is left, in the scope or above it"
    return len(listed)


def scopes(session: Any) -> list[Any]:
    """Everything; every figure over all its owners; every figure of each single owner."""
    single = [
        scope_of([figure], [owner])
        for figure in registry.figures
        for owner in session.scalars(select(registry.bundle_of(figure).owner_key)).all()
    ]
    return [{}, *(scope_of([figure]) for figure in registry.figures), *single]


@pytest.mark.parametrize("seed", range(examples(2)))
def test_apply_writes_exactly_what_the_dry_run_lists_whatever_the_scope(
    session: Any, surgery: Outside, seed: int
) -> None:
    fill(session)
    chance = random.Random(seed)
    every = scopes(session)
    whole, single = every[: 1 + len(registry.figures)], every[1 + len(registry.figures) :]
    chosen = [*chance.sample(whole, 3), *chance.sample(single, 12)]
    count = 0
    for scope in chosen:
        tamper(surgery, chance, 8)
        surgery.execute("DELETE FROM audit_events")  # as if all had been entered just now
        tell_of_everything(surgery)
        kind = chance.choice(("figures.heal", "figures.rebuild"))
        count += assert_applied_as_listed(session, scope, kind)
    assert count > 10
    run_of("figures.heal", reason="Wallets whose balances do not follow from each other too")


def test_what_is_right_only_because_it_follows_something_wrong_is_listed_as_it_will_be(
    session: Any, surgery: Outside
) -> None:
    """A line was tampered with, and everything above it was recomputed afterwards."""
    order = an_order("A-1", account_manager=AccountManagerFactory(), closing_date="2026-03-01")
    session.commit()
    for statement in (
        "UPDATE order_lines SET amount = 100",
        "UPDATE orders SET total_price = 100, grand_total = 100",
        "UPDATE account_manager_targets SET achieved = 100",
    ):
        surgery.execute(statement.encode())
    dry = run_of(
        "figures.heal", scope_of([registry.get("orders.grand_total")], [order.id]), dry_run=True
    )
    listed = {item.subject: (item.before, item.after) for item in items_of(dry, "found")}
    assert listed == {
        "order_lines.amount": ({"amount": "100.00"}, {"amount": "30.00"}),
        "orders.components": ({"total_price": "100.00"}, {"total_price": "30.00"}),
        "orders.grand_total": ({"grand_total": "100.00"}, {"grand_total": "30.00"}),
        "account_manager_targets.achieved": ({"achieved": "100.00"}, {"achieved": "30.00"}),
    }
    found = found_by(session, dry.id)
    assert (found.count, found.net, found.gross) == (4, -280, 280), "approval counts the month too"
    assert applied(dry).result["applied"] == 4


def test_a_row_above_that_moved_meanwhile_is_left_and_said_so(
    session: Any, surgery: Outside
) -> None:
    order = an_order("A-1", account_manager=AccountManagerFactory(), closing_date="2026-03-01")
    session.commit()
    surgery.execute(b"UPDATE orders SET grand_total = 100")
    surgery.execute(b"UPDATE account_manager_targets SET achieved = 100")
    dry = run_of(
        "figures.heal", scope_of([registry.get("orders.grand_total")], [order.id]), dry_run=True
    )
    surgery.execute(b"UPDATE account_manager_targets SET achieved = 7")
    done = applied(dry)
    assert (done.result["applied"], done.result["moved"]) == (1, 1)
    [left] = items_of(done, "skipped")
    assert (left.subject, left.amount) == ("account_manager_targets.achieved", -70)
    assert session.scalar(select(func.count()).select_from(Correction)) == 1
    run_of("figures.heal")
