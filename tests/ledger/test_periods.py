"""Months that are closed: one after the other, when everything is in order, and nothing is posted in them any more."""

import json
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.base.actor import acting_as
from backoffice.base.periods import Month, today
from backoffice.base.refusals import Locked, Refusal
from backoffice.book import queries as book
from backoffice.book.locks import HOLD
from backoffice.drift.healing.performing import performed
from backoffice.ledger import actions
from backoffice.ledger.figures import months_in_order
from backoffice.ledger.health.runs import SCOPE
from backoffice.ledger.models import Account, JournalEntry, Period
from backoffice.ledger.periods.actions import close, reopen
from backoffice.ledger.periods.approved_verbs import CLOSE
from backoffice.ledger.periods.queries import (
    checklist,
    next_to_close,
)
from backoffice.ledger.posting.actions import reconcile
from backoffice.ledger.posting.queries import Scope
from backoffice.ledger.queries import closing_entries, posting_day
from backoffice.ledger.refusals import (
    AlreadyClosed,
    NoReason,
    NotClosed,
    NotInOrder,
    NotLast,
    NotNext,
    NotOver,
)
from backoffice.ledger.reports.queries import DateRange, income_statement_of
from backoffice.ledger.rules import RETAINED_EARNINGS
from backoffice.ledger.triggers import KEEPS_ENTRIES
from backoffice.runs.models import RunItem
from tests.approvals.cards import confirm
from tests.depth import examples
from tests.drift.books import run_of, text_of
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, PaymentFactory
from tests.factories.gas import ReadingFactory
from tests.factories.ledger import AccountFactory, accounts_of_roles, draft, of, posted
from tests.ledger.books import trial_balance
from tests.processes import barrier, together

from .conftest import CHART
from .test_processes import replaced

Connection = psycopg.Connection[Any]
Chart = dict[str, Account]
JANUARY, FEBRUARY, MARCH = (Month(2026, month) for month in (1, 2, 3))
BY = "user:1"
SENTENCE = "The days up to 2026-01-31 are locked"


def a_draft(chart: Chart, day: date = date(2026, 1, 15)) -> JournalEntry:
    return draft(of(chart["Cash"], 5), of(chart["Capital"], -5), day=day)


def test_months_close_one_after_the_other_and_reopen_backwards_and_the_book_says_the_last_day(
    session: Any, chart: Chart
) -> None:
    first = next_to_close(session)
    assert first == Month.current() - 1, "without a journal"
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    session.commit()
    assert next_to_close(session) == JANUARY
    for month, last in ((JANUARY, date(2026, 1, 31)), (FEBRUARY, date(2026, 2, 28))):
        period = close(session, month, BY)
        session.commit()
        assert (period.status, period.closed_by, period.closed_at is not None) == (
            "closed",
            BY,
            True,
        )
        assert (book.locked_until(session), next_to_close(session)) == (last, month + 1)
    law: type[Refusal]
    for month, law in ((JANUARY, AlreadyClosed), (MARCH + 1, NotNext), (Month.current(), NotOver)):
        with pytest.raises(law):
            close(session, month, BY)
        session.rollback()
    for month, reason, law in (
        (JANUARY, "Late", NotLast), (MARCH, "Late", NotClosed), (FEBRUARY, " ", NoReason),
    ):  # fmt: skip
        with pytest.raises(law):
            reopen(session, month, BY, reason)
        session.rollback()
    period = reopen(session, FEBRUARY, "user:2", "A late invoice")
    session.commit()
    assert (period.status, period.reopened_by, period.reason) == (
        "open",
        "user:2",
        "A late invoice",
    )
    assert book.locked_until(session) == date(2026, 1, 31)
    close(session, FEBRUARY, BY)
    session.commit()
    assert book.locked_until(session) == date(2026, 2, 28)
    assert months_in_order.compare(session.connection()).holds


