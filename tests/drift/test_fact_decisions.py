"""A person decides about a fact that differs from the trail: it is accepted or restored, and an event records it."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from backoffice.app.extensions import db
from backoffice.audit.facts import facts_by_table
from backoffice.audit.models import AuditEvent
from backoffice.billing.models import Payment
from backoffice.drift.facts import deciding
from backoffice.drift.facts.findings import settle
from backoffice.drift.facts.models import FactDecision
from backoffice.drift.facts.refusals import (
    DifferentByNow,
    NoSuchFinding,
    NotPermitted,
    OthersBelong,
    ReferredTo,
    WithoutReason,
)
from backoffice.drift.models import ACCEPTED, RESTORED, DriftFinding
from backoffice.figures import acting_as, registry
from backoffice.web.idempotency import new_key
from tests.drift.books import run_of, text_of
from tests.drift.forging import a_row_of_every_table, forged_now, other_values, tell_of_the_book
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory

pytestmark = pytest.mark.slow

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def reported(session: Any, owner_connection: Any) -> None:
    """No fact differs when a test begins."""
    tell_of_the_book(owner_connection)


@pytest.fixture
def receipt(session: Any) -> int:
    """A payment of 40.00 towards an invoice of 1,500.00."""
    place = MeterAssignmentFactory()
    invoice = InvoiceFactory(number="INV-1", customer=place.customer, meter=place.meter)
    payment = PaymentFactory(
        reference="PAY-1", customer=place.customer, meter=place.meter, invoice=invoice,
        amount=Decimal(40),
    )  # fmt: skip
    session.commit()
    return int(payment.id)


def finding(session: Any) -> int:
    """The one open finding of a fact, after a verification."""
    run_of("audit.facts")
    session.rollback()
    of_facts = DriftFinding.figure.startswith("facts:"), DriftFinding.healed_at.is_(None)
    return int(session.scalars(select(DriftFinding.id).where(*of_facts)).one())


def decided(session: Any, decision: str, reason: str = "It was so on paper.") -> FactDecision:
    number = finding(session)
    with acting_as("user:7"):
        made = deciding.decide(session, number, decision, reason)
        session.commit()
    return made


def last_event(session: Any, table: str) -> AuditEvent:
    mine = select(AuditEvent).where(AuditEvent.table_name == table)
    found: AuditEvent = session.scalars(mine.order_by(AuditEvent.id.desc()).limit(1)).one()
    return found


def paid(session: Any) -> Decimal:
    session.rollback()
    total: Decimal = session.scalar(text("SELECT paid FROM invoices"))
    return total


def test_an_accepted_fact_enters_the_trail_as_an_event_and_totals_may_follow(
    session: Any, receipt: int, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    made = decided(session, ACCEPTED)
    event = last_event(session, "payments")
    assert (event.action, event.actor, event.row_id) == ("UPDATE", "user:7", str(receipt))
    assert (event.before, event.after) == ({"amount": "40.00"}, {"amount": "140.00"})
    assert (made.decided_by, made.stored, made.trail) == (
        "user:7", {"amount": "140.00"}, {"amount": "40.00"},
    )  # fmt: skip
    closed = session.get_one(DriftFinding, made.finding_id)
    assert (closed.healed_by, closed.healed_at is not None) == ("accepted", True)
    assert forged_now(db.engine) == []
    assert paid(session) == 40
    run_of("figures.heal")
    assert paid(session) == 140


def test_a_restored_fact_is_written_through_the_triggers_and_nothing_is_left_to_heal(
    session: Any, receipt: int, surgery: Any
) -> None:
    version = session.get_one(Payment, receipt).version
    surgery.execute("UPDATE payments SET amount = 140, paid_on = paid_on + 1")
    decided(session, RESTORED)
    event = last_event(session, "payments")
    assert (event.action, event.actor) == ("UPDATE", "user:7")
    assert event.before == {"amount": "140.00", "paid_on": "2026-03-16"}
    assert event.after == {"amount": "40.00", "paid_on": "2026-03-15"}
    assert session.get_one(Payment, receipt).version == version + 1
    assert paid(session) == 40
    assert forged_now(db.engine) == []
    assert run_of("figures.heal").changed == 0


@pytest.mark.parametrize("decision", [ACCEPTED, RESTORED])
def test_a_row_that_was_removed(decision: str, session: Any, receipt: int, surgery: Any) -> None:
    surgery.execute("DELETE FROM payments")
    decided(session, decision)
    event = last_event(session, "payments")
    assert event.actor == "user:7"
    assert event.action == ("DELETE" if decision == ACCEPTED else "INSERT")
    assert forged_now(db.engine) == []
    rows = session.execute(text("SELECT id, amount FROM payments")).all()
    assert [tuple(row) for row in rows] == ([] if decision == ACCEPTED else [(receipt, 40)])
    changed = run_of("figures.heal").changed
    assert bool(changed) == (decision == ACCEPTED)
    assert paid(session) == (0 if decision == ACCEPTED else 40)


@pytest.mark.parametrize("decision", [ACCEPTED, RESTORED])
def test_a_row_that_was_added(decision: str, session: Any, receipt: int, surgery: Any) -> None:
    surgery.execute(
        "INSERT INTO payments (reference, customer_id, meter_id, invoice_id, method, paid_on, amount)"
        " SELECT 'FORGED', customer_id, meter_id, invoice_id, method, paid_on, 60 FROM payments"
    )
    decided(session, decision)
    event = last_event(session, "payments")
    assert (event.actor, event.action) == ("user:7", "INSERT" if decision == ACCEPTED else "DELETE")
    assert forged_now(db.engine) == []
    run_of("figures.heal")
    assert paid(session) == (100 if decision == ACCEPTED else 40)


def test_every_column_of_every_table_can_be_accepted_and_restored(
    session: Any, surgery: Any
) -> None:
    """Where the table's own constraints allow the forged value at all."""
    done = 0
    ids = a_row_of_every_table()
    kept = ("book", "fact_decisions", "wallet_transactions", "journal_entries", "journal_lines")
    for table in kept:  # the app may not change these, or not once they are posted
        del ids[table]
    for table, row_id in ids.items():
        facts = facts_by_table()[table]
        for column in facts.columns:
            value = other_values(column)[:1]
            try:
                for other in value:
                    surgery.execute(
                        f"UPDATE {table} SET {column.key} = {other} WHERE id = {row_id}"
                    )
            except psycopg.errors.IntegrityError:
                continue
            found = settle(session.connection(), facts, [row_id])
            if found:
                session.commit()
                [number] = session.scalars(
                    select(DriftFinding.id).where(DriftFinding.healed_at.is_(None))
                )
                # A row with a dangling reference could be accepted; the next save of it would be refused.
                with acting_as("user:7"):
                    decision = ACCEPTED if done % 3 == 1 and not column.foreign_keys else RESTORED
                    deciding.decide(session, number, decision, "Tried.")
                    session.commit()
                done += 1
            assert facts.forged(session.connection(), [row_id]) == [], (table, column.key)
            session.rollback()
    assert done > 60
    run_of("figures.heal")


