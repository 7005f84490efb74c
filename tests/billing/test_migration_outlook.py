"""A migration's dry run lists exactly what its application writes: documents, and every total that follows."""

import random
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from backoffice.app.extensions import db
from backoffice.billing.figures import RECALCULATED, invoice_amount
from backoffice.billing.migration import groups
from backoffice.billing.migration.groups import documents_of
from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.customers.models import Customer
from backoffice.figures import registry
from backoffice.figures.computing.dependencies import lower_bundles
from backoffice.figures.models import Correction
from backoffice.runs.errors import NothingToApply
from backoffice.runs.models import Run, RunItem
from backoffice.runs.queries import found_by
from tests.billing.books_of_meters import (
    DAY,
    a_customer,
    a_payment,
    an_assignment,
    an_invoice,
    applied,
    digest,
    meter_named,
    migrated,
    step,
)
from tests.depth import examples
from tests.drift.every_figure import changes, reported, stored
from tests.factories.billing import MeterFactory

pytestmark = pytest.mark.slow

WRITTEN = {
    "payments", "invoices", "meters", "customers",
    "audit_events", "corrections", "drift_findings", "figure_checks",
}  # fmt: skip
"""The tables that a migration writes, and those of its records."""

TAMPERED = (
    "UPDATE invoices SET amount = amount + 3 WHERE id % 3 = 0 AND units IS NOT NULL",
    "UPDATE meters SET paid = paid + 500 WHERE id % 2 = 0",
    "UPDATE meters SET balance = 7, overpayment = 2 WHERE id % 3 = 0",
    "UPDATE customers SET balance = balance - 40 WHERE id % 2 = 1",
)


def a_book(session: Any, seed: int) -> None:
    """Customers with one, two and no meters, former meters, meters without a customer; documents of every sort."""
    chance = random.Random(seed)
    for n in range(6):
        mine = [f"M-{n}-{m}" for m in range(chance.choice((0, 1, 1, 2)))]
        customer = a_customer(f"C{n}", *mine)
        if chance.random() < 0.5:
            former = MeterFactory(number=f"F-{n}")
            an_assignment(customer, former, is_active=False, assigned_to=DAY)
        for d in range(chance.randint(1, 4)):
            meter = meter_named(chance.choice(mine)) if mine and chance.random() < 0.4 else None
            units = {} if chance.random() < 0.7 else {"units": None, "rate": None, "amount": 90}
            invoice = an_invoice(f"I-{n}-{d}", customer, meter=meter, **units)
            paid = Decimal(chance.choice(("500.00", "0.01", "1500.00", "77.70")))
            named = {"invoice": invoice} if chance.random() < 0.5 else {}
            if meter is not None and named and chance.random() < 0.3:
                named["meter"] = meter
            a_payment(f"P-{n}-{d}", customer, amount=paid, **named)
    session.commit()


