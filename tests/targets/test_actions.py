"""Entering and proposing targets: no entry is lost, and `generate` stores what `propose` returns."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.records.actions import RecordChanged
from backoffice.targets import actions, queries
from backoffice.targets.actions import Entry
from backoffice.targets.models import AccountManagerTarget
from tests.factories.people import AccountManagerFactory

JANUARY, FEBRUARY = Month(1997, 1), Month(1997, 2)
YEAR = list(Month(1998, 1).through(Month(1998, 12)))


def stored(session):
    rows = session.scalars(select(AccountManagerTarget).order_by(AccountManagerTarget.month)).all()
    return {(row.account_manager.name, str(Month.of(row.month))): row.target for row in rows}


def entry(before, target):
    return Entry(*(None if n is None else Decimal(n) for n in (before, target)))


# Entering


def test_a_target_stands_beside_what_was_achieved(session, nancy, close):
    close(nancy, "1997-01-31", "90")
    session.commit()
    changed = actions.enter(
        session, nancy.id, {JANUARY: entry(None, "100"), FEBRUARY: entry(None, "50")}
    )
    session.commit()
    assert changed == 2
    assert stored(session) == {("Nancy Davolio", "1997-01"): 100, ("Nancy Davolio", "1997-02"): 50}
    assert queries.row_of(session, nancy.id, JANUARY).achieved == 90


def test_a_month_whose_target_is_emptied_goes_unless_there_are_orders(session, nancy, close):
    close(nancy, "1997-01-31", "90")
    actions.enter(session, nancy.id, {m: entry(None, "5") for m in (JANUARY, FEBRUARY)})
    session.commit()
    assert actions.enter(session, nancy.id, {m: entry("5", None) for m in (JANUARY, FEBRUARY)}) == 2
    session.commit()
    assert stored(session) == {("Nancy Davolio", "1997-01"): None}


def test_what_was_not_touched_is_not_written(session, nancy):
    actions.enter(session, nancy.id, {JANUARY: entry(None, "5")})
    session.commit()
    changed = actions.enter(
        session, nancy.id, {JANUARY: entry("5", "5"), FEBRUARY: entry(None, None)}
    )
    session.commit()
    assert changed == 0
    assert queries.row_of(session, nancy.id, JANUARY).version == 1


def test_two_editors_of_different_months_both_have_their_way(session, nancy):
    actions.enter(session, nancy.id, {JANUARY: entry(None, "5")})
    session.commit()
    actions.enter(session, nancy.id, {JANUARY: entry(None, None), FEBRUARY: entry(None, "7")})
    session.commit()
    assert list(stored(session).values()) == [5, 7]


def test_two_editors_of_one_month_do_not_overwrite_each_other_unseen(session, nancy):
    actions.enter(session, nancy.id, {JANUARY: entry(None, "5")})
    session.commit()
    with pytest.raises(actions.TargetsChanged) as refused:
        actions.enter(session, nancy.id, {JANUARY: entry(None, "6"), FEBRUARY: entry(None, "7")})
    assert [row.target for row in refused.value.theirs.values()] == [5]
    session.rollback()
    assert list(stored(session).values()) == [5]
    same = {JANUARY: entry(None, "5")}
    assert actions.enter(session, nancy.id, same) == 0


@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "unlocked"])
def test_the_second_of_two_at_the_same_moment_waits_and_sees_the_first(
    app, session, nancy, app_connection, monkeypatch, is_locked
):
    """The mutant without the manager's lock overwrites the first entry without a conflict."""
    session.commit()
    manager_id = nancy.id
    actions.enter(session, manager_id, {JANUARY: entry(None, "5")})
    if not is_locked:
        monkeypatch.setattr(actions.figures, "hold", lambda *_: None)

    def second():
        with app.app_context():
            try:
                return actions.enter(db.session(), manager_id, {JANUARY: entry(None, "6")})
            except actions.TargetsChanged as changed:
                return changed
            finally:
                db.session.rollback()

    with ThreadPoolExecutor(1) as other:
        outcome = other.submit(second)
        wait_until_another_waits(app_connection)
        session.commit()
        assert isinstance(outcome.result(20), actions.TargetsChanged) is is_locked
    assert list(stored(session).values()) == [5]


