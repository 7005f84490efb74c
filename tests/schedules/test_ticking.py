"""Requesting due runs: each due time at most once, the last missed one, and delays by a live run."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from backoffice.app.config import ROOT
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.runs import actions
from backoffice.runs.models import Run
from backoffice.schedules import queries
from backoffice.schedules.catalog import SCHEDULES, ScheduleError, asking, check
from backoffice.schedules.models import KnownSchedule
from backoffice.schedules.rules import EveryMinutes
from backoffice.schedules.ticking import tick

from .conftest import at, everything_ends, started


def status(schedule, moment):
    found = queries.schedule_statuses(db.session(), moment, [schedule])[0]
    db.session.rollback()
    return found


def test_a_book_that_is_new_starts_nothing_that_was_due_before(session, nightly) -> None:
    one = nightly("one")
    assert tick(db.engine, at("2026-11-20 02:01"), [one]) == []
    assert status(one, at("2026-11-20 02:01")).state == queries.NOT_YET
    assert started() == []


def test_what_is_due_starts_once_in_the_schedules_name(session, nightly) -> None:
    one = nightly("one", scope=asking(fix=True))
    tick(db.engine, at("2026-11-20 12:00"), [one])
    assert tick(db.engine, at("2026-11-21 01:59:59"), [one]) == []
    (run_id,) = tick(db.engine, at("2026-11-21 02:00"), [one])
    everything_ends()
    assert tick(db.engine, at("2026-11-21 02:00:05"), [one]) == []
    run = db.session.get_one(Run, run_id)
    assert (run.schedule, run.due_at) == ("one", at("2026-11-21 02:00"))
    assert (run.requested_by, run.scope) == ("schedule:one", {"fix": True})
    assert status(one, at("2026-11-21 03:00")).state == queries.MET


def test_of_the_times_that_passed_unattended_the_last_is_started_and_no_other(
    session, nightly
) -> None:
    one = nightly("one")
    tick(db.engine, at("2026-11-15 12:00"), [one])
    tick(db.engine, at("2026-11-20 08:00"), [one])
    everything_ends()
    tick(db.engine, at("2026-11-20 08:00:05"), [one])
    assert started() == [at("2026-11-20 02:00")]


def test_what_is_no_longer_worth_starting_is_missed(session, nightly) -> None:
    one = nightly("one")
    tick(db.engine, at("2026-11-15 12:00"), [one])
    assert status(one, at("2026-11-16 13:59")).state == queries.OVERDUE
    assert status(one, at("2026-11-16 14:01")).state == queries.MISSED
    assert tick(db.engine, at("2026-11-16 14:01"), [one]) == []
    assert started() == []


def test_a_user_who_runs_a_schedule_by_hand_has_met_its_due_time(session, nightly) -> None:
    one = nightly("one")
    tick(db.engine, at("2026-11-15 12:00"), [one])
    run = actions.request(db.session(), one.kind, {}, schedule="one")
    run.created_at = at("2026-11-16 02:00:30")
    db.session.commit()
    assert status(one, at("2026-11-16 15:00")).state == queries.MET


def test_a_clock_that_is_set_back_starts_nothing_twice(session, nightly) -> None:
    one = nightly("one")
    tick(db.engine, at("2026-11-15 12:00"), [one])
    moments = [
        "16 02:00:05",
        "16 01:30",
        "16 02:00",
        "14 02:00",
        "17 02:01",
        "16 02:30",
        "17 03:00",
    ]
    for moment in moments:
        tick(db.engine, at(f"2026-11-{moment}"), [one])
        everything_ends()
    assert started() == [at("2026-11-16 02:00"), at("2026-11-17 02:00")]


def test_a_clock_that_was_far_ahead_at_first_holds_nothing_up(session, nightly) -> None:
    one = nightly("one")
    tick(db.engine, at("2027-11-15 12:00"), [one])
    tick(db.engine, at("2026-11-15 12:00"), [one])
    tick(db.engine, at("2026-11-16 02:00"), [one])
    assert started() == [at("2026-11-16 02:00")]


def test_two_that_ask_for_the_same_at_the_same_minute_both_have_their_turn(
    session, nightly
) -> None:
    one, two = both = [nightly("one"), nightly("two")]
    tick(db.engine, at("2026-11-15 12:00"), both)
    (first,) = tick(db.engine, at("2026-11-16 02:00"), both)
    assert tick(db.engine, at("2026-11-16 02:00:05"), both) == []
    waiting = status(two, at("2026-11-16 02:10"))
    assert (waiting.state, waiting.held_by) == (queries.WAITS, first)
    everything_ends()
    (second,) = tick(db.engine, at("2026-11-16 02:20"), both)
    everything_ends()
    assert first != second
    assert started("one") == started("two") == [at("2026-11-16 02:00")]
    assert {status(s, at("2026-11-16 03:00")).state for s in (one, two)} == {queries.MET}


def test_what_waited_too_long_is_skipped_and_says_for_what(session, nightly) -> None:
    one = nightly("one")
    tick(db.engine, at("2026-11-15 12:00"), [one])
    by_hand = actions.request(db.session(), one.kind, {}).id
    db.session.commit()
    assert tick(db.engine, at("2026-11-16 02:00"), [one]) == []
    tick(db.engine, at("2026-11-16 13:00"), [one])
    everything_ends()
    assert tick(db.engine, at("2026-11-16 14:01"), [one]) == []
    found = status(one, at("2026-11-16 14:01"))
    assert (found.state, found.held_by) == (queries.SKIPPED, by_hand)
    assert started() == []


def test_while_one_waits_a_later_due_time_takes_its_place(session, nightly) -> None:
    often = nightly("often", rule=EveryMinutes(5), grace=timedelta(minutes=5))
    tick(db.engine, at("2026-11-15 12:01"), [often])
    tick(db.engine, at("2026-11-15 12:05"), [often])
    for minute in (10, 15, 20):
        assert tick(db.engine, at(f"2026-11-15 12:{minute}"), [often]) == []
    everything_ends()
    tick(db.engine, at("2026-11-15 12:21"), [often])
    assert started() == [at("2026-11-15 12:05"), at("2026-11-15 12:20")]


def test_one_that_cannot_be_asked_for_does_not_keep_the_others(session, nightly) -> None:
    broken = nightly("broken", scope=asking(text="\x00"))
    tick(db.engine, at("2026-11-15 12:00"), [broken, nightly("one")])
    assert len(tick(db.engine, at("2026-11-16 02:00"), [broken, nightly("one")])) == 1
    assert started("one") == [at("2026-11-16 02:00")]


def test_a_schedule_of_an_unknown_kind_is_an_error_at_the_start(app, nightly) -> None:
    with pytest.raises(ScheduleError, match=r"'one' asks for 'no.such.kind'"):
        check(app.declared.kinds, [nightly("one", kind="no.such.kind")])


def test_two_schedules_of_one_name_are_an_error_at_the_start(app, nightly) -> None:
    with pytest.raises(ScheduleError, match="Two schedules are called 'one'"):
        check(app.declared.kinds, [nightly("one"), nightly("one")])


def test_the_app_does_not_start_with_a_schedule_of_an_unknown_kind(app) -> None:
    from backoffice import create_app

    without = [domain for domain in DOMAINS if domain.name != "commands"]
    with pytest.raises(ScheduleError, match="'chore'"):
        create_app({"TESTING": True}, without)


def test_every_schedule_can_be_asked_for_beside_all_the_others(session) -> None:
    midnight = at("2026-11-15 00:00")
    tick(db.engine, midnight - timedelta(days=100))
    assert db.session.scalars(select(KnownSchedule.name)).all()
    db.session.rollback()
    for schedule in SCHEDULES:
        asked = schedule.scope(midnight)
        assert actions.scope_key(asked, dry_run=False)
    scopes = [(s.kind, actions.scope_key(s.scope(midnight), dry_run=False)) for s in SCHEDULES]
    alike = {pair for pair in scopes if scopes.count(pair) > 1}
    assert {kind for kind, _ in alike} == {
        "figures.rebuild"
    }  # monthly and weekly wait for each other


def test_every_schedule_is_told_of_in_the_documentation() -> None:
    page = (ROOT / "docs" / "schedules.md").read_text()
    missing = [s.name for s in SCHEDULES if s.kind != "chore" and f"`{s.name}`" not in page]
    assert missing == []
