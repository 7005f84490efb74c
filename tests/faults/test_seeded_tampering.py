"""A book is tampered with round after round: every tampering is reported, nothing else is, no correction is false.

The right values are computed by the independent books of tests/orders and tests/billing, which use no code of
the product. `TEST_DEPTH=60 pytest -s …` makes the long run and prints its counts.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
import pytest

from backoffice.app.extensions import db
from backoffice.drift.facts.holding import HELD
from backoffice.drift.outside import watch
from backoffice.drift.verification.chunks import ORPHANED
from backoffice.health.checks import readiness
from tests.billing import ledgers
from tests.billing.ledgers import Ledger
from tests.depth import examples
from tests.drift.forging import tell_of_the_book
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.orders import books
from tests.orders.books import Book

pytestmark = pytest.mark.slow

ROUNDS = examples(3)

Row = tuple[str, int]
Totals = dict[Row, dict[str, Decimal]]

FACTS = {
    "order_lines": ("quantity", "unit_price"),
    "payments": ("amount",),
    "meter_adjustments": ("amount",),
    "invoices": ("units", "rate", "fixed_charge"),
}
"""Columns that a user enters and a total depends on."""

OF_CUSTOMERS = ("payments", "meter_adjustments", "invoices")
FEW = 4
"""With fewer documents left, a deletion is always restored."""

GONE = 900_001
"""The first of the ids of owners that do not exist."""


@dataclass
class Seen:
    """The findings of a verification: rows of figures, rows of facts, and derived rows without an owner."""

    figures: dict[Row, dict[str, Any]]
    facts: dict[Row, dict[str, Any]]
    orphans: set[int]


@dataclass
class Made:
    """The changes of a round, made without firing triggers."""

    facts: dict[Row, set[str]] = field(default_factory=dict)
    """The rows that differ from the trail → their changed columns; empty for a deleted row."""
    orphans: set[int] = field(default_factory=set)
    under: set[Row] = field(default_factory=set)
    """The orders and customers that a forged fact belongs to."""
    kinds: list[str] = field(default_factory=list)


@dataclass
class Office:
    """The book, with the connections that tamper with it and the commands that verify it."""

    outside: psycopg.Connection[Any]
    surgery: psycopg.Connection[Any]
    command: Callable[..., Any]
    random: Random
    counts: Counter[str] = field(default_factory=Counter)
    last: int = 0
    """The id of the last correction that was checked."""

    def truth(self) -> Totals:
        """The expected value of every stored total, by the current facts."""
        found: Any = {**Book.read(self.outside).totals(), **Ledger.read(self.outside).totals()}
        for key, orders, *_ in self.months():
            closed = [found["orders", order]["grand_total"] for order in orders]
            counts = {"achieved": sum(closed, Decimal(0)), "orders_closed": Decimal(len(closed))}
            found["account_manager_targets", key] = counts
        return {row: dict(values) for row, values in found.items()}

    def months(self) -> list[tuple[int, list[int], Decimal, int]]:
        """For every month of an existing manager: its row, the orders closed in it, and the stored values."""
        return self.outside.execute(
            "SELECT t.id, array_agg(o.id), t.achieved, t.orders_closed FROM account_manager_targets t"
            " JOIN orders o ON o.account_manager_id = t.account_manager_id"
            " AND date_trunc('month', o.closing_date) = t.month GROUP BY t.id"
        ).fetchall()

    def stored(self) -> Totals:
        """The stored totals."""
        found: Any = {**books.stored(self.outside), **ledgers.stored(self.outside)}
        for key, _, achieved, closed in self.months():
            row = {"achieved": achieved, "orders_closed": Decimal(closed)}
            found["account_manager_targets", key] = row
        return {row: dict(values) for row, values in found.items()}

    def look(self) -> Seen:
        """Verify the totals and the facts by their commands; returns the findings."""
        _status, totals = self.said("figures", "verify")
        _status, facts = self.said("audit", "verify-facts")
        named: dict[Row, dict[str, Any]] = {}
        orphans: set[int] = set()
        for found in totals["findings"]:
            if int(found["owner"]) >= GONE:
                orphans.add(int(found["owner"]))
            else:
                row = self.row_of(found["figure"], found["key"])
                one = named.setdefault(row, {"expected": {}, "roots": []})
                one["expected"].update(found["expected"])
                one["roots"] += found["roots"]
        self.counts["rows named"] += len(named) + len(facts["findings"]) + len(orphans)
        return Seen(named, {(f["table"], int(f["id"])): f for f in facts["findings"]}, orphans)

    def row_of(self, figure: str, key: dict[str, Any]) -> Row:
        """The row that a finding or a correction refers to."""
        if "id" in key:
            return figure.partition(".")[0], int(key["id"])
        [(row,)] = self.outside.execute(
            "SELECT id FROM account_manager_targets WHERE account_manager_id = %s AND month = %s",
            (int(key["account_manager_id"]), key["month"]),
        ).fetchall()
        return "account_manager_targets", row

    def said(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a command; returns its exit status and its JSON object. Asserts that it does not exit with 2."""
        done = self.run(*words, "--json")
        assert done.exit_code in (0, 1), done.output
        return done.exit_code, json.loads(done.stdout)

    def run(self, *words: str) -> Any:
        """Run a command and close its transaction; returns the result."""
        done = self.command(*words)
        db.session.rollback()
        return done

    def heal(self) -> tuple[int, set[str]]:
        """Heal everything; returns the exit status, and the reasons why items were skipped."""
        status, said = self.said("figures", "heal", "--reason", "A round")
        return status, {failure["error"] for failure in said["failures"]}

    def ids(self, table: str, where: str = "true") -> list[int]:
        """The ids of a table's rows."""
        query = f"SELECT id FROM {table} WHERE {where} ORDER BY id"
        return [key for (key,) in self.surgery.execute(query.encode())]

    def amount(self) -> Decimal:
        """A random amount."""
        return Decimal(self.random.randint(1, 999_999)) / 100

    def is_in_doubt(self, row: Row, made: Made) -> bool:
        """Whether a forged fact is in the order, or the customer, that the row belongs to."""
        if row[0] == "account_manager_targets":
            return any(table == "orders" for table, _ in made.under)
        return self.under(*row) in made.under

    def under(self, table: str, row: int) -> Row:
        """The order, or the customer, with the totals that a row is part of."""
        column = {"orders": "id", "order_lines": "order_id", "customers": "id"}.get(
            table, "customer_id"
        )
        if table == "meters":
            table, column = "meter_assignments", "customer_id"
            query = f"SELECT {column} FROM {table} WHERE meter_id = %s AND is_active"
        else:
            query = f"SELECT {column} FROM {table} WHERE id = %s"
        [(owner,)] = self.surgery.execute(query.encode(), (row,)).fetchall()
        return ("orders" if table in ("orders", "order_lines") else "customers"), owner


