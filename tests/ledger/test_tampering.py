"""FAULTS 16 to 18 on the ledger: what is written past every trigger is found and named, and a person decides about it.

What the app's role and other programs may not write (15, 17) stands in test_laws.py.
"""

from typing import Any

import pytest
from sqlalchemy import select

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.drift.facts import deciding
from backoffice.drift.facts.refusals import NotPermitted
from backoffice.drift.models import ACCEPTED, RESTORED, DriftFinding
from backoffice.figures import acting_as
from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.writing import stored_lines
from tests.drift.books import run_of
from tests.drift.forging import forged_now, tell_of_the_book
from tests.factories.ledger import draft, of, posted

from .books import balances

Chart = dict[str, Account]
LEDGER = {"accounts", "journal_entries", "journal_lines"}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def book(session: Any, chart: Chart, owner_connection: Any) -> None:
    """Entry 1 (lines 1 and 2) is posted, entry 2 (lines 3 and 4) is a draft; nothing differs from the trail."""
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100), memo="To begin")
    draft(of(chart["Rent"], 30), of(chart["Cash"], -30), memo="Rent")
    session.commit()
    tell_of_the_book(owner_connection)


FORGED = {
    "the memo of a posted entry": ("UPDATE journal_entries SET memo = 'x' WHERE id = 1", {("journal_entries", 1)}),
    "its day": ("UPDATE journal_entries SET entry_date = entry_date + 40 WHERE id = 1", {("journal_entries", 1)}),
    "its number": ("UPDATE journal_entries SET posting_number = 7 WHERE id = 1", {("journal_entries", 1)}),
    "a posted entry made a draft": (
        "UPDATE journal_entries SET status = 'draft', posting_number = NULL WHERE id = 1", {("journal_entries", 1)},
    ),
    "a draft made posted": (
        "UPDATE journal_entries SET status = 'posted', posting_number = 2 WHERE id = 2", {("journal_entries", 2)},
    ),
    "an amount": ("UPDATE journal_lines SET debit = 101 WHERE id = 1", {("journal_lines", 1)}),
    "both sides of an entry": (
        "UPDATE journal_lines SET debit = debit * 2, credit = credit * 2 WHERE entry_id = 1",
        {("journal_lines", 1), ("journal_lines", 2)},
    ),
    "the account of a line": ("UPDATE journal_lines SET account_id = 2 WHERE id = 1", {("journal_lines", 1)}),
    "a line moved to another entry": ("UPDATE journal_lines SET entry_id = 2 WHERE id = 1", {("journal_lines", 1)}),
    "a line removed": ("DELETE FROM journal_lines WHERE id = 2", {("journal_lines", 2)}),
    "a line added": (
        "INSERT INTO journal_lines (id, entry_id, account_id, debit) OVERRIDING SYSTEM VALUE VALUES (9, 1, 1, 5)",
        {("journal_lines", 9)},
    ),
    "an entry removed": (
        "DELETE FROM journal_entries WHERE id = 2; DELETE FROM journal_lines WHERE entry_id = 2",
        {("journal_entries", 2), ("journal_lines", 3), ("journal_lines", 4)},
    ),
    "the type of an account": ("UPDATE accounts SET type = 'expense' WHERE code = 'Cash'", {("accounts", 1)}),
}  # fmt: skip
"""What is forged → the statement, and the rows that verification names."""


@pytest.mark.leaves_drift
@pytest.mark.parametrize("what", FORGED)
def test_whatever_is_forged_is_named_by_its_row(session: Any, surgery: Any, what: str) -> None:
    """FAULTS 16."""
    assert forged_now(db.engine, LEDGER) == []
    statement, named = FORGED[what]
    surgery.execute(statement)
    assert {(one.table, one.id) for one in forged_now(db.engine, LEDGER)} == named


def decide(session: Any, decision: str) -> None:
    """Look, and decide about the one finding."""
    run_of("audit.facts")
    session.rollback()
    of_facts = DriftFinding.figure.startswith("facts:"), DriftFinding.healed_at.is_(None)
    number = session.scalars(select(DriftFinding.id).where(*of_facts)).one()
    with acting_as("user:7"):
        deciding.decide(session, number, decision, "It was so on paper.")
    session.commit()


OF_A_DRAFT = {
    "its memo": "UPDATE journal_entries SET memo = 'x' WHERE id = 2",
    "an amount": "UPDATE journal_lines SET debit = 31 WHERE id = 3",
    "a line removed": "DELETE FROM journal_lines WHERE id = 3",
    "a line added": "INSERT INTO journal_lines (entry_id, account_id, debit) VALUES (2, 1, 5)",
}


@pytest.mark.parametrize("decision", [ACCEPTED, RESTORED])
@pytest.mark.parametrize("what", OF_A_DRAFT)
def test_a_forged_draft_is_accepted_or_restored_and_moves_no_account(
    session: Any, surgery: Any, what: str, decision: str
) -> None:
    entry = session.get_one(JournalEntry, 2)
    was, before = (entry.memo, stored_lines(session, 2)), balances(session)
    session.rollback()
    surgery.execute(OF_A_DRAFT[what])
    decide(session, decision)
    assert forged_now(db.engine, LEDGER) == []
    session.expire_all()
    now = session.get_one(JournalEntry, 2).memo, stored_lines(session, 2)
    assert (now == was) == (decision == RESTORED)
    assert balances(session) == before
    session.rollback()


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_entries SET memo = 'x' WHERE id = 1",
        "UPDATE journal_lines SET debit = 101 WHERE id = 1",
        "DELETE FROM journal_lines WHERE id = 1",
    ],
)
def test_what_is_posted_is_not_restored_by_the_app_and_no_account_follows_what_was_forged(
    session: Any, surgery: Any, statement: str
) -> None:
    """The owner of the database puts it back; until then it is named, and nothing is healed over it."""
    before = balances(session)
    session.rollback()
    surgery.execute(statement)
    with pytest.raises(NotPermitted):
        decide(session, RESTORED)
    session.rollback()
    run_of("figures.heal")
    assert balances(session) == before
    session.rollback()
    assert forged_now(db.engine, LEDGER)


@pytest.mark.leaves_drift
def test_an_accepted_forged_line_unbalances_its_entry_which_is_named_and_not_healed_over(
    session: Any, surgery: Any
) -> None:
    surgery.execute("UPDATE journal_lines SET debit = 101 WHERE id = 1")
    decide(session, ACCEPTED)
    run_of("figures.heal")
    assert balances(session) == {"Cash": 100, "Capital": 100}
    balanced = declared().checks["journal.balanced"]
    named = [part.label for part in balanced.differing(session.connection())]
    assert named == [session.get_one(JournalEntry, 1).number]
    session.rollback()


def test_an_event_of_the_journal_that_is_changed_or_removed_is_named(
    session: Any, surgery: Any, run_command: Any
) -> None:
    """FAULTS 18."""
    session.rollback()
    assert run_command("audit", "seal").exit_code == 0
    assert run_command("audit", "verify-chain").exit_code == 0
    [event] = surgery.execute(
        "SELECT min(id) FROM audit_events WHERE table_name = 'journal_lines'"
    ).fetchone()
    for statement in (
        'UPDATE audit_events SET after = after || \'{"debit": "1.00"}\' WHERE id = %s',
        "DELETE FROM audit_events WHERE id = %s",
    ):
        surgery.execute(statement, [event])
        found = run_command("audit", "verify-chain")
        assert found.exit_code == 1
        assert str(event) in found.output
