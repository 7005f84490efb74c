"""Figures derived from facts in doubt are never healed, in any way, until a user has decided."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.audit.facts import facts_by_table
from backoffice.billing.models import Invoice, Payment
from backoffice.drift.facts import deciding, holding
from backoffice.drift.facts.holding import HELD, Doubts, held
from backoffice.drift.models import ACCEPTED, RESTORED, UNEQUAL, DriftFinding
from backoffice.drift.outside import watch
from backoffice.figures import registry
from backoffice.figures.models import Correction
from backoffice.runs.models import FOUND, SKIPPED, RunItem
from tests.drift.books import an_order, run_of
from tests.drift.forging import forged_now, tell_of_the_book
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, PaymentFactory
from tests.faults import workers

pytestmark = pytest.mark.slow

Command = Callable[..., Any]


@pytest.fixture
def books(kept_book: Any, session: Any, owner_connection: Any) -> tuple[int, int]:
    """Two customers, each with a meter, an invoice of 1,500.00 and a payment of 40.00 towards it; no fact differs."""

    def write() -> None:
        tell_of_the_book(owner_connection)
        for n in (1, 2):
            place = MeterAssignmentFactory()
            invoice = InvoiceFactory(number=f"INV-{n}", customer=place.customer, meter=place.meter)
            PaymentFactory(
                reference=f"PAY-{n}", customer=place.customer, meter=place.meter, invoice=invoice,
                amount=Decimal(40),
            )  # fmt: skip
        session.commit()

    kept_book("two invoices, each paid in part", write)
    first, second = session.scalars(select(Invoice.id).order_by(Invoice.id)).all()
    return first, second


def figures_of(session: Any) -> list[tuple[Any, ...]]:
    """All figures of both customers."""
    session.rollback()
    rows = session.execute(
        text(
            "SELECT i.number, i.paid, m.paid, m.balance, c.balance FROM invoices i"
            " JOIN meters m ON m.id = i.meter_id JOIN customers c ON c.id = i.customer_id ORDER BY 1"
        )
    )
    return [tuple(row) for row in rows]


RIGHT = [
    ("INV-1", Decimal(40), Decimal(40), Decimal(1460), Decimal(1460)),
    ("INV-2", Decimal(40), Decimal(40), Decimal(1460), Decimal(1460)),
]


def findings(session: Any) -> dict[tuple[str, int], DriftFinding]:
    session.rollback()
    is_open = (DriftFinding.healed_at.is_(None), DriftFinding.kind != UNEQUAL)
    rows = session.scalars(select(DriftFinding).where(*is_open))
    return {(finding.figure, finding.owner): finding for finding in rows}


def decide(session: Any, decision: str) -> None:
    [found] = [f for (name, _), f in findings(session).items() if name.startswith("facts:")]
    deciding.decide(session, found.id, decision, "So it was.")
    session.commit()


def test_a_forged_payment_is_the_root_and_nothing_follows_it_until_it_is_accepted(
    session: Any, books: Any, surgery: Any, run_command: Command
) -> None:
    """The case in the issue: verify, heal, verify-chain, accept, heal."""
    run_command("audit", "seal")
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    run_of("figures.verify")
    found = findings(session)
    payment = session.scalar(select(Payment.id).where(Payment.reference == "PAY-1"))
    root = {"figure": "facts:payments", "key": {"id": str(payment)}}
    assert {name for name, _ in found} == {
        "facts:payments", "invoices.paid", "meters.documents", "meters.balance", "customers.balance",
    }  # fmt: skip
    for (name, _), finding in found.items():
        assert finding.roots == [root], name
        assert finding.is_root == name.startswith("facts:")
    done = run_command("figures", "heal", "--reason", "Nightly.")
    assert done.exit_code == 1, done.output
    assert "Decide about that input first" in done.output + done.stderr
    assert figures_of(session) == RIGHT
    assert session.scalars(select(Correction)).all() == []
    assert run_command("audit", "verify-chain").exit_code == 0
    assert run_command("audit", "verify-facts").exit_code == 1
    decide(session, ACCEPTED)
    assert figures_of(session) == RIGHT
    assert run_command("figures", "heal", "--reason", "Accepted.").exit_code == 0
    first = ("INV-1", Decimal(140), Decimal(140), Decimal(1360), Decimal(1360))
    assert figures_of(session) == [first, RIGHT[1]]
    run_of("figures.verify")
    assert findings(session) == {}


def test_after_it_is_restored_nothing_is_left_to_heal(
    session: Any, books: Any, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    run_of("figures.verify", {"fix": True})
    assert figures_of(session) == RIGHT
    decide(session, RESTORED)
    run_of("figures.verify")
    assert findings(session) == {}
    assert figures_of(session) == RIGHT
    assert session.scalars(select(Correction)).all() == []


FORGERIES = {
    "changed": "UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'",
    "removed": "DELETE FROM payments WHERE reference = 'PAY-1'",
    "added": "INSERT INTO payments (reference, customer_id, meter_id, invoice_id, method, paid_on, amount)"
    " SELECT 'PAY-3', customer_id, meter_id, invoice_id, method, paid_on, 60 FROM payments"
    " WHERE reference = 'PAY-1'",
    "moved": "UPDATE payments SET invoice_id = (SELECT max(id) FROM invoices),"
    " meter_id = (SELECT max(id) FROM meters) WHERE reference = 'PAY-1'",
    "voided": "UPDATE payments SET status = 'void' WHERE reference = 'PAY-1'",
    "units": "UPDATE invoices SET units = 99 WHERE number = 'INV-1'",
    "invoice removed": "DELETE FROM invoices WHERE number = 'INV-1'",
    "unassigned": "UPDATE meter_assignments SET is_active = false WHERE id = 1",
    "assigned": "UPDATE meter_assignments SET customer_id = 2 WHERE id = 1",
}
WAYS = {
    "heal": lambda: run_of("figures.heal"),
    "rebuild": lambda: run_of("figures.rebuild"),
    "verify and fix": lambda: run_of("figures.verify", {"fix": True}),
    "function": lambda: figures.heal(db.session(), doubtful=Doubts()),
}


@pytest.mark.leaves_drift
@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_heal_follows_a_forgery(
    forgery: str, way: str, is_marked: bool, session: Any, books: Any, surgery: Any
) -> None:
    if is_marked:
        run_of("audit.facts")
    surgery.execute(FORGERIES[forgery])
    before = figures_of(session)
    session.rollback()
    WAYS[way]()
    assert figures_of(session) == before
    assert session.scalars(select(Correction)).all() == []


ALIKE = (
    "UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'",
    "UPDATE invoices SET paid = 140 WHERE number = 'INV-1'",
    "UPDATE meters SET paid = 140, balance = 1360 WHERE id = (SELECT meter_id FROM invoices WHERE number = 'INV-1')",
    "UPDATE customers SET balance = 7",
)
"""A forgery with everything above it rewritten to match, but for the customers' balances."""