@pytest.fixture
def office(
    session: Any, app_connection: Any, surgery: Any, run_command: Callable[..., Any]
) -> Office:
    """Three customers with orders, meters and documents; stored and right."""
    tell_of_the_book(surgery)
    manager = AccountManagerFactory()
    packages = [("package", "Tea", "12", "14.00"), ("package", "Rice", "3", "9.8050")]
    lines = [*packages, ("promo", "Off", "1", "26.60")]
    for number in range(3):
        customer = CustomerFactory()
        closed = date(2026, 3, 5 + number)
        OrderFactory(customer=customer, account_manager=manager, closing_date=closed, lines=lines)
        OrderFactory(customer=customer, account_manager=manager, lines=packages)
        for _ in range(2):
            meter = MeterFactory()
            MeterAssignmentFactory(meter=meter, customer=customer)
            invoice = InvoiceFactory(meter=meter, customer=customer)
            PaymentFactory(meter=meter, customer=customer, invoice=invoice)
            PaymentFactory(meter=meter, customer=customer, amount=Decimal("1234.56"))
            MeterAdjustmentFactory(meter=meter, customer=customer)
    session.commit()
    session.rollback()
    office = Office(app_connection, surgery, run_command, Random(11))
    assert office.stored() == office.truth()
    return office


# Changes made without firing triggers


def a_stored_total(office: Office, _made: Made) -> bool:
    """Change a stored figure; not an amount that a user entered, which is a fact."""
    table, row = office.random.choice(sorted(office.truth()))
    columns = set(office.truth()[table, row])
    if table == "account_manager_targets":
        columns = {"achieved"}
    if table == "orders":
        [(itemised,)] = office.surgery.execute("SELECT itemised FROM orders WHERE id = %s", (row,))
        columns = {books.COMPONENT[kind] for kind in itemised} | {"grand_total"}
    column = office.random.choice(sorted(columns))
    office.surgery.execute(
        f"UPDATE {table} SET {column} = {column} + %s WHERE id = %s".encode(),
        (office.amount(), row),
    )
    return True


def a_fact(office: Office, made: Made) -> bool:
    """Change a value that a user entered."""
    table = office.random.choice(sorted(FACTS))
    row, column = office.random.choice(office.ids(table)), office.random.choice(FACTS[table])
    if (table, row) in made.facts:
        return False
    made.facts[table, row] = {column}
    made.under.add(office.under(table, row))
    office.surgery.execute(
        f"UPDATE {table} SET {column} = {column} + %s WHERE id = %s".encode(),
        (office.amount(), row),
    )
    return True


