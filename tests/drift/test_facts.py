"""Facts compared with the audit trail: whatever is written without triggers is found, and nothing else is."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from random import Random
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from backoffice.app.extensions import db
from backoffice.audit.facts import ADDED, CHANGED, REMOVED, facts_by_table, last_event
from backoffice.drift.models import UNEQUAL, DriftFinding, FigureCheck
from backoffice.figures import registry
from backoffice.targets.models import AccountManagerTarget
from tests.drift.books import run_of
from tests.drift.forging import (
    Forger,
    a_forger,
    a_row_of_every_table,
    everything_forged,
    forged_now,
    other_values,
    tell_of_the_book,
)
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory, OrderLineFactory
from tests.factories.people import AccountManagerFactory

pytestmark = pytest.mark.slow

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def reported(session: Any, owner_connection: Any) -> None:
    """No fact differs when a test begins."""
    tell_of_the_book(owner_connection)


@pytest.fixture
def rows(session: Any) -> dict[str, int]:
    return a_row_of_every_table()


@pytest.fixture
def forger(rows: dict[str, int], admin_database_url: str) -> Iterator[Forger]:
    with a_forger(admin_database_url) as forger:
        yield forger


def test_a_row_of_every_audited_table_is_as_the_trail_says(
    rows: dict[str, int], session: Any
) -> None:
    assert set(rows) == set(facts_by_table())
    assert everything_forged(session.connection()) == []


def test_every_column_of_every_audited_table_is_compared_and_named_with_both_values(
    rows: dict[str, int], forger: Forger
) -> None:
    tried = 0
    for table, row_id in rows.items():
        for column in facts_by_table()[table].columns:
            before = value_of(forger, table, column.key, row_id)
            for value in other_values(column):
                with forger.undone():
                    if column in facts_by_table()[table].comparison.audited.entered:
                        now = forger.do(
                            f"SELECT count(*) FROM {table} WHERE id = :id AND {column.key} <> 0", id=row_id
                        ).scalar_one()  # fmt: skip
                        assert now, f"{table}.{column.key} is not entered in the book"
                    forger.do(
                        f"UPDATE {table} SET {column.key} = {value} WHERE id = :id", id=row_id
                    )
                    after = value_of(forger, table, column.key, row_id)
                    if after == before:
                        continue
                    [found] = forger.forged(table, row_id)
                    assert found.kind == CHANGED, (table, column.key)
                    assert (found.row, found.trail) == ({column.key: after}, {column.key: before})
                    tried += 1
    assert tried > 150


def value_of(forger: Forger, table: str, column: str, row_id: int) -> Any:
    """A value in the form of findings: numbers with decimals as texts."""
    value = forger.do(
        f"SELECT coalesce(to_jsonb({column}), 'null')::text FROM {table} WHERE id = :id", id=row_id
    ).scalar_one()  # fmt: skip
    return json.loads(value, parse_float=str)


def test_a_row_that_was_added_and_one_that_was_removed_are_found_in_every_table(
    rows: dict[str, int], forger: Forger
) -> None:
    for table, row_id in rows.items():
        facts = facts_by_table()[table]
        with forger.undone():
            forger.do(f"DELETE FROM {table} WHERE id = :id", id=row_id)
            assert row_id in facts.gone(forger.connection, 0, last_event(forger.connection))
            [found] = forger.forged(table, row_id)
            assert (found.kind, found.row, found.trail["id"]) == (REMOVED, {}, row_id)
        with forger.undone():
            columns = [c.key for c in facts.table.columns if c.key != "id" and c.computed is None]
            names = ", ".join(columns)
            for index in forger.do(
                "SELECT indexrelid::regclass::text FROM pg_index"
                f" WHERE indrelid = '{table}'::regclass AND indisunique AND NOT indisprimary"
            ).scalars():  # a copy of a row has its id, too
                forger.do(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {index}")
                forger.do(f"DROP INDEX IF EXISTS {index}")
            copied = forger.do(
                f"INSERT INTO {table} (id, {names}) OVERRIDING SYSTEM VALUE"
                f" SELECT id + 5000, {names} FROM {table} WHERE id = :id RETURNING id",
                id=row_id,
            ).scalar_one()
            [found] = forger.forged(table, copied)
            assert (found.kind, found.trail, found.row["id"]) == (ADDED, {}, copied)
        with forger.undone():
            forger.do(f"UPDATE {table} SET id = id + 5000 WHERE id = :id", id=row_id)
            kinds = [f.kind for f in forger.forged(table, row_id, row_id + 5000)]
            assert kinds == [REMOVED, ADDED]


def test_secrets_show_nothing_but_that_they_are_there(rows: dict[str, int], forger: Forger) -> None:
    forger.do("DELETE FROM audit_events WHERE table_name = 'api_tokens'")
    [found] = forger.forged("api_tokens", rows["api_tokens"])
    assert (found.kind, found.row["token_hash"]) == (ADDED, "changed")
    assert "x" * 64 not in str(found)


def test_a_row_that_is_older_than_a_column_is_not_compared_in_it(
    rows: dict[str, int], forger: Forger
) -> None:
    forger.do("UPDATE audit_events SET after = after - 'city' WHERE table_name = 'customers'")
    forger.do("UPDATE customers SET city = 'Bandung'")
    forger.do(
        """UPDATE audit_events SET after = after || '{"dropped_later": 1}' WHERE table_name = 'customers'"""
    )
    assert forger.forged("customers", rows["customers"]) == []


def test_an_amount_is_compared_only_while_it_is_entered(session: Any) -> None:
    """An invoice's amount is a figure once it has units, and a fact again without them."""
    invoice = InvoiceFactory(units=None, rate=None, amount=Decimal(70), fixed_charge=0)
    session.commit()
    invoice.units, invoice.rate = Decimal(2), Decimal(100)
    session.commit()
    assert everything_forged(session.connection()) == []
    invoice.units, invoice.rate, invoice.amount = None, None, Decimal(80)
    session.commit()
    assert everything_forged(session.connection()) == []