@pytest.mark.leaves_drift
@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("way", [*WAYS, "recalculate"])
def test_whoever_builds_on_what_was_forged_to_match_is_left_alone(
    way: str, is_marked: bool, session: Any, books: Any, surgery: Any
) -> None:
    if is_marked:
        run_of("audit.facts")
    for statement in ALIKE:
        surgery.execute(statement)
    session.rollback()
    (WAYS | {"recalculate": lambda: run_of("billing.recalculate")})[way]()
    (_, *forged), (_, *other) = figures_of(session)
    assert (forged[:3], other[:3]) == ([140, 140, 1360], [40, 40, 1460])
    assert (forged[3], other[3]) == (7, 1460)


@pytest.mark.leaves_drift
def test_others_are_healed_and_what_no_figure_reads_holds_nobody(
    session: Any, books: Any, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    surgery.execute("UPDATE payments SET paid_on = paid_on + 1 WHERE reference = 'PAY-2'")
    surgery.execute("UPDATE invoices SET paid = 7")
    run = run_of("figures.heal")
    assert figures_of(session)[0][1] == 7
    assert figures_of(session)[1] == RIGHT[1]
    skipped = session.scalars(
        select(RunItem).where(RunItem.run_id == run.id, RunItem.outcome == SKIPPED)
    ).all()
    assert {item.error for item in skipped} == {HELD}
    assert "invoices.paid" in {item.subject for item in skipped}
    of_bundles = {(registry.bundle_of(registry.get(i.subject)).name, i.owner) for i in skipped}
    assert run.skipped == len(of_bundles)


@pytest.mark.leaves_drift
def test_a_dry_run_says_who_is_left_alone_and_apply_writes_none_of_it(
    session: Any, books: Any, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    run = run_of("figures.heal", {"figures": {"invoices.paid": None}}, dry_run=True)
    items = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
    assert {(item.outcome, item.error) for item in items} == {(SKIPPED, HELD)}
    surgery.execute("UPDATE payments SET amount = 40 WHERE reference = 'PAY-1'")
    surgery.execute("UPDATE invoices SET paid = 7 WHERE number = 'INV-1'")
    session.rollback()
    run = run_of("figures.heal", {"figures": {"invoices.paid": None}}, dry_run=True, reason="again")
    items = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
    assert {item.outcome for item in items} == {FOUND}


@pytest.mark.leaves_drift
def test_the_watch_leaves_alone_what_another_program_touches_beside_a_forgery(
    session: Any, books: Any, surgery: Any, app_connection: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    app_connection.execute("UPDATE payments SET amount = 50 WHERE reference = 'PAY-2'")
    app_connection.execute("UPDATE payments SET amount = 150 WHERE reference = 'PAY-1'")
    app_connection.execute("UPDATE invoices SET fixed_charge = fixed_charge WHERE number = 'INV-1'")
    watch.look(db.engine)
    reported = figures_of(session)
    assert reported[1][1] == 50
    # It was entered anew, with an event, by a user who saw the forged amount: so it is kept.
    assert reported[0][1] == 150
    assert forged_now(db.engine) == []
    surgery.execute("UPDATE payments SET amount = 160 WHERE reference = 'PAY-1'")
    app_connection.execute("UPDATE invoices SET fixed_charge = 1 WHERE number = 'INV-1'")
    watch.look(db.engine)
    assert figures_of(session)[0][1] == 150
    found = findings(session)
    assert ("invoices.paid", books[0]) in found
    assert any(name == "facts:payments" for name, _ in found)


def test_psql_with_its_triggers_heals_as_ever(
    session: Any, books: Any, app_connection: Any
) -> None:
    app_connection.execute("UPDATE payments SET amount = 50 WHERE reference = 'PAY-1'")
    watch.look(db.engine)
    assert figures_of(session)[0] == (
        "INV-1", Decimal(50), Decimal(50), Decimal(1450), Decimal(1450),
    )  # fmt: skip
    assert set(session.scalars(select(Correction.cause))) == {"bypass"}


@pytest.mark.leaves_drift
def test_a_save_of_our_own_goes_on_and_leaves_the_finding_open(
    session: Any, books: Any, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    run_of("audit.facts")
    PaymentFactory(
        reference="PAY-3", customer=session.get_one(Invoice, books[0]).customer,
        invoice=session.get_one(Invoice, books[0]), meter_id=session.get_one(Invoice, books[0]).meter_id,
        amount=Decimal(1),
    )  # fmt: skip
    session.commit()
    assert run_of("audit.facts").result["found"] == 1
    [found] = [f for (name, _), f in findings(session).items() if name == "facts:payments"]
    assert found.healed_at is None


@pytest.mark.leaves_drift
def test_an_order_is_held_by_its_lines_alone(session: Any, surgery: Any) -> None:
    orders = [an_order("A-1"), an_order("A-2")]
    session.commit()
    first, second = (order.id for order in orders)
    surgery.execute("UPDATE order_lines SET quantity = 9 WHERE order_id = %s", (first,))
    surgery.execute("UPDATE order_lines SET description = 'x' WHERE order_id = %s", (second,))
    bundle = next(b for b in registry.bundles if b.name == "orders")
    with db.engine.connect() as connection:
        assert set(held(connection, bundle, [first, second])) == {first}


@pytest.mark.leaves_drift
def test_the_command_says_so_as_json(
    session: Any, books: Any, surgery: Any, run_command: Command
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    reported = json.loads(run_command("figures", "heal", "--json", "--reason", "x").stdout)
    assert reported["corrections"] == 0
    assert {failure["error"] for failure in reported["failures"]} == {HELD}


def test_of_a_large_table_only_the_rows_in_question_are_read(session: Any, surgery: Any) -> None:
    few, all_of_them = list(range(1, 2_001)), 40_000
    workers.book(surgery, all_of_them)
    surgery.execute("ANALYZE orders, audit_events")
    facts = facts_by_table()["orders"]
    bundle = next(b for b in registry.bundles if b.owner_table is facts.table)
    source = next(s for s in bundle.sources if s.owner is facts.key)
    asked = {
        holding._suspects(facts, source): {"owners": few, "names": [str(n) for n in few]},
        facts.comparison.suspects: {"ids": few},
    }
    for statement, given in asked.items():
        sent, values = statement._compiled_with(session.connection(), given)
        plan = session.connection().exec_driver_sql(f"EXPLAIN {sent}", values).scalars().all()
        assert not [line for line in plan if "Seq Scan on orders" in line], "\n".join(plan)


def test_a_row_older_than_a_column_of_its_table_agrees_at_once(
    books: tuple[int, int], session: Any, surgery: Any
) -> None:
    surgery.execute(
        "UPDATE audit_events SET after = after - 'reference' WHERE table_name = 'payments'"
    )
    facts = facts_by_table()["payments"]
    ids = sorted(session.scalars(select(Payment.id)))
    assert facts.comparison.suspects.run(session.connection(), ids=ids).all() == []
    surgery.execute(
        "UPDATE audit_events SET after = after - 'amount' || '{\"amount\": 41.00}'"
        " WHERE table_name = 'payments'"
    )
    assert facts.comparison.suspects.run(session.connection(), ids=ids).scalars().all() == ids