def test_nothing_is_posted_in_a_closed_month_and_what_comes_late_is_posted_today(
    session: Any, chart: Chart
) -> None:
    late, other = a_draft(chart), a_draft(chart, date(2026, 2, 1))
    session.commit()
    with pytest.raises(NotInOrder, match="Drafts in the journal"):
        close(session, JANUARY, BY)
    session.rollback()
    late.entry_date = date(2026, 2, 1)
    session.commit()
    close(session, JANUARY, BY)
    late.entry_date = date(2026, 1, 31)
    session.commit()
    with pytest.raises(Locked):
        actions.post(session, late.id, late.version, {})
    session.rollback()
    lines = of(chart["Cash"], 5), of(chart["Capital"], -5)
    with pytest.raises(Locked):
        actions.enter(session, date(2026, 1, 31), lines)
    session.rollback()
    actions.post(session, other.id, other.version, {})
    session.commit()
    with pytest.raises(Locked):
        actions.reverse(session, other.id, {"entry_date": date(2026, 1, 31), "memo": ""})
    session.rollback()
    days = [date(2026, 1, 31), date(2026, 2, 1)]
    asked = select(*(posting_day(session, literal(day)) for day in days))
    assert list(session.execute(asked).one()) == [today(), date(2026, 2, 1)]


def test_another_program_posts_nothing_in_a_closed_month_and_cannot_reorder_periods(
    session: Any, chart: Chart, app_connection: Connection
) -> None:
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    session.commit()
    close(session, JANUARY, BY)
    close(session, FEBRUARY, BY)
    late = a_draft(chart, date(2026, 2, 28))
    session.commit()
    for statement, law, sentence in (
        (
            f"UPDATE journal_entries SET status = 'posted' WHERE id = {late.id}",
            psycopg.errors.CheckViolation, "The days up to 2026-02-28 are locked",
        ),
        ("DELETE FROM periods", psycopg.errors.InsufficientPrivilege, "permission denied"),
        (
            "UPDATE periods SET status = 'open' WHERE month = '2026-01-01'",
            psycopg.errors.InsufficientPrivilege, "The last closed month is reopened first",
        ),
        (
            "UPDATE periods SET month = '2026-04-01' WHERE month = '2026-02-01'",
            psycopg.errors.InsufficientPrivilege, "A period stays",
        ),
        (
            "INSERT INTO periods (month, closed_at, closed_by) VALUES ('2026-04-01', now(), '')",
            psycopg.errors.InsufficientPrivilege, "Months are closed one after the other",
        ),
        ("UPDATE book SET closed_until = NULL", psycopg.errors.InsufficientPrivilege, "permission denied"),
    ):  # fmt: skip
        with pytest.raises(law, match=sentence):
            app_connection.execute(statement.encode())


@pytest.mark.leaves_drift
def test_surgery_past_the_triggers_is_found(
    session: Any, chart: Chart, owner_connection: Connection, run_command: Any
) -> None:
    for month in (JANUARY, FEBRUARY, MARCH):
        close(session, month, BY)
    session.commit()
    owner_connection.execute("ALTER TABLE periods DISABLE TRIGGER USER")
    owner_connection.execute("UPDATE periods SET status = 'open' WHERE month = '2026-02-01'")
    assert not months_in_order.compare(session.connection()).holds
    found = json.loads(run_command("audit", "verify-facts", "--table", "periods", "--json").stdout)
    assert len(found["findings"]) == 1
    owner_connection.execute("UPDATE periods SET status = 'closed' WHERE month = '2026-02-01'")
    owner_connection.execute("ALTER TABLE periods ENABLE TRIGGER USER")
    owner_connection.execute("UPDATE book SET closed_until = '2026-01-31'")
    session.rollback()
    assert not months_in_order.compare(session.connection()).holds
    with pytest.raises(NotInOrder, match="Closed months out of order"):
        close(session, MARCH + 1, BY)


def test_the_checklist_names_what_is_open_and_forbids(
    session: Any, chart: Chart, run_command: Any
) -> None:
    PaymentFactory(paid_on=date(2026, 1, 9))
    ReadingFactory(read_on=date(2026, 1, 9))
    ReadingFactory(read_on=date(2026, 2, 9))
    a_draft(chart)
    session.commit()
    found = {c.check.name: (c.count, c.forbids) for c in checklist(session, JANUARY)}
    assert found | {"payments": (1, True), "readings": (1, True), "drafts": (1, True)} == found
    assert {found[name] for name in ("drift", "equation", "tied", "order")} == {(0, False)}
    answer = run_command("ledger", "close-period", "2026-01", "--json")
    said = json.loads(answer.stdout)
    assert (answer.exit_code, said["month"], said["status"]) == (1, "2026-01", "open")
    assert {c["name"]: c["count"] for c in said["checks"]}["readings"] == 1
    assert session.scalars(select(Period)).all() == []