def test_a_component_that_is_itemised_and_entered_again_gives_no_alarm(session: Any) -> None:
    order = OrderFactory(total_price=100)
    session.commit()
    line = OrderLineFactory(order=order)
    session.commit()
    assert everything_forged(session.connection()) == []
    session.delete(line)
    order.itemised, order.total_price = [], Decimal(55)
    session.commit()
    assert everything_forged(session.connection()) == []


def test_derived_months_come_and_go_without_an_alarm(session: Any, surgery: Any) -> None:
    """A month's row is derived until it has a target; the target may be set and removed, and the row deleted."""
    manager = AccountManagerFactory()
    order = OrderFactory(account_manager=manager, closing_date=date(2026, 3, 9))
    session.commit()
    month = session.scalars(select(AccountManagerTarget)).one()
    assert everything_forged(session.connection()) == []
    month.target = Decimal(500)
    session.commit()
    assert everything_forged(session.connection()) == []
    surgery.execute("UPDATE account_manager_targets SET target = 900")
    [found] = everything_forged(session.connection())
    assert (found.row, found.trail) == ({"target": "900.00"}, {"target": "500.00"})
    surgery.execute("UPDATE account_manager_targets SET target = NULL")
    [found] = everything_forged(session.connection())
    assert (found.kind, found.row, found.trail) == (CHANGED, {"target": None}, {"target": "500.00"})
    surgery.execute("UPDATE account_manager_targets SET target = 500")
    session.expire_all()
    month.target = None
    session.commit()
    order.closing_date = None
    session.commit()
    assert session.scalars(select(AccountManagerTarget)).all() == []
    assert everything_forged(session.connection()) == []


def test_deletes_truncates_and_moved_keys_with_events_give_no_alarm(
    session: Any, app_connection: Any, owner_connection: Any
) -> None:
    order = OrderFactory(lines=[("package", "Tofu", "3", "10"), ("promo", "Spring", "1", "5")])
    CustomerFactory.create_batch(3)
    session.commit()
    session.delete(order)
    session.commit()
    app_connection.execute(
        "UPDATE customers SET id = id + 1000 WHERE code IN (SELECT max(code) FROM customers)"
    )
    assert everything_forged(session.connection()) == []
    session.rollback()
    owner_connection.execute("TRUNCATE customers CASCADE")
    session.rollback()
    assert everything_forged(session.connection()) == []
    CustomerFactory()
    session.commit()
    assert everything_forged(session.connection()) == []


def test_psql_as_the_apps_role_leaves_events_and_is_no_forgery(
    session: Any, rows: dict[str, int], app_connection: Any
) -> None:
    app_connection.execute("UPDATE payments SET amount = 44")
    app_connection.execute("SET timezone = 'America/New_York'")
    app_connection.execute("UPDATE payments SET created_at = created_at - interval '1 hour'")
    assert everything_forged(session.connection()) == []
    db.session.rollback()
    run_of("figures.heal")


