"""A comparison from a mark finds what a comparison of the whole table finds; a run compares before it and after it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Text, cast, literal, select

from backoffice.app.extensions import db
from backoffice.audit import marks
from backoffice.audit.comparison import is_not_before
from backoffice.audit.facts import Facts, Forgery, facts_by_table
from backoffice.audit.marks import Mark
from backoffice.audit.models import FactMark
from backoffice.billing.models import Payment
from backoffice.billing.recalculation import chunks as recalculation
from backoffice.drift.facts import comparing
from backoffice.drift.models import DriftFinding
from backoffice.figures.models import Xid
from backoffice.runs import actions
from backoffice.runs.models import DONE, DONE_WITH_FAILURES, ITEM_FAILED, Run, RunChunk, RunItem
from backoffice.runs.working import perform
from tests.drift.books import run_of
from tests.drift.forging import (
    Forger,
    a_forger,
    a_row_of_every_table,
    other_values,
    tell_of_the_book,
)
from tests.drift.test_holding import RIGHT, books, figures_of

pytestmark = pytest.mark.slow

__all__ = ["books"]


@pytest.fixture
def ids(kept_book: Any, owner_connection: Any, session: Any) -> Iterator[dict[str, int]]:
    """A row of every audited table, all verified, so that every table has a mark."""
    made: dict[str, int] = {}

    def write() -> None:
        tell_of_the_book(owner_connection)
        a_row_of_every_table()

    kept_book("a row of every table", write)
    run = run_of("audit.facts")
    assert (run.status, run.result["found"]) == (DONE, 0)
    for table, facts in facts_by_table().items():
        made[table] = session.scalar(select(facts.key).order_by(facts.key.desc()).limit(1))
    session.rollback()
    return made


def every(facts: Facts) -> frozenset[str]:
    return frozenset(column.key for column in facts.columns)


def found(forger: Forger, facts: Facts, known: tuple[int, ...] = ()) -> set[tuple[str, int]]:
    mark = marks.of(forger.connection, facts.name)
    differing = marks.differing(forger.connection, facts, every(facts), mark, known)
    return {(forgery.kind, forgery.id) for forgery in differing}


def test_every_forged_column_and_every_removed_or_added_row_is_found_from_the_mark_on(
    ids: dict[str, int], admin_database_url: str
) -> None:
    checked = 0
    with a_forger(admin_database_url) as forger:
        for table, facts in facts_by_table().items():
            row = ids[table]
            for column in facts.columns:
                for value in other_values(column):
                    with forger.undone():
                        forger.do(f"UPDATE {table} SET {column.key} = {value} WHERE id = {row}")
                        expected = {(f.kind, f.id) for f in forger.forged(table, row)}
                        assert found(forger, facts) == expected, (table, column.key, value)
                        checked += bool(expected)
            with forger.undone():
                forger.do(f"DELETE FROM {table} WHERE id = {row}")
                expected = {(f.kind, f.id) for f in forger.forged(table, row)}
                assert found(forger, facts) == expected, table
            assert found(forger, facts) == set(), table
    assert checked > 200


def test_a_mark_that_does_not_fit_leads_to_a_comparison_of_the_whole_table(
    session: Any, books: Any, surgery: Any
) -> None:
    """A mark from after the forgery would hide it; so it must not be believed when anything else speaks against it."""
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    facts = facts_by_table()["payments"]
    payment = session.scalar(select(Payment.id).where(Payment.reference == "PAY-1"))
    connection = session.connection()
    mark = marks.begun(connection, [facts])["payments"]

    def seen(changed: Mark) -> set[int]:
        return {
            forgery.id for forgery in marks.differing(connection, facts, every(facts), changed, ())
        }

    assert seen(mark) == set()
    assert seen(replace(mark, system=mark.system + 1)) == {payment}, "another cluster"
    assert seen(replace(mark, rows=mark.rows + 1)) == {payment}, "a row is missing without an event"
    assert seen(replace(mark, horizon=mark.horizon + 10**6)) == {payment}, "the counter went back"
    assert seen(replace(mark, horizon=mark.horizon - marks.OLDEST)) == {payment}, "too old"
    assert {f.id for f in marks.differing(connection, facts, every(facts), mark, (payment,))} == {
        payment
    }
    session.rollback()
    surgery.execute("UPDATE payments SET amount = 40 WHERE reference = 'PAY-1'")


@pytest.mark.parametrize("lowest", [-2_000_000_000, -70_000, -10, 3, 90])
@pytest.mark.parametrize("later", [-5_000, -20, 0, 20, 60_000])
def test_a_transaction_after_a_mark_is_newer_even_when_its_number_has_wrapped_around(
    session: Any, lowest: int, later: int
) -> None:
    """`lowest` counts from transaction 0 of this round of 32 bits; the cluster of the tests is at its beginning."""
    numbers = (lowest + later) % 2**32, lowest % 2**32
    xid, mark = (cast(literal(str(number), Text), Xid) for number in numbers)
    assert session.scalar(select(is_not_before(xid, mark))) is (later >= 0)


def test_rows_that_were_entered_and_removed_since_the_mark_leave_it_valid(
    session: Any, books: Any, app_connection: Any
) -> None:
    facts = facts_by_table()["payments"]
    mark = marks.begun(session.connection(), [facts])["payments"]
    session.rollback()
    copied = (
        "INSERT INTO payments (reference, customer_id, meter_id, invoice_id, method, paid_on, amount)"
        " SELECT {0}, customer_id, meter_id, invoice_id, method, paid_on, 60 FROM payments LIMIT 1"
    )
    app_connection.execute(copied.format("'PAY-3'"))
    app_connection.execute(copied.format("'PAY-4'"))
    app_connection.execute("DELETE FROM payments WHERE reference IN ('PAY-2', 'PAY-4')")
    assert marks._fits(session.connection(), facts, mark)
    assert marks.differing(session.connection(), facts, every(facts), mark, ()) == []
    session.rollback()
    run_of("figures.heal")


@pytest.mark.leaves_drift
def test_a_verification_of_facts_leaves_marks_and_one_that_was_not_whole_leaves_none(
    session: Any, books: Any, surgery: Any
) -> None:
    run_of("audit.facts", {"tables": ["payments"]})
    assert session.scalars(select(FactMark.table_name)).all() == ["payments"]
    session.rollback()
    surgery.execute("DELETE FROM fact_marks")
    asked = actions.request(db.session(), "audit.facts", {"tables": ["payments"]}, is_paced=False)
    db.session.commit()

    def break_it() -> None:
        surgery.execute(
            "UPDATE run_chunks SET status = 'failed' WHERE run_id = %s AND status = 'open'"
            " AND payload ? 'table'",
            [asked.id],
        )

    perform(db.engine, asked.id, progress=break_it)
    session.rollback()
    assert session.get_one(Run, asked.id).status == DONE_WITH_FAILURES
    assert session.scalars(select(FactMark)).all() == []


def test_a_run_compares_each_table_once_before_and_once_after_however_many_chunks_it_has(
    session: Any, books: Any, surgery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    surgery.execute("UPDATE meters SET paid = 1, balance = 2")
    surgery.execute("UPDATE customers SET balance = 7")
    session.rollback()
    monkeypatch.setattr(recalculation, "CHUNK", 1)
    compared, differing = Counter[str](), marks.differing
    beneath = Counter[str]()

    def counted(connection: Any, facts: Facts, *given: Any) -> list[Forgery]:
        compared[facts.name] += 1
        return differing(connection, facts, *given)

    def of_owners(self: Facts, *given: Any) -> list[Forgery]:
        beneath[self.name] += 1
        return forged_among(self, *given)

    forged_among = Facts.forged_among
    monkeypatch.setattr(marks, "differing", counted)
    monkeypatch.setattr(Facts, "forged_among", of_owners)
    run = run_of("billing.recalculate")
    assert (run.status, figures_of(session)) == (DONE, RIGHT)
    assert set(compared.values()) == {2}
    assert {"invoices", "payments", "meters", "meter_assignments"} <= compared.keys()
    assert max(beneath.values(), default=0) <= 2, beneath


@pytest.mark.leaves_drift
@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "unmarked"])
def test_what_is_forged_while_a_run_works_is_a_finding_and_the_corrections_above_it_are_named(
    is_marked: bool, session: Any, books: Any, surgery: Any
) -> None:
    if is_marked:
        run_of("audit.facts")
    surgery.execute("UPDATE meters SET paid = 1, balance = 2")
    session.rollback()
    asked = actions.request(db.session(), "figures.heal", {}, is_paced=False)
    db.session.commit()
    done: list[None] = []

    def forge() -> None:
        done.append(None)
        if len(done) == 2:  # planned, and compared
            surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")

    perform(db.engine, asked.id, progress=forge)
    session.rollback()
    meter = session.scalar(select(Payment.meter_id).where(Payment.reference == "PAY-1"))
    failed = session.scalars(
        select(RunItem).where(RunItem.run_id == asked.id, RunItem.outcome == ITEM_FAILED)
    ).all()
    assert {item.error for item in failed} == {comparing.MEANWHILE}
    assert ("meters.documents", meter) in {(item.subject, item.owner) for item in failed}
    assert session.get_one(Run, asked.id).status == DONE_WITH_FAILURES
    found = session.scalars(select(DriftFinding).where(DriftFinding.healed_at.is_(None))).all()
    assert "facts:payments" in {finding.figure for finding in found}
    assert figures_of(session)[0][2] == Decimal(140), "it was not known when the run began"


@pytest.mark.leaves_drift
def test_a_dry_run_compares_too_and_writes_no_finding(
    session: Any, books: Any, surgery: Any
) -> None:
    surgery.execute("UPDATE payments SET amount = 140 WHERE reference = 'PAY-1'")
    run = run_of("figures.heal", dry_run=True)
    assert run.skipped > 0
    assert session.scalars(select(DriftFinding)).all() == []


@pytest.mark.parametrize(
    ("scope", "is_compared"), [({"figures": {"invoices.paid": [1]}}, False), ({}, True)]
)
def test_a_heal_of_one_owner_compares_no_table(
    scope: Any, is_compared: bool, session: Any, books: Any
) -> None:
    asked = actions.request(db.session(), "figures.heal", scope, is_paced=False)
    db.session.commit()
    mine, planned = select(RunChunk.payload).where(RunChunk.run_id == asked.id), list[Any]()
    perform(db.engine, asked.id, progress=lambda: planned.extend(session.scalars(mine)))
    assert any(comparing.COMPARED in payload for payload in planned) is is_compared