def test_commands_close_and_reopen_and_a_dry_run_closes_nothing(
    session: Any, chart: Chart, run_command: Any
) -> None:
    session.commit()
    dry = run_command("ledger", "close-period", "2026-01", "--dry-run")
    assert (dry.exit_code, dry.stdout.splitlines()[-1]) == (0, "2026-01 is open.")
    assert book.locked_until(session) is None
    session.rollback()
    done = run_command("ledger", "close-period", "2026-01", "--json")
    assert (done.exit_code, json.loads(done.stdout)["status"]) == (0, "closed")
    assert book.locked_until(session) == date(2026, 1, 31)
    session.rollback()
    for line, sentence in (
        (("close-period", "2026-01"), "2026-01 is closed already."),
        (("close-period", "January"), "January is not a month; write it as YYYY-MM"),
        (("reopen-period", "2026-01"), "Say why"),
    ):
        refused = run_command("ledger", *line)
        assert (refused.exit_code, sentence in refused.stderr) == (2, True), line
    opened = run_command("ledger", "reopen-period", "2026-01", "--reason", "Late", "--json")
    assert json.loads(opened.stdout) == {"month": "2026-01", "status": "open", "run": None}
    assert book.locked_until(session) is None


def test_the_screen_closes_and_reopens_with_who_and_why_and_only_those_who_may(
    session: Any, chart: Chart, sign_in: Callable[[str], Any]
) -> None:
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    late = a_draft(chart)
    session.commit()
    at = "/ledger/periods/2026-01"
    finance = sign_in("finance")
    page = finance.get("/ledger/periods").text
    assert "Not in order" in page
    assert f"{at}/close" not in page
    refused = finance.post(f"{at}/close", data={"idempotency_key": "1"})
    assert (refused.status_code, "2026-01 cannot be closed yet" in refused.text) == (422, True)
    late.entry_date = date(2026, 4, 1)
    session.commit()
    assert f"{at}/close" in finance.get("/ledger/periods").text
    closed = finance.post(f"{at}/close", data={"idempotency_key": "2"}, follow_redirects=True)
    assert "January 2026 is closed." in closed.text
    assert f"{at}/reopen" in closed.text
    for role in ("viewer", "account_manager"):
        assert sign_in(role).post(f"{at}/reopen", data={"reason": "x"}).status_code == 403
    assert f"{at}/reopen" not in sign_in("viewer").get("/ledger/periods").text
    admin = sign_in("admin")
    empty = admin.post(f"{at}/reopen", data={"reason": "", "idempotency_key": "3"})
    assert (empty.status_code, "Say why" in empty.text) == (422, True)
    opened = admin.post(
        f"{at}/reopen",
        data={"reason": "A late bill", "idempotency_key": "4"},
        follow_redirects=True,
    )
    assert "January 2026 is open again." in opened.text
    assert "A late bill" in opened.text
    assert admin.get("/ledger/periods?month=2026-13").status_code == 404
    session.rollback()
    assert book.locked_until(session) is None


def test_where_two_people_are_needed_the_screen_says_who_asked_and_who_approved(
    app: Flask, session: Any, chart: Chart, sign_in: Callable[..., Any]
) -> None:
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    session.commit()
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    ana, budi = sign_in("finance", name="Ana Asker"), sign_in("admin", name="Budi Second")
    for verb, typed in (("close", {}), ("reopen", {"reason": "A late bill"})):
        asked = {"idempotency_key": verb, **typed}
        card = ana.post(f"/ledger/periods/2026-01/{verb}", data=asked)
        assert "a second person will have to approve it" in text_of(card.text)
        run_at = confirm(ana, card, card_reason="Done by the 5th").location
        page = text_of(budi.get("/ledger/periods").text)
        for words in ("Waits for approval", "Ana Asker", "Done by the 5th"):
            assert words in page, words
        is_open = book.locked_until(session) is None
        session.rollback()
        assert is_open is (verb == "close"), "nothing is done yet"
        # what accounts hold may change meanwhile: it is the month that is approved
        posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 3, 7))
        session.commit()
        budi.post(f"{run_at}/approve", data={"idempotency_key": verb})
        done = performed(db.engine, int(run_at.rpartition("/")[2])).run
        assert (done.status, done.skipped) == ("done", 0), done.error
        page = text_of(ana.get("/ledger/periods").text)
        assert "approved by Budi Second" in page
        assert "Waits for approval" not in page
    period = session.scalars(select(Period)).one()
    assert (period.closed_by, period.reopened_by) == (done.requested_by,) * 2
    assert (period.approved_by, period.reason) == (done.approved_by, "A late bill")
    last = session.scalars(
        select(AuditEvent).where(AuditEvent.table_name == "periods").order_by(AuditEvent.id.desc())
    ).first()
    assert (last.actor, last.after["status"]) == (done.requested_by, "open")
    trail = text_of(budi.get("/audit").text)
    assert "user:" not in trail
    assert "Ana Asker" in trail