def a_document_is_removed(office: Office, made: Made) -> bool:
    """Delete a document."""
    table = office.random.choice(["payments", "meter_adjustments"])
    row = office.random.choice(office.ids(table))
    if (table, row) in made.facts:
        return False
    made.facts[table, row] = set()
    made.under.add(office.under(table, row))
    office.surgery.execute(f"DELETE FROM {table} WHERE id = %s".encode(), (row,))
    return True


def a_derived_row_without_an_owner(office: Office, made: Made) -> bool:
    """Insert a month of a manager who does not exist."""
    owner = GONE + len(made.orphans)
    made.orphans.add(owner)
    office.surgery.execute(
        "INSERT INTO account_manager_targets (account_manager_id, month, achieved, orders_closed)"
        " VALUES (%s, '2026-03-01', %s, 1)",
        (owner, office.amount()),
    )
    return True


Tampering = Callable[[Office, Made], bool]
TAMPERINGS: tuple[Tampering, ...] = (
    a_stored_total,
    a_fact,
    a_document_is_removed,
    a_derived_row_without_an_owner,
)


# A round of one or several of these changes


def tampered_with(office: Office, number: int) -> None:
    """Make some at once: they are reported exactly, healed where no fact is in doubt, the rest after a decision."""
    right, made = office.truth(), Made()
    first = TAMPERINGS[number % len(TAMPERINGS)]
    more = office.random.choices(TAMPERINGS, k=office.random.choice([0, 0, 1, 2, 3]))
    for tampering in (first, *more):
        if tampering(office, made):
            made.kinds.append(tampering.__name__)
    now, found = office.truth(), office.stored()
    seen = named_exactly(office, made, right, now, found)
    status, why = office.heal()
    left = office.stored()
    nothing_follows_a_forged_fact(office, made, right, now, (found, left))
    assert why == ({HELD} if left != now else set()) | ({ORPHANED} if made.orphans else set())
    assert status == (1 if why else 0)
    corrections_are_true(office, now)
    decided(office, seen)
    assert office.heal() == (0, set())
    corrections_are_true(office, office.truth())
    office.counts.update(made.kinds)
    office.counts["tamperings"] += len(made.kinds)


def named_exactly(office: Office, made: Made, right: Totals, now: Totals, found: Totals) -> Seen:
    """Assert that exactly the rows that differ are reported, with expected values and the facts they follow from."""
    seen = office.look()
    assert set(seen.figures) == {row for row in found if found[row] != now[row]}
    for row, finding in seen.figures.items():
        for column, expected in finding["expected"].items():
            assert Decimal(expected) == now[row][column], (row, finding)
        if now[row] != right[row]:
            roots = {(root["figure"], int(root["key"]["id"])) for root in finding["roots"]}
            assert roots & {(f"facts:{table}", key) for table, key in made.facts}, (row, finding)
    assert set(seen.facts) == set(made.facts)
    for fact, columns in made.facts.items():
        reported = seen.facts[fact]
        assert reported["kind"] == ("changed" if columns else "removed")
        assert not columns or set(reported["row"]) == set(reported["trail"]) == columns
    assert seen.orphans == made.orphans
    return seen


def nothing_follows_a_forged_fact(
    office: Office, made: Made, right: Totals, now: Totals, stored: tuple[Totals, Totals]
) -> None:
    """Assert that totals over a forged fact are as they were, and that all others are right."""
    before, after = stored
    for row in after:
        if now[row] != right[row]:
            assert after[row] == before[row], f"{row} has followed a forged fact"
        elif office.is_in_doubt(row, made):
            assert after[row] in (before[row], now[row]), row
        else:
            assert after[row] == now[row], f"{row} is wrong, and nothing beneath it is in doubt"


def decided(office: Office, seen: Seen) -> None:
    """Accept or restore each forged fact, and delete the rows of owners that do not exist."""
    for _fact, finding in sorted(seen.facts.items(), key=lambda item: item[0]):
        verb = office.random.choice(["restore-fact", "accept-fact"])
        if finding["kind"] == "removed" and len(office.ids(finding["table"])) < FEW:
            verb = "restore-fact"
        words = ("audit", verb, str(finding["finding"]), "--reason", "Decided", "--json")
        done = office.run(*words)
        assert done.exit_code == 0, done.output
    office.surgery.execute(
        "DELETE FROM account_manager_targets WHERE account_manager_id >= %s", (GONE,)
    )


# Other rounds