def test_what_the_database_keeps_from_being_restored_is_said(
    session: Any, receipt: int, surgery: Any
) -> None:
    surgery.execute("DELETE FROM payments")
    surgery.execute("DELETE FROM customers WHERE id = (SELECT min(id) FROM customers)")
    run_of("audit.facts")
    session.rollback()
    [lost] = session.scalars(select(DriftFinding.id).where(DriftFinding.figure == "facts:payments"))
    with pytest.raises(ReferredTo):
        deciding.decide(session, lost, RESTORED, "Back.")
    session.rollback()
    [customer] = session.scalars(
        select(DriftFinding.id).where(DriftFinding.figure == "facts:customers")
    )
    for number in (customer, lost):
        deciding.decide(session, number, RESTORED, "Back.")
        session.commit()
    assert forged_now(db.engine) == []
    assert run_of("figures.heal").changed == 0


def test_rows_that_belong_to_an_added_one_do_not_go_with_it_unseen(
    session: Any, surgery: Any
) -> None:
    OrderFactory(lines=[("package", "Tofu", "3", "10")])
    session.commit()
    surgery.execute("DELETE FROM audit_events WHERE table_name = 'orders'")
    number = finding(session)
    with pytest.raises(OthersBelong):
        deciding.decide(session, number, RESTORED, "Away.")
    session.rollback()
    decided(session, ACCEPTED)
    assert forged_now(db.engine) == []


