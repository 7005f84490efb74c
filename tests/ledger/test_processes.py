"""Several processes at one ledger, and one that dies: nothing is lost, and posting numbers have no gap or duplicate."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.ledger import actions
from backoffice.ledger.models import Account, JournalEntry, JournalLine
from backoffice.ledger.refusals import AlreadyReversed
from backoffice.ledger.triggers import KEEPS_ENTRIES, KEEPS_LINES, NUMBERING, POSTS
from tests.depth import examples
from tests.factories.ledger import draft, of, posted
from tests.faults.test_crashes import interrupted
from tests.processes import barrier, killed, sqlstate, together

from .books import computed_by_python, stored
from .conftest import CHART

pytestmark = pytest.mark.slow

D = Decimal
Chart = dict[str, Account]
DEADLOCK = "40P01"
UNIQUE = "23505"


@contextmanager
def replaced(owner: psycopg.Connection[Any], name: str, old: str, new: str) -> Iterator[None]:
    """A mutant: PostgreSQL's function of that name with `new` for `old`."""
    found = owner.execute(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", (name,)
    ).fetchone()
    assert found is not None
    assert old in found[0], "the mutant changes something"
    owner.execute(found[0].replace(old, new).encode())
    try:
        yield
    finally:
        owner.execute(found[0].encode())


def is_in_step(session: Any) -> bool:
    """Whether accounts are what Python makes of posted lines."""
    session.rollback()
    rows = session.execute(
        select(Account.code, JournalLine.debit - JournalLine.credit)
        .join(JournalLine.account)
        .where(JournalLine.posted_on.is_not(None))
    )
    lines = [(code, amount) for code, amount in rows]
    return stored(session) == computed_by_python(CHART, lines)


def numbers(session: Any) -> dict[int, list[int]]:
    """Posting numbers by year, in their order."""
    session.rollback()
    e = JournalEntry
    found: dict[int, list[int]] = {}
    for day, number in session.execute(
        select(e.entry_date, e.posting_number).where(e.posting_number.is_not(None))
    ):
        found.setdefault(day.year, []).append(number)
    return {year: sorted(each) for year, each in found.items()}


def test_whatever_is_posted_at_once_is_there_once_and_numbers_have_no_gap(
    app: Flask, session: Any, chart: Chart
) -> None:
    """Four processes post, reverse and give up, while a fifth verifies and heals."""
    ids = {code: account.id for code, account in chart.items()}
    session.rollback()

    def hand(seed: int) -> int:
        chance, done = random.Random(seed), 0
        for number in range(examples(25)):
            one, other = chance.sample(sorted(ids), 2)
            amount = D(chance.randint(1, 9_999)).scaleb(-2)
            lines = [
                of(db.session.get(Account, ids[code]), signed)  # type: ignore[arg-type]
                for code, signed in ((one, amount), (other, -amount))
            ]
            chance.shuffle(lines)
            day = date(chance.choice((2025, 2026)), chance.randint(1, 12), 3)
            made = actions.enter(db.session(), day, lines, key=f"{seed}-{number}").row
            if chance.random() < 0.2:
                actions.reverse(db.session(), made.id, {"entry_date": day, "memo": ""})
            if chance.random() < 0.2:
                db.session.rollback()
            else:
                db.session.commit()
                done += 1
        return done

    def watch() -> list[str]:
        found = []
        for _ in range(examples(6)):
            found += [str(finding) for finding in figures.verify(db.session)]
            assert figures.heal(db.session, every_owner=True).corrections == 0
        return found

    *done, found = together(app, *(lambda seed=seed: hand(seed) for seed in range(4)), watch)
    assert found == [], "an account is never seen to differ"
    assert sum(done) > 10
    assert is_in_step(session)
    for year, each in numbers(session).items():
        assert each == list(range(1, len(each) + 1)), year


@pytest.mark.parametrize("is_locked", [True, False])
def test_of_two_who_post_in_one_year_one_waits_for_its_number_and_without_the_lock_both_have_one(
    app: Flask, session: Any, chart: Chart, owner_connection: Any, is_locked: bool
) -> None:
    """The second case is the mutant: PostgreSQL's unique index is what is left."""
    ids = [
        draft(of(chart[one], 5), of(chart[other], -5), number=f"D-{n}").id
        for n, (one, other) in enumerate((("Cash", "Capital"), ("Rent", "Sales")))
    ]
    session.commit()
    session.rollback()
    meet = barrier(2)

    def work(entry_id: int) -> str:
        meet.wait()
        try:
            actions.post(db.session(), entry_id, 1, {})
            time.sleep(0.5)
            db.session.commit()
        except DBAPIError as error:
            db.session.rollback()
            return sqlstate(error)
        return "posted"

    works = [lambda i=i: work(i) for i in ids]
    if is_locked:
        assert together(app, *works) == ["posted", "posted"]
        assert numbers(session) == {2026: [1, 2]}
        return
    with replaced(owner_connection, KEEPS_ENTRIES.name, NUMBERING, ""):
        assert sorted(together(app, *works)) == [UNIQUE, "posted"]


ONE_BY_ONE = """
DECLARE
  one record;
BEGIN
  FOR one IN SELECT l.id, n.entry_date FROM public.journal_lines l JOIN new_rows n ON n.id = l.entry_id
    WHERE n.status = 'posted' ORDER BY l.id
  LOOP
    UPDATE public.journal_lines l SET posted_on = one.entry_date WHERE l.id = one.id;
    PERFORM pg_sleep(0.05);
  END LOOP;
  RETURN NULL;
END """
"""Posts lines in the order of entry, and so locks their accounts in that order."""