def listed(run: Run, *outcomes: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Of a run's items the totals, and the documents with their new meter."""
    db.session.rollback()
    mine = select(RunItem).where(RunItem.run_id == run.id, RunItem.outcome.in_(outcomes))
    items = db.session.scalars(mine).all()
    documents = {}
    for item in items:
        if (kind := documents_of(item.subject)) is not None:
            documents[kind.name, item.owner] = item.after["meter"].removeprefix("№ ")
    return reported(i for i in items if documents_of(i.subject) is None), documents


def meters_now(session: Any) -> dict[Any, Any]:
    session.rollback()
    return {
        (model.__tablename__, id_): number
        for model in (Invoice, Payment)
        for id_, number in session.execute(
            select(model.id, Meter.number).join(Meter, model.meter_id == Meter.id)
        )
    }


def assert_applied_as_listed(
    session: Any, dry: Run, url: str, before: Any, written: set[str] = WRITTEN
) -> int:
    """Apply a dry run over a book with these balances before; returns how many totals moved."""
    tables, totals, meters = before
    assert digest(url) == tables, "a dry run writes nothing"
    moving, placed = listed(dry, "found")
    found = found_by(session, dry.id)
    items = session.scalars(
        select(RunItem).where(RunItem.run_id == dry.id, RunItem.outcome == "found")
    ).all()
    assert found.count == len(items) == dry.changed == len(moving) + len(placed)
    assert found.net == sum(item.amount or 0 for item in items)
    assert found.gross == sum(item.gross or 0 for item in items)
    if not items:
        return 0
    done = applied(dry)
    assert (done.status, done.changed, done.skipped, done.failed) == ("done", len(items), 0, 0)
    assert listed(done, "applied") == (moving, placed)
    assert changes(totals, stored(session)) == moving
    assert meters_now(session).items() - meters.items() == placed.items()
    differences = {table for table, rows in digest(url).items() if rows != tables[table]}
    assert differences <= written
    return len(moving)


def standing(session: Any, url: str) -> Any:
    return digest(url), stored(session), meters_now(session)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_step_lists_the_totals_that_move_with_its_documents_and_writes_just_these(
    session: Any, owner_database_url: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(groups, "PAGE", 3)
    a_book(session, seed)
    before = standing(session, owner_database_url)
    dry = step("payment-meters", dry_run=True)
    assert assert_applied_as_listed(session, dry, owner_database_url, before) > 3
    assert session.scalar(select(func.count()).select_from(Correction)) == 0, "nothing was wrong"
    assert step("payment-meters", dry_run=True).changed == 0


@pytest.mark.leaves_drift
@pytest.mark.parametrize("seed", range(3))
def test_it_lists_what_will_be_written_where_something_is_wrong_already(
    session: Any, owner_database_url: str, surgery: Any, seed: int
) -> None:
    """It corrects none of it, and shows the result."""
    a_book(session, seed)
    for statement in TAMPERED:
        surgery.execute(statement)
    before = standing(session, owner_database_url)
    dry = step("payment-meters", dry_run=True)
    assert assert_applied_as_listed(session, dry, owner_database_url, before) > 3


@pytest.mark.parametrize(("seed", "is_tampered"), [(3, False), (0, True), (5, True)])
def test_all_steps_are_one_list_and_one_application(
    session: Any, owner_database_url: str, surgery: Any, monkeypatch: pytest.MonkeyPatch,
    seed: int, is_tampered: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(groups, "PAGE", 5)
    a_book(session, seed)
    for statement in TAMPERED if is_tampered else ():
        surgery.execute(statement)
    before = standing(session, owner_database_url)
    whole, *steps = migrated(dry_run=True)
    assert whole.kind == "billing.migration"
    assert assert_applied_as_listed(session, whole, owner_database_url, before) > 3
    for one in steps:
        if one.changed:
            with pytest.raises(NothingToApply):
                applied(one)
            session.rollback()
    again = migrated(dry_run=True)
    assert [run.changed for run in again] == [0] * 7, "nothing is left to do"


@pytest.mark.leaves_drift
@pytest.mark.parametrize("is_tampered", [False, True])
@pytest.mark.parametrize("seed", range(10, 10 + examples(3)))
def test_the_dry_run_lists_what_the_six_steps_then_do_on_random_books(
    session: Any, surgery: Any, monkeypatch: pytest.MonkeyPatch, seed: int, is_tampered: bool
) -> None:
    """Every total and document with its new meter, and the reports of the steps that check and add up."""
    monkeypatch.setattr(groups, "PAGE", 4)
    a_book(session, seed)
    for statement in TAMPERED if is_tampered else ():
        surgery.execute(statement)
    totals, meters = stored(session), meters_now(session)
    whole, *dry = migrated(dry_run=True)
    moving, placed = listed(whole, "found")
    done = migrated()
    assert len(moving) > 3
    assert changes(totals, stored(session)) == moving
    assert meters_now(session).items() - meters.items() == placed.items()
    for number in (5,) if is_tampered else (2, 5):  # the third looks before the fourth corrects
        for part in ("left", "passed", "totals", "severities"):
            assert dry[number].result.get(part) == done[number].result.get(part), (number, part)
    assert dry[0].result["left"] == done[0].result["left"]
    assert dry[3].result["meters"] == done[3].result["meters"]
    before_and_after = (dry[4].result["totals"], done[4].result["totals"])
    for name in ("balance", "overpayment"):
        assert len({str(totals[name]["after"]) for totals in before_and_after}) == 1


@pytest.mark.parametrize("is_whole", [False, True])
def test_of_what_changes_together_nothing_is_written_where_anything_has_moved_since(
    session: Any, is_whole: bool
) -> None:
    ada, budi = a_customer("ADA", "M-A"), a_customer("BUDI", "M-B")
    for n, customer in enumerate((ada, budi)):
        an_invoice(f"I-{n}", customer)
        a_payment(f"P-{n}", customer)
    session.commit()
    dry = migrated(dry_run=True)[0] if is_whole else step("payment-meters", dry_run=True)
    a_payment("P-NEW", ada, meter=meter_named("M-A"), amount=Decimal("0.01"))
    session.commit()
    before = stored(session)
    done = applied(dry)
    assert (done.changed, done.skipped, done.failed) == (5, 5, 0)
    moved, left = listed(done, "skipped")
    assert {row[0] for row in moved} == {"meters.documents", "meters.balance", "customers.balance"}
    assert len(left) == 2
    assert changes(before, stored(session)) == listed(done, "applied")[0]
    session.expire_all()
    assert session.get_one(Customer, ada.id).overpayment == Decimal("0.01")
    assert session.get_one(Customer, budi.id).balance == 1000
    why = select(RunItem.error).where(RunItem.run_id == done.id, RunItem.outcome == "skipped")
    assert set(session.scalars(why)) == {
        "It has changed since the dry run, so it was left alone. Make a new dry run."
    }


def test_one_document_that_cannot_be_placed_is_listed_as_such_and_the_rest_as_it_will_be(
    session: Any, owner_database_url: str
) -> None:
    """A payment so large that the meter's sum would not fit."""
    ada = a_customer("A", "M-A")
    a_payment("P-0", ada, meter=meter_named("M-A"), amount=Decimal("9999999999999.00"))
    for number in range(1, 6):
        a_payment(f"P-{number}", ada, amount=Decimal(1000) if number == 4 else Decimal("0.01"))
    session.commit()
    before = standing(session, owner_database_url)
    dry = step("payment-meters", dry_run=True)
    assert (dry.status, dry.failed) == ("finished with failures", 1)
    assert dry.result["failed"]["billing.payment-not-placed"]["rows"] == 1
    assert_applied_as_listed(session, dry, owner_database_url, before)


def test_nothing_that_belongs_to_several_customers_builds_on_what_changes_together() -> None:
    """Else two groups would write one row: extend `groups.of_item` if figures of several customers do."""
    known = set(registry.bundles_of([*RECALCULATED, invoice_amount]))
    for bundle in registry.bundles:
        assert bundle in known or not known.intersection(lower_bundles(registry, bundle))