def a_total_and_an_innocent_write(office: Office, _number: int) -> None:
    """Tamper with a figure, then write beside it as a program: the watch makes nothing wrong that was right."""
    truth = office.truth()
    meter = office.random.choice(office.ids("meters"))
    column = office.random.choice(["invoiced", "adjusted", "paid", "balance"])
    office.surgery.execute(
        f"UPDATE meters SET {column} = {column} + %s WHERE id = %s".encode(),
        (office.amount(), meter),
    )
    [key, *_] = office.ids("meter_adjustments", f"meter_id = {meter}") or [0]
    table = "meter_adjustments" if key else "invoices"
    what = "amount" if key else "fixed_charge"
    key = key or office.ids("invoices", f"meter_id = {meter}")[0]
    office.outside.execute(f"UPDATE {table} SET {what} = {what} + 7 WHERE id = %s".encode(), (key,))
    after = office.truth()
    watch.drain(db.engine)
    db.session.rollback()
    stored = office.stored()
    apart = {row for row in stored if stored[row] != after[row]}
    assert all(stored[r] == truth[r] for r in apart - {("meters", meter)}), "right was falsified"
    seen = office.look()
    assert (set(seen.figures), seen.facts) == (apart, {})
    corrections_are_true(office, after)
    assert office.heal() == (0, set())
    corrections_are_true(office, after)
    office.counts.update(["tamperings", "a_total_and_an_innocent_write"])


EMPTIED = """CREATE OR REPLACE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
AS $$ BEGIN RETURN NULL; END $$"""
DISABLED = "ALTER TABLE {table} DISABLE TRIGGER {name}"


def a_trigger(office: Office, _number: int) -> None:
    """Empty or disable a trigger, then write as a program: readiness reports it, the upgrade repairs it.

    A change that was not noted is found by the next verification, one that was not recorded by that of the facts.
    """
    table = office.random.choice(["payments", "order_lines"])
    what = office.random.choice(["note", "audit"])
    column = office.random.choice(FACTS[table])
    name = f"backoffice_{what}_{table}_update"
    before = office.truth()
    office.surgery.execute(
        office.random.choice([EMPTIED, DISABLED]).format(name=name, table=table).encode()
    )
    said = {check: found for check, found in readiness(deep=True).found.items() if found}
    assert len(said) == 1
    assert name in str(said)
    row = office.random.choice(office.ids(table))
    office.outside.execute(
        f"UPDATE {table} SET {column} = {column} + %s WHERE id = %s".encode(),
        (office.amount(), row),
    )
    watch.drain(db.engine)
    db.session.rollback()
    after, stored = office.truth(), office.stored()
    if what == "audit":
        assert stored == before, "the watch has followed what nobody recorded"
    seen = office.look()
    assert set(seen.figures) == {r for r in stored if stored[r] != after[r]}
    assert set(seen.facts) == ({(table, row)} if what == "audit" else set())
    for finding in seen.facts.values():
        words = ("audit", "accept-fact", str(finding["finding"]), "--reason", "It is so", "--json")
        assert office.run(*words).exit_code == 0
    repaired = office.run("db", "upgrade")
    assert repaired.exit_code == 0, repaired.output
    assert readiness(deep=True).is_ready, readiness(deep=True).found
    corrections_are_true(office, after)
    office.heal()
    corrections_are_true(office, after)
    assert office.truth() == after
    office.counts.update(["tamperings", "a_trigger"])


def corrections_are_true(office: Office, truth: Totals) -> None:
    """Assert that every correction since the last call is of a row that was wrong, and writes the right value."""
    query = "SELECT id, figure, key, before, after FROM corrections WHERE id > %s ORDER BY id"
    rows = office.outside.execute(query.encode(), (office.last,)).fetchall()
    for number, figure, key, before, after in rows:
        office.last = number
        assert before != after, figure
        office.counts["corrections"] += 1
        row = office.row_of(figure, key)
        written = {column: Decimal(amount) for column, amount in after.items()}
        assert written.items() <= truth[row].items(), ("a false correction", figure, key, after)


@pytest.mark.timeout(max(300, ROUNDS * 20))
def test_every_tampering_is_named_and_no_correction_is_false(office: Office) -> None:
    kinds = [*[tampered_with] * len(TAMPERINGS), a_total_and_an_innocent_write, a_trigger]
    for number in range(ROUNDS):
        kinds[number % len(kinds)](office, number % len(kinds))
        assert office.stored() == office.truth(), number
        clean = office.look()
        assert (clean.figures, clean.facts, clean.orphans) == ({}, {}, set()), number
    assert office.counts["tamperings"] >= ROUNDS
    reported = f"{ROUNDS} rounds: {dict(office.counts)}; false alarms 0, false corrections 0"
    sys.stdout.write(f"\n{reported}\n")