def test_a_command_asks_for_a_second_person_where_the_deployment_needs_one(
    app: Flask, session: Any, chart: Chart, run_command: Any, sign_in: Callable[..., Any]
) -> None:
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    session.commit()
    refused = run_command("ledger", "close-period", "2026-01")
    assert (refused.exit_code, "Say why" in refused.stderr) == (2, True)
    answer = run_command("ledger", "close-period", "2026-01", "--reason", "Month end", "--json")
    said = json.loads(answer.stdout)
    assert (answer.exit_code, said["status"]) == (1, "open")
    assert book.locked_until(session) is None
    session.rollback()
    sign_in("finance").post(f"/runs/{said['run']}/approve", data={"idempotency_key": "1"})
    assert performed(db.engine, said["run"]).run.status == "done"
    period = session.scalars(select(Period)).one()
    assert (period.closed_by.split(":")[0], period.approved_by.split(":")[0]) == ("cli", "user")
    session.rollback()
    line = ("reopen-period", "2026-01", "--reason", "Late", "--json")
    opened = run_command("ledger", *line)
    assert (opened.exit_code, json.loads(opened.stdout)["status"]) == (1, "closed")
    assert book.locked_until(session) == date(2026, 1, 31)


def test_what_waited_to_reopen_a_closing_leaves_a_later_one_of_the_month_alone(
    app: Flask, session: Any, chart: Chart, run_command: Any, sign_in: Callable[..., Any]
) -> None:
    close(session, JANUARY, BY)
    session.commit()
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    line = ("reopen-period", "2026-01", "--reason", "Late", "--json")
    asked = json.loads(run_command("ledger", *line).stdout)["run"]
    reopen(session, JANUARY, BY, "Another bill")
    session.commit()
    close(session, JANUARY, BY)
    session.commit()
    sign_in("finance").post(f"/runs/{asked}/approve", data={"idempotency_key": "1"})
    run = performed(db.engine, asked).run
    assert (run.changed, run.skipped > 0) == (0, True)
    assert book.locked_until(session) == date(2026, 1, 31)
    session.rollback()
    again = json.loads(run_command("ledger", *line).stdout)["run"]
    sign_in("finance").post(f"/runs/{again}/approve", data={"idempotency_key": "2"})
    assert performed(db.engine, again).run.skipped == 0
    assert book.locked_until(session) is None


@pytest.mark.slow
@pytest.mark.parametrize("is_locked", [True, False])
def test_whoever_closes_waits_for_who_posts_and_without_the_lock_an_entry_slips_in(
    app: Flask, session: Any, chart: Chart, owner_connection: Connection, is_locked: bool
) -> None:
    """The second case is the mutant."""
    lines = of(chart["Cash"], 5), of(chart["Capital"], -5)
    session.commit()
    session.rollback()
    meet = barrier(2)

    def post() -> str:
        actions.enter(db.session(), date(2026, 1, 15), lines)
        meet.wait()
        time.sleep(1)
        is_closed = book.locked_until(db.session()) is not None
        db.session.commit()
        return "in a closed month" if is_closed else "before it was closed"

    def shut() -> str:
        meet.wait()
        close(db.session(), JANUARY, BY)
        db.session.commit()
        return "closed"

    if is_locked:
        assert together(app, post, shut) == ["before it was closed", "closed"]
        return
    with replaced(owner_connection, KEEPS_ENTRIES.name, HOLD, ""):
        assert together(app, post, shut) == ["in a closed month", "closed"]