@pytest.mark.parametrize("is_ordered", [True, False])
def test_accounts_in_opposite_order_are_locked_in_one_and_without_it_posters_wait_in_a_ring(
    app: Flask, session: Any, chart: Chart, owner_connection: Any, is_ordered: bool
) -> None:
    """FAULTS 21. In two years, so that no number is waited for; the second case is the mutant."""
    ids = {code: account.id for code, account in chart.items()}
    session.rollback()
    meet, rounds = barrier(2), 5

    def work(year: int, codes: tuple[str, str]) -> list[str]:
        stopped = []
        for number in range(rounds):
            session = db.session()
            accounts = [session.get_one(Account, ids[code]) for code in codes]
            lines = of(accounts[0], 1), of(accounts[1], -1)
            entry = draft(*lines, day=date(year, 1, 1), number=f"{year}-{number}")
            session.commit()
            meet.wait()
            try:
                actions.post(session, entry.id, 1, {})
                session.commit()
            except DBAPIError as error:
                session.rollback()
                stopped.append(sqlstate(error))
        return stopped

    works = (
        lambda: work(2025, ("Cash", "Capital")),
        lambda: work(2026, ("Capital", "Cash")),
    )
    if is_ordered:
        assert together(app, *works) == [[], []]
        assert stored(session)["Cash"] == (rounds, rounds, 0)
        return
    with replaced(owner_connection, POSTS.name, POSTS.body, ONE_BY_ONE):
        first, second = together(app, *works)
    assert {*first, *second} == {DEADLOCK}


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_line_that_comes_while_its_entry_is_posted_waits_and_without_that_it_would_slip_in(
    app: Flask,
    session: Any,
    chart: Chart,
    owner_connection: Any,
    database_url: str,
    is_locked: bool,
) -> None:
    """FAULTS 17. The second case is the mutant."""
    entry = draft(of(chart["Cash"], 5), of(chart["Capital"], -5)).id
    cash = chart["Cash"].id
    session.commit()
    session.rollback()
    meet = barrier(2)

    def post() -> str:
        actions.post(db.session(), entry, 1, {})
        meet.wait()
        time.sleep(0.3)
        db.session.commit()
        return "posted"

    def slip_in() -> str:
        meet.wait()
        line = "INSERT INTO journal_lines (entry_id, account_id, debit) VALUES (%s, %s, 7)"
        try:
            with psycopg.connect(database_url) as program:
                program.execute(line, (entry, cash))
                time.sleep(1)
        except psycopg.errors.InsufficientPrivilege:
            return "refused"
        return "in"

    if is_locked:
        assert together(app, post, slip_in) == ["posted", "refused"]
        assert is_in_step(session)
        return
    with replaced(owner_connection, KEEPS_LINES.name, "FOR SHARE", ""):
        assert together(app, post, slip_in) == ["posted", "in"]


def test_of_five_who_reverse_one_entry_one_does_and_one_key_has_one_effect(
    app: Flask, session: Any, chart: Chart
) -> None:
    made = [posted(of(chart["Cash"], 5), of(chart["Capital"], -5)).id for _ in range(2)]
    session.commit()
    session.rollback()
    reported = {"entry_date": date(2026, 4, 1), "memo": ""}
    meet = barrier(5)

    def reverse(entry_id: int, key: str | None) -> str:
        meet.wait()
        try:
            done = actions.reverse(db.session(), entry_id, reported, key)
            db.session.commit()
        except AlreadyReversed:
            db.session.rollback()
            return "refused"
        return "new" if done.is_new else "the same"

    once = together(app, *[lambda: reverse(made[0], None)] * 5)
    assert sorted(once) == ["new", *["refused"] * 4]
    keyed = together(app, *[lambda: reverse(made[1], "k")] * 5)
    assert sorted(keyed) == ["new", *["the same"] * 4]
    assert stored(session)["Cash"] == (10, 10, 0)


def test_one_key_from_five_processes_is_one_entry(app: Flask, session: Any, chart: Chart) -> None:
    lines = (of(chart["Cash"], 5), of(chart["Capital"], -5))
    session.rollback()
    meet = barrier(5)

    def work() -> tuple[int, bool]:
        meet.wait()
        made = actions.enter(db.session(), date(2026, 1, 1), lines, key="k")
        db.session.commit()
        return made.row.id, made.is_new

    made = together(app, *[work] * 5)
    assert len({key for key, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False] * 4 + [True]
    assert stored(session)["Cash"] == (5, 0, 5)


def test_a_process_killed_at_any_statement_leaves_all_or_nothing(
    app: Flask, session: Any, chart: Chart
) -> None:
    """FAULTS 39."""
    entry = draft(of(chart["Cash"], 5), of(chart["Capital"], -5)).id
    session.commit()
    session.rollback()
    before = stored(session)

    def dying(at: int) -> None:
        with interrupted(at, lambda _pid: os.kill(os.getpid(), signal.SIGKILL)):
            actions.post(db.session(), entry, 1, {})
            db.session.commit()

    for number in range(1, 40):
        session.rollback()
        code = killed(app, lambda number=number: dying(number))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert (stored(session), numbers(session)) == (before, {}), number
    assert number > 3, "lock, read, post, commit at least"
    assert stored(session)["Cash"] == (5, 0, 5)
    assert numbers(session) == {2026: [1]}
