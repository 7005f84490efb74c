"""Nothing says that figures are right while a control account differs from its sub-ledger."""

import json
from datetime import date

import pytest
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.drift import figure_status
from backoffice.drift.models import FOLLOWS, UNEQUAL, DriftFinding
from backoffice.ledger import actions
from backoffice.ledger.health.examining import examine, stored_health
from backoffice.ledger.health.report import detailed
from backoffice.ledger.posting.actions import reconcile
from backoffice.ledger.posting.queries import Scope
from backoffice.ledger.posting.tie_out import CONTROLS, ledger_tied, tie_out
from tests.drift.books import run_of, text_of
from tests.drift.whole_book import write_everything
from tests.factories.ledger import accounts_of_roles, of, posted
from tests.factories.orders import OrderFactory

FOUND = "check:ledger.tied"


@pytest.fixture
def roles(session):
    """Accounts of everything, and a book of every document, of which nothing is posted."""
    made = accounts_of_roles()
    write_everything()
    OrderFactory(closing_date=date(2026, 3, 9))
    session.commit()
    return made


def verified(session):
    """What a verification of everything finds of the tie-out; None where it holds."""
    run_of("figures.verify")
    return open_finding(session)


def open_finding(session):
    """What the last verification has found of it."""
    session.rollback()
    is_open = DriftFinding.healed_at.is_(None)
    return session.scalars(
        select(DriftFinding).where(is_open, DriftFinding.figure == FOUND)
    ).first()


@pytest.mark.leaves_drift
def test_it_says_of_every_role_what_the_tie_out_says(session, roles):
    for is_posted in (False, True):
        if is_posted:
            reconcile(session, Scope())
            posted(of(roles["receivables"], 7), of(roles["cash"], -7))
            session.commit()
        connection = session.connection()
        differences = {
            one.control.role: one.difference for one in tie_out(connection) if one.difference
        }
        parts = {part.label: part for part in ledger_tied.differing(connection)}
        assert differences == {role: -part.difference for role, part in parts.items()}
        assert differences == ({"receivables": 7} if is_posted else {})
    compared = ledger_tied.compare(connection)
    assert compared.parts == len(CONTROLS)
    tied = tie_out(connection)
    signs = [1 if one.control.is_owed else -1 for one in tied]
    both = list(zip(signs, tied, strict=True))
    assert compared.whole.left == sum(sign * (one.held + one.not_posted) for sign, one in both)
    assert compared.whole.right == sum(sign * one.beneath for sign, one in both)
    terms = [abs(amount) for one in tied for amount in one.terms]
    assert [abs(amount) for amount in compared.whole.sums[-len(terms) :]] == terms
    assert any(terms)


@pytest.mark.leaves_drift
def test_the_detailed_report_is_not_right_while_one_of_its_checks_is_not(app, session, roles):
    posted(of(roles["receivables"], 7), of(roles["cash"], -7))
    session.commit()
    report = detailed(db.engine)
    assert [one["check"] for one in report["checks"] if not one["holds"]] == ["ledger.tied"]
    assert (report["balance_status"], report["data"]["is_valid"]) == (False, False)
    assert stored_health(session.connection()).is_valid, (
        "no line was examined: it reads what is stored"
    )
    session.rollback()
    assert not examine(db.engine).is_valid, "and whoever looks says so"
    assert not stored_health(session.connection()).is_valid


@pytest.mark.leaves_drift
def test_what_a_user_enters_on_a_control_account_is_found_until_it_is_reversed(
    session, roles, sign_in, run_command, subtests
):
    assert verified(session) is None, "what is not posted yet is no difference"
    assert figure_status.read(session).state == "right"
    browser = sign_in("finance")
    for role in [control.role for control in CONTROLS]:
        with subtests.test(role):
            entry = posted(of(roles[role], 7), of(roles["cash"], -7))
            session.commit()
            assert run_command("figures", "verify", "--json").exit_code == 1
            found = open_finding(session)
            assert (found.cause, found.is_root, found.gross) == (UNEQUAL, True, 7)
            assert figure_status.read(session).state == "wrong"
            page = text_of(browser.get("/health/drift").text)
            assert "Control accounts tie out to their sub-ledgers" in page
            health = json.loads(run_command("ledger", "health", "--json").stdout)
            assert health["balance_status"] is False
            actions.reverse(session, entry.id, {"entry_date": entry.entry_date, "memo": ""})
            session.commit()
            assert verified(session) is None
            assert figure_status.read(session).state == "right"


@pytest.mark.leaves_drift
def test_a_stored_total_on_either_side_that_was_changed_is_its_root(
    session, roles, surgery, subtests
):
    """A grand total is on both sides: what is posted of an order is its grand total."""
    reconcile(session, Scope())
    session.commit()
    for table, column, rows in (
        ("customers", "balance", "true"), ("customers", "overpayment", "true"), ("wallets", "balance", "true"),
        ("accounts", "debits", "role = 'orders'"),
    ):  # fmt: skip
        with subtests.test(f"{table}.{column}"):
            chosen = f"id = (SELECT min(id) FROM {table} WHERE {rows})"
            surgery.execute(f"UPDATE {table} SET {column} = {column} + 7 WHERE {chosen}")
            found = verified(session)
            assert (found.cause, found.is_root, found.gross) == (FOLLOWS, False, 7)
            surgery.execute(f"UPDATE {table} SET {column} = {column} - 7 WHERE {chosen}")
            assert verified(session) is None
