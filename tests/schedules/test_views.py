"""The screen of schedules: its content, the permission to run one now, and that a form has one effect."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.runs import actions
from backoffice.runs.models import DONE, FAILED, Run
from backoffice.schedules import queries, scheduler
from backoffice.schedules.catalog import SCHEDULES
from backoffice.schedules.models import KnownSchedule, Scheduler

HOUR = timedelta(hours=1)


def known_since(moment: datetime) -> None:
    for schedule in SCHEDULES:
        db.session.merge(KnownSchedule(name=schedule.name, known_since=moment))
    db.session.commit()


def post(client: Any, name: str, key: str = "k") -> Any:
    return client.post(f"/schedules/{name}/run", data={"idempotency_key": key})


def row_of(page: str, title: str) -> str:
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    return next(" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows if title in row)


def test_every_schedule_is_told_in_words_with_its_next_due_time(session: Any, sign_in: Any) -> None:
    page = sign_in("viewer").get("/schedules").text
    for schedule in SCHEDULES:
        assert schedule.title in page
    assert "every night at 02:00" in row_of(page, "Verify every figure and heal")
    assert "every month on day 1 at 03:00" in row_of(page, "Monthly rebuild")
    assert "every 6 hours, from midnight" in row_of(page, "Balance health")
    assert "every Sunday at 04:00" in row_of(page, "Weekly full recalculation")
    assert "every quarter, on day 1 of its first month" in row_of(page, "Quarterly")
    assert "every 5 minutes" in row_of(page, "Seal the audit trail")
    assert "Not due yet" in row_of(page, "Monthly rebuild")
    assert "Asia/Jakarta" in page


def test_the_screen_speaks_indonesian_times_too(session: Any, sign_in: Any) -> None:
    page = sign_in("viewer", language="id").get("/schedules").text
    assert "Minggu" in row_of(page, "04:00") or "Minggu" in row_of(page, "04.00")


def test_without_a_scheduler_it_says_so_and_how_to_start_one(session: Any, sign_in: Any) -> None:
    client = sign_in("viewer")
    assert "No scheduler is at work" in client.get("/schedules").text
    scheduler.look(db.engine)
    assert "1 scheduler is at work" in client.get("/schedules").text
    session.execute(update(Scheduler).values(looked_at=func.now() - HOUR))
    session.commit()
    page = client.get("/schedules").text
    assert "No scheduler has looked what is due since" in page
    assert "python worker.py --scheduler" in page


def test_a_run_that_was_cancelled_before_it_began_meets_no_due_time(
    session: Any, sign_in: Any
) -> None:
    known_since(datetime.now(UTC) - timedelta(days=200))
    client, title = sign_in("finance"), "Verify facts against the audit trail"
    [late] = [s for s in SCHEDULES if s.title == title]
    assert "On time" not in row_of(client.get("/schedules").text, title)
    assert post(client, late.name).status_code == 303
    assert "On time" in row_of(client.get("/schedules").text, title)
    run_id = session.scalars(select(Run.id)).one()
    actions.cancel(session, run_id)
    session.commit()
    assert "On time" not in row_of(client.get("/schedules").text, title)


@pytest.mark.parametrize(
    "counts", [{"due_at": func.now()}, {"started_at": func.now()}], ids=["scheduled", "begun"]
)
def test_a_cancelled_run_that_was_scheduled_or_begun_meets_its_due_time(
    session: Any, sign_in: Any, counts: dict[str, Any]
) -> None:
    known_since(datetime.now(UTC) - timedelta(days=200))
    client, title = sign_in("finance"), "Verify facts against the audit trail"
    [late] = [s for s in SCHEDULES if s.title == title]
    assert post(client, late.name).status_code == 303
    actions.cancel(session, session.scalars(select(Run.id)).one())
    session.execute(update(Run).values(counts))
    session.commit()
    assert "On time" in row_of(client.get("/schedules").text, title)


def test_what_is_overdue_is_told(session: Any, sign_in: Any) -> None:
    known_since(datetime.now(UTC) - timedelta(days=200))
    page = sign_in("viewer").get("/schedules").text
    reported = row_of(page, "Verify every figure and heal")
    assert "Overdue" in reported or "Not started" in reported
    assert "never" in reported
    assert "Not started" in row_of(page, "Monthly rebuild") or "Overdue" in row_of(
        page, "Monthly rebuild"
    )


def test_the_last_run_is_a_link_with_its_result(session: Any, sign_in: Any) -> None:
    run = actions.request(session, "figures.verify", {}, schedule="balance-health")
    run.status, run.finished_at = FAILED, func.now()
    session.commit()
    page = sign_in("viewer").get("/schedules").text
    assert f'href="/runs/{run.id}"' in page
    assert "Failed" in row_of(page, "Balance health")


def test_what_waits_names_the_run_that_it_waits_for(session: Any, sign_in: Any) -> None:
    known_since(datetime.now(UTC) - timedelta(days=200))
    run = actions.request(session, "figures.verify", {})
    session.commit()
    scheduler.look(db.engine)
    page = sign_in("viewer").get("/schedules").text
    assert f"Run {run.id} does the same at the moment" in row_of(page, "Balance health")


def test_run_now_asks_for_the_run_once_however_often_the_form_is_sent(
    session: Any, sign_in: Any
) -> None:
    client = sign_in("finance")
    first, again = post(client, "balance-verify-sync"), post(client, "balance-verify-sync")
    run = session.scalars(select(Run)).one()
    assert first.status_code == again.status_code == 303
    assert first.location == again.location == f"/runs/{run.id}"
    assert (run.kind, run.scope, run.dry_run, run.schedule) == ("figures.heal", {}, True, None), (
        "what it would correct is shown first"
    )
    assert run.due_at is None
    assert run.requested_by.startswith("user:")


def test_what_is_under_way_is_shown_instead_of_being_started_again(
    session: Any, sign_in: Any
) -> None:
    client = sign_in("finance")
    first = post(client, "balance-verify-sync", "one")
    second = post(client, "balance-verify-sync", "two")
    assert first.location == second.location
    assert "does the same at the moment" in client.get("/schedules").text
    assert session.scalar(select(func.count()).select_from(Run)) == 1


def test_a_form_without_its_key_is_refused(session: Any, sign_in: Any) -> None:
    assert post(sign_in("finance"), "balance-verify-sync", "").status_code == 422
    assert session.scalar(select(func.count()).select_from(Run)) == 0


@pytest.mark.parametrize("role", ["viewer", "account_manager"])
def test_who_may_not_run_is_refused_and_is_shown_no_button(
    session: Any, sign_in: Any, role: str
) -> None:
    client = sign_in(role)
    assert post(client, "balance-verify-sync").status_code == 403
    page = client.get("/schedules")
    assert page.status_code == (200 if role == "viewer" else 403)
    assert "Run now" not in page.text


def test_an_unknown_schedule_is_not_found(app: Any, sign_in: Any) -> None:
    assert post(sign_in("finance"), "no-such-schedule").status_code == 404


def notices(app: Any, source: str) -> list[Any]:
    with app.test_request_context():
        sources = {known.name: known for known in declared().notices}
        found = list(sources[source].ask(db.session(), None))
        db.session.rollback()
        return found


def test_today_is_told_when_nobody_looks_what_is_due(app: Any, session: Any) -> None:
    (nobody,) = notices(app, "schedules")
    assert (nobody.weight, nobody.href) == ("danger", "/schedules")
    scheduler.look(db.engine)
    assert notices(app, "schedules") == []


def test_today_is_told_of_what_was_not_started(app: Any, session: Any) -> None:
    known_since(datetime.now(UTC) - timedelta(days=200))
    session.add(Scheduler(name="here:1"))
    session.commit()
    late = [s for s in queries.schedule_statuses(session, datetime.now(UTC)) if s.needs_attention]
    (notice,) = notices(app, "schedules")
    assert notice.count == len(late) > 3
    assert notice.weight == "warning"


def test_today_is_told_of_last_nights_runs_and_not_of_housekeeping(app: Any, session: Any) -> None:
    for name, kind, status, found in (
        ("balance-verify-sync", "figures.verify", DONE, 3),
        ("database-routine", "database.routine", FAILED, 0),
        ("audit-seal", "audit.seal", DONE, 0),
    ):
        run = actions.request(session, kind, {}, schedule=name)
        run.status, run.finished_at, run.checked, run.changed = status, func.now(), 10, found
    old = actions.request(session, "figures.heal", {}, schedule="balance-sync-daily")
    old.created_at = datetime.now(UTC) - timedelta(days=2)
    session.commit()
    reported = {notice.sentence.split(" (")[0]: notice.weight for notice in notices(app, "nights")}
    assert reported == {
        "Verify every figure and heal: Done, 3 found wrong": "info",
        "Quarterly database routine: Failed": "danger",
    }