@pytest.mark.slow
def test_whoever_posts_while_a_month_is_closed_waits_and_is_refused(
    app: Flask, session: Any, chart: Chart
) -> None:
    lines = of(chart["Cash"], 5), of(chart["Capital"], -5)
    session.commit()
    session.rollback()
    meet = barrier(2)

    def shut() -> str:
        close(db.session(), JANUARY, BY)
        meet.wait()
        time.sleep(0.5)
        db.session.commit()
        return "closed"

    def post() -> str:
        meet.wait()
        try:
            actions.enter(db.session(), date(2026, 1, 15), lines)
            db.session.commit()
        except (Locked, DBAPIError):
            db.session.rollback()
            return "refused"
        return "posted"

    assert together(app, shut, post) == ["closed", "refused"]


AMOUNT = st.integers(-9_999, 9_999).filter(bool).map(lambda cents: Decimal(cents).scaleb(-2))
BOOKED = st.tuples(
    st.sampled_from(sorted(CHART)), st.sampled_from(sorted(CHART)), AMOUNT,
    st.dates(date(2025, 1, 1), date(2026, 1, 31)),
).filter(lambda one: one[0] != one[1])  # fmt: skip


@settings(
    max_examples=examples(8), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.lists(BOOKED, max_size=8))
def test_closing_a_year_zeroes_revenue_and_expenses_and_reopening_takes_it_back(
    session: Any, chart: Chart, booked: list[tuple[str, str, Decimal, date]]
) -> None:
    kept = session.scalars(select(Account).where(Account.role == RETAINED_EARNINGS)).one_or_none()
    kept = kept or AccountFactory(code="Kept", type="equity", role=RETAINED_EARNINGS)
    for one, other, amount, day in booked:
        posted(of(chart[one], amount), of(chart[other], -amount), day=day)
    session.commit()
    december = Month(2025, 12)

    def at_the_end() -> dict[str, Decimal]:
        return {one.code: one.debit - one.credit for one in trial_balance(session, december.last)}

    def of_the_year() -> Any:
        year = DateRange(date(2025, 1, 1), december.last)
        return income_statement_of(session, [year]).result.amounts

    before, income = at_the_end(), of_the_year()
    earned = sum(v for code, v in before.items() if CHART.get(code) in ("revenue", "expense"))
    period = close(session, december, BY)
    after = at_the_end()
    assert of_the_year() == income, "closing a year is no expense"
    assert not {code for code in after if CHART.get(code) in ("revenue", "expense")}
    assert after.get("Kept", 0) == before.get("Kept", 0) + earned
    assert sum(after.values()) == 0, "assets = liabilities + equity"
    others = {c for c in before if CHART.get(c) not in (None, "revenue", "expense")}
    assert {c: after.get(c) for c in others} == {c: before[c] for c in others}
    entries = set(session.scalars(closing_entries()))
    assert entries == ({period.closing_entry_id} if period.closing_entry_id else set())
    assert bool(entries) == any(CHART.get(c) in ("revenue", "expense") for c in before)
    reopen(session, december, BY, "Late")
    assert at_the_end() == before
    assert close(session, december, BY).status == "closed"
    assert at_the_end() == after
    reopen(session, december, BY, "Next example")
    session.commit()
    assert [str(one) for one in figures.verify(db.session)] == []


def test_a_year_with_earnings_wants_an_account_for_them(session: Any, chart: Chart) -> None:
    posted(of(chart["Cash"], 7), of(chart["Sales"], -7), day=date(2025, 5, 5))
    session.commit()
    close(session, Month(2025, 11), BY)
    with pytest.raises(NotInOrder, match="none of equity is used for retained earnings"):
        close(session, Month(2025, 12), BY)


def test_a_document_that_is_not_posted_keeps_its_month_open(session: Any, chart: Chart) -> None:
    accounts_of_roles()
    InvoiceFactory(meter=MeterAssignmentFactory().meter, issued_on=date(2026, 1, 9))
    session.commit()
    with pytest.raises(NotInOrder, match="Documents that are not posted"):
        close(session, JANUARY, BY)
    session.rollback()
    assert reconcile(session, Scope(until=JANUARY.last)) == 1
    assert close(session, JANUARY, BY).status == "closed"


