"""A year of the demo company in all domains: posted, tied out, closed by month, changed later, proved by beancount."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from backoffice.base.periods import Month, today
from backoffice.billing.models import Invoice, MeterAssignment, Payment
from backoffice.billing.queries import without_meter
from backoffice.billing.rules import VOID
from backoffice.demo.loading import load
from backoffice.gas.models import GasPrice, Reading
from backoffice.gas.queries import is_unpriced
from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.periods.actions import close
from backoffice.ledger.periods.queries import checklist
from backoffice.ledger.posting.actions import reconcile
from backoffice.ledger.posting.queries import EVERYTHING, open_postings
from backoffice.ledger.posting.sources import SOURCES
from backoffice.ledger.posting.tie_out import ledger_tied, tie_out
from backoffice.ledger.rules import RETAINED_EARNINGS
from tests.customers.desk import form
from tests.ledger.books import balances, prove_by_beancount, trial_balance

BY = "user:1"

pytestmark = pytest.mark.slow


def ties_out(session: Any) -> None:
    session.rollback()
    tied = tie_out(session)
    assert {one.control.role: (one.difference, one.not_posted) for one in tied} == {
        one.control.role: (Decimal("0.00"), Decimal("0.00")) for one in tied
    }
    assert all(one.beneath for one in tied), "every domain has something in the ledger"
    assert ledger_tied.compare(session.connection()).holds


def tidied(session: Any) -> None:
    """Do what the checklist requires of users: match every payment to a meter, and price every reading."""
    for payment in session.scalars(select(Payment).where(without_meter(Payment))):
        held = select(MeterAssignment.meter_id, MeterAssignment.customer_id)
        held = held.where(MeterAssignment.is_active).order_by(
            MeterAssignment.customer_id != payment.customer_id, MeterAssignment.id
        )
        payment.meter_id, payment.customer_id = session.execute(held).first()
    for reading in session.scalars(select(Reading).where(is_unpriced())).all():
        session.add(
            GasPrice(
                customer_id=reading.customer_id, effective_from=reading.read_on,
                price_per_sm3=Decimal(9_000), correction_factor=Decimal(1),
            )
        )  # fmt: skip
    past = (JournalEntry.status == "draft") & (JournalEntry.entry_date < Month.current().first)
    for draft in session.scalars(select(JournalEntry).where(past)):
        session.delete(draft)
    session.flush()
    reconcile(session, EVERYTHING)
    session.commit()


def held(session: Any, month: Month, *types: str) -> dict[str, Decimal]:
    """The net of accounts of these types (none: of all) at the end of a month; debits positive."""
    session.rollback()
    lines = trial_balance(session, month.last)
    return {one.code: one.debit - one.credit for one in lines if not types or one.type in types}


def test_a_year_posts_ties_out_closes_month_by_month_and_what_is_changed_later_is_posted_today(
    session: Any, sign_in: Callable[..., Any]
) -> None:
    load()
    tidied(session)
    kinds = select(func.split_part(JournalEntry.document, "/", 1)).distinct()
    posted = set(session.scalars(kinds.where(JournalEntry.document.is_not(None))))
    assert posted == {source.name for source in SOURCES}
    assert open_postings(session) == []
    ties_out(session)

    months = list((Month.current() - 12).through(Month.current() - 1))
    earned = next(month for month in months if month.month == 12)
    kept = session.scalar(select(Account.code).where(Account.role == RETAINED_EARNINGS))
    earnings = sum(held(session, earned, "revenue", "expense").values())
    assert earnings, "there is something to close"
    for month in months:
        had = held(session, month).get(kept, Decimal(0))
        assert not [one.check.name for one in checklist(session, month) if one.forbids]
        period = close(session, month, BY)
        session.commit()
        assert (period.status, period.closing_entry_id is not None) == ("closed", month == earned)
        moved = held(session, month).get(kept, Decimal(0)) - had
        assert moved == (earnings if month == earned else 0)
        ties_out(session)
    assert not held(session, earned, "revenue", "expense"), "December has moved them to equity"
    closed = {month: held(session, month) for month in months}

    voided = session.scalars(
        select(Invoice)
        .where(Invoice.issued_on.between(months[1].first, months[-2].last))
        .where(Invoice.status != VOID, Invoice.meter_id.is_not(None), Invoice.paid == 0)
        .order_by(Invoice.id)
    ).first()
    day, amount, name = voided.issued_on, voided.amount, f"invoices/{voided.id}"
    at = f"/billing/invoices/{voided.number}/void"
    session.rollback()
    browser = sign_in("finance")
    answer = browser.post(at, data=form(browser, at, reason="Never delivered"))
    answer.close()  # what is posted afterwards is posted now
    session.rollback()
    mine = select(JournalEntry).where(JournalEntry.document == name)
    entry = session.scalars(mine.order_by(JournalEntry.id.desc())).first()
    assert (entry.entry_date, entry.document_date) == (today(), day)
    assert sum(line.credit for line in entry.lines) == amount
    assert day + timedelta(days=1) < months[-1].first
    ties_out(session)
    assert {month: held(session, month) for month in months} == closed, "closed months stay"

    prove_by_beancount(session)
    assert len(balances(session)) > 15