def test_the_connections_own_time_zone_does_not_matter(session: Any, rows: dict[str, int]) -> None:
    session.execute(text("SET LOCAL timezone = 'Asia/Jakarta'"))
    assert everything_forged(session.connection()) == []
    assert session.scalar(text("SHOW timezone")) == "Asia/Jakarta"


@pytest.mark.timeout(120)
def test_under_concurrent_writers_there_is_no_false_alarm(
    session: Any, rows: dict[str, int], database_url: str
) -> None:
    """Transaction ids are assigned in another order than transactions begin and commit; rows are written throughout."""
    over = Event()
    writers = [Thread(target=write_until, args=(over, database_url, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    looked, end = 0, monotonic() + 8
    while monotonic() < end:
        assert forged_now(db.engine) == []
        looked += 1
    over.set()
    for writer in writers:
        writer.join()
    assert looked > 3
    session.rollback()
    changed = session.scalar(text("SELECT count(*) FROM audit_events WHERE action = 'UPDATE'"))
    assert changed > 100
    run_of("figures.drain")


def test_events_of_a_row_are_folded_in_the_order_of_their_ids(
    session: Any, rows: dict[str, int], database_url: str, admin_database_url: str
) -> None:
    """The transaction with the lower id may write last: the seals are in another order."""
    with psycopg.connect(database_url) as early, psycopg.connect(database_url) as late:
        early.execute("SELECT pg_current_xact_id()")
        late.execute("UPDATE customers SET city = 'late' WHERE id = 1")
        late.commit()
        early.execute("UPDATE customers SET city = 'early' WHERE id = 1")
        early.commit()
    assert forged_now(db.engine) == []
    session.rollback()
    with a_forger(admin_database_url) as forger:  # the mutant: ordered by transaction
        forger.do(
            "CREATE TEMP TABLE told ON COMMIT DROP AS"
            " SELECT row_number() OVER (ORDER BY xid, id) AS place, * FROM audit_events"
        )
        forger.do("ALTER TABLE audit_events ALTER COLUMN id DROP IDENTITY")
        forger.do("DELETE FROM audit_events")
        names = "xid, at, actor, db_user, table_name, row_id, action, before, after"
        forger.do(f"INSERT INTO audit_events (id, {names}) SELECT place, {names} FROM told")
        [found] = everything_forged(forger.connection)
        assert (found.row, found.trail) == ({"city": "early"}, {"city": "late"})


def write_until(over: Event, url: str, seed: int) -> None:
    """Overlapping transactions: each gets its id early, and writes the same rows late."""
    chance = Random(seed)
    with psycopg.connect(url) as connection:
        while not over.is_set():
            try:
                connection.execute("SELECT pg_current_xact_id()")
                sleep(chance.random() / 100)
                for _ in range(3):
                    connection.execute(chance.choice(WRITES), {"n": chance.randrange(100)})
                connection.commit()
            except psycopg.errors.DeadlockDetected:
                connection.rollback()


WRITES = (
    "UPDATE payments SET amount = %(n)s",
    "UPDATE customers SET city = 'C' || %(n)s WHERE id = (SELECT min(id) FROM customers)",
    "UPDATE invoices SET amount = %(n)s WHERE units IS NULL",
    (
        "INSERT INTO order_lines (order_id, kind, description, quantity, unit_price)"
        " SELECT min(id), 'promo', '', %(n)s, 1 FROM orders"
    ),
    "UPDATE order_lines SET quantity = %(n)s WHERE id = (SELECT max(id) FROM order_lines)",
    "DELETE FROM order_lines WHERE id = (SELECT max(id) FROM order_lines) AND kind = 'promo'",
)


def test_every_way_from_a_fact_to_an_owner_has_its_index(
    owner_connection: psycopg.Connection[Any],
) -> None:
    """It finds the rows that an owner has lost without an entry in the trail."""
    led = {
        f"ix_audit_events_{source.table.name}_to_{source.owner.key}"
        for bundle in registry.bundles
        for source in bundle.sources
        if source.through is None and not source.owner.primary_key
        if source.table.name in facts_by_table()
        and facts_by_table()[source.table.name].comparison.audited.kept is None
    }
    rows = owner_connection.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'audit_events'"
    )
    assert led <= {name for (name,) in rows}
    assert len(led) >= 7


# The run, the findings and the command


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


def open_findings(session: Any) -> list[DriftFinding]:
    session.rollback()
    is_open = DriftFinding.healed_at.is_(None) & (DriftFinding.kind != UNEQUAL)
    return list(session.scalars(select(DriftFinding).where(is_open).order_by(DriftFinding.id)))


@pytest.mark.leaves_drift
def test_a_run_records_each_row_once_and_closes_it_when_it_is_right(
    session: Any, receipt: int, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140, paid_on = paid_on + 1")
    run = run_of("audit.facts")
    assert (run.status, run.result["found"], run.result["rows"]["payments"]) == ("done", 1, 1)
    [found] = open_findings(session)
    assert (found.figure, found.owner, found.key) == ("facts:payments", receipt, {"id": receipt})
    assert (found.kind, found.cause, found.is_root) == ("changed", "forged", True)
    assert found.stored == {"amount": "140.00", "paid_on": "2026-03-16"}
    assert found.expected == {"amount": "40.00", "paid_on": "2026-03-15"}
    assert found.amount == Decimal(-100)
    run_of("audit.facts", {"tables": ["payments"]})
    [again] = open_findings(session)
    assert again.id == found.id
    surgery.execute("UPDATE payments SET amount = 40, paid_on = paid_on - 1")
    assert run_of("audit.facts").result["found"] == 0
    assert open_findings(session) == []
    check = session.get_one(FigureCheck, "facts:payments")
    assert (check.rows, check.drifted) == (1, 0)


@pytest.mark.leaves_drift
def test_rows_that_are_gone_are_found_by_what_the_trail_tells(
    session: Any, receipt: int, surgery: Any
) -> None:
    surgery.execute("DELETE FROM payments")
    run_of("audit.facts")
    [found] = open_findings(session)
    assert (found.kind, found.stored, found.expected["amount"]) == ("removed", None, "40.00")
    assert found.amount == Decimal(40)
    run_of("audit.facts", {"tables": ["invoices"]})
    assert len(open_findings(session)) == 1


@pytest.mark.leaves_drift
def test_a_line_is_shown_with_its_order(session: Any, surgery: Any) -> None:
    OrderFactory(number="NW-7", lines=[("package", "Tofu", "3", "10")])
    session.commit()
    surgery.execute("UPDATE order_lines SET quantity = 4")
    run_of("audit.facts")
    [found] = open_findings(session)
    assert found.owner == session.scalar(text("SELECT id FROM orders"))
    assert found.amount is None


@pytest.mark.leaves_drift
def test_the_command_names_rows_as_people_do_and_exits_as_diff_does(
    receipt: int, surgery: Any, run_command: Command
) -> None:
    clean = run_command("audit", "verify-facts")
    assert clean.exit_code == 0, clean.output
    assert "Every fact is what the trail says." in clean.output
    surgery.execute("UPDATE payments SET amount = 140")
    found = run_command("audit", "verify-facts")
    assert found.exit_code == 1
    assert "PAY-1" in found.output
    assert "is 140.00, the trail says 40.00" in found.output
    reported = json.loads(
        run_command("audit", "verify-facts", "--json", "--table", "payments").stdout
    )
    assert (reported["ok"], reported["found"], reported["rows"]) == (False, 1, {"payments": 1})
    [row] = reported["findings"]
    assert (row["table"], row["id"], row["name"], row["kind"]) == (
        "payments",
        receipt,
        "PAY-1",
        "changed",
    )
    assert (row["row"], row["trail"]) == ({"amount": "140.00"}, {"amount": "40.00"})
    assert run_command("audit", "verify-facts", "--table", "invoices").exit_code == 0
    wrong = run_command("audit", "verify-facts", "--table", "runs")
    assert wrong.exit_code == 2
    assert "runs is no table of the audit trail." in wrong.output


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_could_not_be_compared_is_not_said_to_be_right(
    receipt: int, surgery: Any, run_command: Command, words: tuple[str, ...]
) -> None:
    surgery.execute("REVOKE SELECT ON audit_events FROM backoffice_app")
    try:
        done = run_command("audit", "verify-facts", "--table", "payments", *words)
    finally:
        surgery.execute("GRANT SELECT ON audit_events TO backoffice_app")
    assert (done.exit_code, "did not end well" in done.stderr) == (2, True), done.output
    assert "Every fact is what the trail says." not in done.stdout
    if words:
        reported = json.loads(done.stdout)
        assert (reported["ok"], reported["found"]) == (False, 0)