@pytest.mark.leaves_drift
def test_what_is_entered_on_a_control_account_by_hand_keeps_a_month_open_at_once(
    session: Any, chart: Chart, sign_in: Callable[[str], Any]
) -> None:
    roles = accounts_of_roles()
    posted(of(roles["receivables"], 12), of(roles["cash"], -12), day=date(2026, 1, 9))
    session.commit()
    with pytest.raises(NotInOrder, match="Control accounts that do not tie out"):
        close(session, JANUARY, BY)
    session.rollback()
    page = text_of(sign_in("finance").get("/ledger/periods").text)
    assert "Control accounts that do not tie out 1 Not in order" in page


def maintained(
    app: Flask, days: int, schedule: str = "schedule:balance-sheet-maintenance"
) -> list[str]:
    """The months that the maintenance closes or asks for, with what came of each."""
    app.config["CLOSE_MONTHS_AFTER_DAYS"] = days
    with acting_as(schedule):
        run = run_of("ledger.maintenance", SCOPE)
    assert run.status == "done", run.error
    mine = select(RunItem).where(RunItem.run_id == run.id, RunItem.subject == CLOSE.name)
    found = db.session.scalars(mine.order_by(RunItem.id)).all()
    db.session.rollback()
    return [f"{item.key['month']} {item.outcome}" for item in found]


def test_maintenance_closes_due_months_only_where_that_is_switched_on(
    app: Flask, session: Any, chart: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    late = a_draft(chart, date(2026, 3, 3))
    session.commit()
    monkeypatch.setattr("backoffice.ledger.periods.due.periods.today", lambda: date(2026, 3, 9))
    assert maintained(app, 0) == [], "by default nothing is closed"
    assert maintained(app, 5, "token:1") == [], "only the schedule closes"
    assert maintained(app, 40) == [], "not long enough ago"
    assert maintained(app, 5) == ["2026-01 applied", "2026-02 applied"]
    periods = session.scalars(select(Period).order_by(Period.month)).all()
    assert {period.closed_by for period in periods} == {"schedule:balance-sheet-maintenance"}
    session.rollback()
    assert maintained(app, 5) == []
    monkeypatch.setattr("backoffice.ledger.periods.due.periods.today", lambda: date(2026, 4, 9))
    assert maintained(app, 5) == [], "a draft is in the way"
    assert late.number
    session.delete(session.get_one(JournalEntry, late.id))
    session.commit()
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    assert maintained(app, 5) == ["2026-03 found"], "it waits for a user"
    assert maintained(app, 5) == [], "asked once"
    assert book.locked_until(session) == date(2026, 2, 28)


def test_a_month_that_a_person_reopened_a_person_closes(
    app: Flask, session: Any, chart: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    session.commit()
    monkeypatch.setattr("backoffice.ledger.periods.due.periods.today", lambda: date(2026, 3, 9))
    assert maintained(app, 5) == ["2026-01 applied", "2026-02 applied"]
    for months in ((FEBRUARY,), (FEBRUARY, JANUARY)):
        for month in months:
            reopen(session, month, BY, "A late bill")
        session.commit()
        assert maintained(app, 5) == []
        for month in reversed(months):
            assert maintained(app, 5) == []
            close(session, month, BY)
            session.commit()
    monkeypatch.setattr("backoffice.ledger.periods.due.periods.today", lambda: date(2026, 4, 9))
    assert maintained(app, 5) == ["2026-03 applied"]


def test_what_reopening_the_first_closing_has_opened_is_not_closed_by_itself(
    app: Flask, session: Any, chart: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first month that is closed closes everything before it, and its reopening opens that again."""
    posted(of(chart["Cash"], 5), of(chart["Capital"], -5), day=date(2026, 1, 7))
    session.commit()
    close(session, FEBRUARY, BY)
    reopen(session, FEBRUARY, BY, "A late bill")
    session.commit()
    monkeypatch.setattr("backoffice.ledger.periods.due.periods.today", lambda: date(2026, 4, 9))
    assert maintained(app, 5) == []
    assert book.locked_until(session) is None