def test_nobody_decides_about_what_has_changed_since_or_without_a_reason(
    session: Any, receipt: int, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    number = finding(session)
    seen = deciding.stamp({"amount": "140.00"}, {"amount": "40.00"})
    with pytest.raises(WithoutReason):
        deciding.decide(session, number, ACCEPTED, "  ")
    session.rollback()
    surgery.execute("UPDATE payments SET amount = 150")
    with pytest.raises(DifferentByNow):
        deciding.decide(session, number, ACCEPTED, "Yes.", seen=seen)
    session.rollback()
    surgery.execute("UPDATE payments SET amount = 40")
    with pytest.raises(DifferentByNow):
        deciding.decide(session, number, ACCEPTED, "Yes.")
    with pytest.raises(NoSuchFinding):
        deciding.decide(session, number + 1, ACCEPTED, "Yes.")


def test_the_trail_states_only_what_a_row_holds_and_only_for_whoever_may_write_it(
    session: Any, receipt: int, app_connection: Any, owner_connection: Any
) -> None:
    call = "SELECT audit_accept(%s, %s, %s, %s)"
    app_connection.execute(call, ("payments", receipt, ["amount"], '{"amount": 1}'))
    assert last_event(session, "payments").after == {"amount": "40.00"}
    with pytest.raises(psycopg.errors.UndefinedObject):
        app_connection.execute(call, ("web_sessions", 1, ["user_id"], None))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(call, ("audit_events", 1, ["actor"], None))
    with pytest.raises(psycopg.errors.UndefinedTable):
        app_connection.execute(call, ("payments; DROP TABLE payments", 1, ["id"], None))


def test_decisions_are_append_only_and_audited(
    session: Any, receipt: int, surgery: Any, app_connection: Any, owner_connection: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    decided(session, RESTORED, "The bank says so.")
    event = last_event(session, "fact_decisions")
    assert (event.action, event.after["reason"]) == ("INSERT", "The bank says so.")
    for connection in (app_connection, owner_connection):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE fact_decisions SET reason = 'other'")


def test_about_what_only_the_owner_writes_the_app_cannot_decide(session: Any, surgery: Any) -> None:
    surgery.execute("UPDATE book SET reason = reason || '!'")
    number = finding(session)
    for decision in (ACCEPTED, RESTORED):
        with pytest.raises(NotPermitted):
            deciding.decide(session, number, decision, "So.")
        session.rollback()
    surgery.execute("UPDATE book SET reason = left(reason, -1)")


# The screen


@pytest.mark.leaves_drift
def test_the_screen_shows_both_values_and_takes_a_decision_once(
    session: Any, receipt: int, surgery: Any, sign_in: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    number = finding(session)
    finance = sign_in("finance")
    page = finance.get(f"/health/drift/{number}")
    assert page.status_code == 200
    reported = text_of(page.text)
    for words in (
        "40.00",
        "140.00",
        "PAY-1",
        "Changed past the audit trail",
        "Accept the row as it is",
    ):
        assert words in reported
    assert "Preview the correction" not in reported
    assert f"restore-fact {number}" in reported
    assert finance.get(f"/health/drift/{number}/restore").status_code == 404
    asked = finance.get(f"/health/drift/{number}/accept")
    assert (asked.status_code, asked.location) == (303, f"/health/drift/{number}")
    form = {
        "idempotency_key": new_key(), "reason": "The customer paid in two parts.",
        "seen": deciding.stamp({"amount": "140.00"}, {"amount": "40.00"}),
    }  # fmt: skip
    refused = finance.post(f"/health/drift/{number}/accept", data={**form, "reason": " "})
    assert refused.status_code == 422
    assert "Say why. The reason is kept with the decision." in text_of(refused.text)
    assert "140.00" in text_of(refused.text)
    assert session.scalars(select(FactDecision)).all() == []
    for _ in range(2):
        done = finance.post(f"/health/drift/{number}/accept", data=form)
        assert done.status_code == 303
    assert len(session.scalars(select(FactDecision)).all()) == 1
    reported = text_of(finance.get(f"/health/drift/{number}").text)
    assert "The customer paid in two parts." in reported
    assert "Accept the row as it is" not in reported
    history = text_of(finance.get("/billing/payments/PAY-1").text)
    assert "140.00" in history
    other = {**form, "idempotency_key": "another"}
    assert finance.post(f"/health/drift/{number}/accept", data=other).status_code == 409


@pytest.mark.leaves_drift
def test_who_may_only_look_decides_nothing(
    session: Any, receipt: int, surgery: Any, sign_in: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    number = finding(session)
    viewer = sign_in("viewer")
    assert "Accept the row as it is" not in viewer.get(f"/health/drift/{number}").text
    assert viewer.get(f"/health/drift/{number}/accept").status_code == 403
    assert viewer.post(f"/health/drift/{number}/accept", data={}).status_code == 403


@pytest.mark.leaves_drift
def test_the_list_counts_facts_and_previews_none_of_them(
    session: Any, receipt: int, surgery: Any, sign_in: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    number = finding(session)
    finance = sign_in("finance")
    page = finance.get("/health/drift")
    assert "PAY-1" in text_of(page.text)
    assert "Payment" in text_of(page.text)
    assert finance.get("/health/drift?figure=facts:payments&cause=forged").status_code == 200
    assert "PAY-1" in finance.get("/health/drift/export.csv").text
    posted = {"id": str(number), "idempotency_key": "k1"}
    answer = finance.post("/health/drift/preview", data=posted, follow_redirects=True)
    assert "About facts you decide one by one" in answer.text


# The commands


def test_the_commands_decide_and_a_dry_run_changes_nothing(
    session: Any, receipt: int, surgery: Any, run_command: Command
) -> None:
    surgery.execute("UPDATE payments SET amount = 140")
    surgery.execute("UPDATE meters SET paid = paid + 100")  # the totals have been recomputed
    number = str(finding(session))
    tried = run_command("audit", "restore-fact", number, "--dry-run", "--json")
    assert tried.exit_code == 0, tried.output
    reported = json.loads(tried.stdout)
    assert reported["trail"] == {"amount": "40.00"}
    session.rollback()
    assert session.scalars(select(FactDecision)).all() == []
    assert session.scalar(text("SELECT amount FROM payments")) == 140
    session.rollback()
    assert run_command("audit", "restore-fact", number).exit_code == 2
    done = run_command("audit", "restore-fact", number, "--reason", "The bank says so.")
    assert done.exit_code == 0, done.output
    assert forged_now(db.engine) == []
    assert run_command("audit", "verify-facts").exit_code == 0
    assert reported["totals"]["rows"] == len(reported["totals"]["items"]) > 0
    for item in reported["totals"]["items"]:
        [figure] = [f for f in registry.figures if f.name == item["subject"]]
        mine = select(*figure.columns).where(figure.owner == item["owner"])
        [now] = session.execute(mine).mappings()
        assert {name: str(now[name]) for name in item["after"]} == item["after"]
    again = run_command("audit", "accept-fact", number, "--reason", "No.")
    assert again.exit_code == 2
    assert "decide" in again.output


def test_a_forged_customer_is_restored_with_letters_of_any_kind(session: Any, surgery: Any) -> None:
    CustomerFactory(name='Ünïcode "quoted" \\ 100%\n客户', city="")
    session.commit()
    surgery.execute("UPDATE customers SET name = 'x', city = 'y'")
    decided(session, RESTORED)
    assert session.scalar(text("SELECT name FROM customers")) == 'Ünïcode "quoted" \\ 100%\n客户'