@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "unlocked"])
def test_of_two_who_save_one_month_at_the_same_moment_the_second_is_told(
    app, session, nancy, app_connection, monkeypatch, is_locked
):
    """Entering a year locks the manager; the mutant that does not overwrites an entry without a conflict."""
    session.commit()
    manager_id = nancy.id
    actions.enter(session, manager_id, {JANUARY: entry(None, "5")})
    session.commit()
    row = actions.stored_targets(session, manager_id, [JANUARY])[JANUARY]
    row_id, version = row.id, row.version
    actions.enter(session, manager_id, {JANUARY: entry("5", "7")})
    if not is_locked:
        monkeypatch.setattr(actions.figures, "hold", lambda *_: None)
        monkeypatch.setattr(actions.records, "locked", lambda *_: None)

    def second():
        with app.app_context():
            try:
                return actions.change(db.session(), row_id, {"target": Decimal(6)}, version)
            except RecordChanged as changed:
                return changed
            finally:
                db.session.rollback()

    with ThreadPoolExecutor(1) as other:
        outcome = other.submit(second)
        wait_until_another_waits(app_connection)
        session.commit()
        assert isinstance(outcome.result(20), RecordChanged) is is_locked


@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "unlocked"])
def test_of_two_who_set_the_target_of_a_new_month_the_second_is_refused_with_a_sentence(
    app, session, nancy, app_connection, monkeypatch, is_locked
):
    session.commit()
    manager_id = nancy.id
    values = {"account_manager": manager_id, "month": JANUARY.first}
    actions.create(session, {**values, "target": Decimal(5)})
    if not is_locked:
        monkeypatch.setattr(actions.figures, "hold", lambda *_: None)

    def second():
        with app.app_context():
            try:
                return actions.create(db.session(), {**values, "target": Decimal(6)})
            except (actions.TargetThere, IntegrityError) as refused:
                return refused
            finally:
                db.session.rollback()

    with ThreadPoolExecutor(1) as other:
        outcome = other.submit(second)
        wait_until_another_waits(app_connection)
        session.commit()
        assert isinstance(outcome.result(20), actions.TargetThere) is is_locked


def wait_until_another_waits(connection):
    """Wait until a transaction waits for another one's lock."""
    deadline = time.monotonic() + 20
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while connection.execute(waits).fetchone() == (0,):
        assert time.monotonic() < deadline, "Nobody waits."
        time.sleep(0.01)


# Proposing


def test_a_proposal_is_last_years_amount_with_growth_rounded(session, nancy, close):
    close(nancy, "1997-01-31", "90.35")
    close(nancy, "1997-12-01", "0.05")
    close(nancy, "1996-02-01", "7")
    found = actions.generate(session, YEAR, growth=Decimal(10))
    session.commit()
    assert [(str(p.month), p.target) for p in found.proposed] == [
        ("1998-01", Decimal("99.39")),
        ("1998-12", Decimal("0.06")),
    ]
    assert (found.right, found.kept, found.without_basis) == (0, 0, 10)
    assert stored(session)["Nancy Davolio", "1998-12"] == Decimal("0.06")


def test_what_a_user_entered_is_kept_unless_it_is_to_be_replaced(session, nancy, close, aim):
    close(nancy, "1997-01-31", "90")
    close(nancy, "1997-02-28", "80")
    aim(nancy, "1998-01", "1")
    aim(nancy, "1998-03", "3")
    found = actions.generate(session, YEAR)
    session.commit()
    assert ([str(p.month) for p in found.proposed], found.kept) == (["1998-02"], 2)
    again = actions.generate(session, YEAR, update=True)
    session.commit()
    assert [(str(p.month), p.before, p.target) for p in again.proposed] == [("1998-01", 1, 90)]
    assert (again.right, again.kept) == (1, 1)
    assert stored(session)["Nancy Davolio", "1998-03"] == 3
    assert actions.generate(session, YEAR, update=True).proposed == []


def test_a_month_with_nothing_to_go_by_gets_what_is_given(session, nancy):
    found = actions.generate(session, YEAR[:2], otherwise=Decimal(25))
    session.commit()
    assert [p.target for p in found.proposed] == [25, 25]
    assert len(stored(session)) == 2


def test_targets_are_proposed_for_active_account_managers_only(session, finance, close):
    gone = AccountManagerFactory(is_active=False)
    for person in (gone, finance):
        close(person, "1997-01-31", "90")
    assert actions.propose(session, YEAR).proposed == []
    session.commit()


def test_a_proposal_writes_nothing(session, nancy, close):
    close(nancy, "1997-01-31", "90")
    session.commit()
    assert len(actions.propose(session, YEAR).proposed) == 1
    session.commit()
    assert set(stored(session)) == {("Nancy Davolio", "1997-01")}


def test_raised_never_exceeds_what_a_column_holds():
    assert actions.raised(Decimal("9999999999999.99"), Decimal(50)) == Decimal("9999999999999.99")
    assert actions.raised(Decimal(100), Decimal(-100)) == 0
