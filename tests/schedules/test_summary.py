"""The daily summary: yesterday's drift, corrections by cause, failed runs, and what was verified."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base import periods, table_of
from backoffice.database.proof import prove
from backoffice.drift import figure_status
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.figures.models import Correction
from backoffice.runs import actions
from backoffice.runs.models import DONE, DONE_WITH_FAILURES, FAILED, Run
from backoffice.runs.working import perform
from backoffice.schedules.catalog import schedule_of
from backoffice.schedules.wording import summary_in_words
from tests.drift.books import an_order
from tests.factories.people import AccountManagerFactory

DAY = timedelta(days=1)


def perform_summary(due_at: datetime) -> Run:
    schedule = schedule_of("daily-summary")
    assert schedule is not None
    scope = schedule.scope(due_at)
    run_id = actions.request(db.session(), schedule.kind, scope, is_paced=False).id
    db.session.commit()
    perform(db.engine, run_id)
    run = db.session.get_one(Run, run_id, populate_existing=True)
    assert run.status == DONE, run.error
    return run


def seen_wrong(at: datetime, amount: str, key: int, **values: Any) -> None:
    db.session.add(
        DriftFinding(
            figure="orders.grand_total", owner=1, key={"id": key}, kind="different",
            stored={}, expected={}, amount=Decimal(amount), gross=abs(Decimal(amount)), roots=[], cause="unnoticed",
            first_seen_at=at, last_seen_at=at, **({"is_root": True} | values),
        )
    )  # fmt: skip


def test_it_sums_up_the_business_day_before_the_due_time(session: Any) -> None:
    today = date(2026, 3, 1)
    start = periods.start_of(today - DAY)
    due_at = periods.start_of(today) + timedelta(hours=6, minutes=30)
    assert start.date() == date(2026, 2, 27)  # in UTC it is still the day before
    within, before, after = start + DAY / 2, start - timedelta(seconds=1), start + DAY
    seen_wrong(within, "-2.50", 1)
    seen_wrong(start, "10.00", 2, healed_at=within)
    seen_wrong(within, "10.00", 3, is_root=False)
    seen_wrong(before, "99.00", 4)
    seen_wrong(after, "99.00", 5)
    prove(session.connection())
    for cause, at in (("heal", within), ("bypass", start), ("bypass", within), ("heal", after)):
        values = {"figure": "x", "owner": 1, "key": {}, "cause": cause, "at": at}
        session.execute(insert(table_of(Correction)).values(values))
    for status, at in (
        (FAILED, within),
        (DONE_WITH_FAILURES, within),
        (DONE, start),
        (FAILED, after),
    ):
        session.add(Run(kind="chore", scope={}, scope_key="", status=status, finished_at=at))
    session.commit()

    run = perform_summary(due_at)

    assert run.scope == {"day": "2026-02-28"}
    covered = {"figures": len(figures.registry.figures), "verified": 0}
    books = run.result.pop("books")
    assert (books["right"], books["wrong"]) == (False, 4)
    assert run.result == {
        "day": "2026-02-28",
        "drift": {"rows": 3, "net": "17.50", "gross": "22.50"},
        "corrections": {"bypass": 2, "heal": 1},
        "runs": {"finished": 3, "failed": 1, "with_failures": 1},
        "coverage": covered,
    }


def test_a_quiet_day_has_a_summary_too(session: Any) -> None:
    run = perform_summary(datetime.now(UTC))
    assert run.result["drift"] == {"rows": 0, "net": "0", "gross": "0"}
    assert run.result["corrections"] == {}


def test_only_what_was_verified_within_a_day_is_covered(session: Any) -> None:
    now = datetime.now(UTC)
    first, second = (figure.name for figure in figures.registry.figures[:2])
    checks = {first: now, second: now - 2 * DAY, "a.figure.that.is.gone": now}
    for name, at in checks.items():
        session.add(FigureCheck(figure=name, verified_at=at, owners=1, drifted=0))
    session.commit()
    assert perform_summary(now).result["coverage"]["verified"] == 1


def test_a_summary_is_told_in_a_line(app: Any, session: Any) -> None:
    run = perform_summary(datetime.now(UTC))
    with app.test_request_context():
        reported = summary_in_words(run.result)
    assert "0 rows had drifted · 0 corrections · 0 runs failed · 0 of" in reported


@pytest.mark.parametrize("what", ["a finding", "notes", "a failed check", "a trigger", "nothing"])
def test_a_summary_says_right_only_where_every_page_does(
    app: Any, session: Any, run_command: Any, app_connection: Any, owner_connection: Any, what: str
) -> None:
    an_order("A-1", account_manager=AccountManagerFactory())
    session.commit()
    assert run_command("figures", "verify").exit_code == 0
    if what == "a finding":
        seen_wrong(datetime.now(UTC), "2.00", 1)
    elif what == "notes":
        app_connection.execute("UPDATE order_lines SET quantity = quantity")
        app_connection.execute("UPDATE order_lines SET quantity = quantity + 1")
    elif what == "a failed check":
        now = datetime.now(UTC)
        times = dict.fromkeys(("created_at", "started_at", "finished_at"), now)
        session.add(Run(kind="figures.verify", scope={}, scope_key="", status=FAILED, **times))
    elif what == "a trigger":
        owner_connection.execute("ALTER TABLE orders DISABLE TRIGGER USER")
    session.commit()
    figure_status.forget_everything()
    try:
        result = perform_summary(datetime.now(UTC)).result
        with app.test_request_context():
            figure_status.forget_everything()
            assert (
                result["books"]["right"]
                == (figure_status.now().state == "right")
                == (what == "nothing")
            )
            reported = summary_in_words(result)
        assert ("Every stored figure was right." in reported) == (what == "nothing")
    finally:
        owner_connection.execute("ALTER TABLE orders ENABLE TRIGGER USER")
        run_command("figures", "heal", "--noted")
        figure_status.forget_everything()
