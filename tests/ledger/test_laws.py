"""The laws of every entry, for every program that writes: drafts are not counted, posted ones balance and stay."""

import time
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from backoffice import figures
from backoffice.base.refusals import KeyUsedOtherwise, Refusal
from backoffice.figures import registry
from backoffice.ledger import actions
from backoffice.ledger.entries import LineEntry
from backoffice.ledger.models import Account, JournalEntry, JournalLine
from backoffice.ledger.records import ACCOUNT
from backoffice.ledger.refusals import (
    AccountInactive,
    AlreadyReversed,
    BeneathItself,
    EntryPosted,
    NoOneSide,
    NotBalanced,
    NothingToPost,
    NotPosted,
    TooMuchInAccount,
    TypeInUse,
)
from backoffice.records import actions as records
from tests.depth import examples
from tests.factories.ledger import draft, of, posted

from .books import balances, computed_by_python, stored, trial_balance
from .conftest import CHART

D = Decimal
Chart = dict[str, Account]


def test_a_draft_counts_nowhere_and_a_posted_entry_at_once(session: Any, chart: Chart) -> None:
    entry = draft(of(chart["Cash"], 100), of(chart["Capital"], -100))
    session.commit()
    assert balances(session) == {}
    actions.post(session, entry.id, entry.version, {})
    session.commit()
    assert (entry.status, entry.posting_number, entry.version) == ("posted", 1, 2)
    assert balances(session) == {"Cash": 100, "Capital": 100}
    assert stored(session)["Cash"] == (100, 0, 100)
    assert stored(session)["Capital"] == (0, 100, 100)
    assert {line.posted_on for line in entry.lines} == {entry.entry_date}


def test_what_cannot_be_posted_is_refused_with_its_sentence_and_nothing_is_written(
    session: Any, chart: Chart
) -> None:
    cash, capital = chart["Cash"], chart["Capital"]
    day = date(2026, 3, 2)
    for lines, law in (
        ((), NothingToPost),
        ((of(cash, 5),), NotBalanced),
        ((of(cash, 5), of(capital, "-4.99")), NotBalanced),
        ((of(cash, 5), LineEntry(capital.id)), NoOneSide),
        ((of(cash, 5), LineEntry(capital.id, D(2), D(7))), NoOneSide),
        ((of(cash, 5), LineEntry(capital.id, D(-5))), NoOneSide),
    ):
        with pytest.raises(law):
            actions.enter(session, day, lines)
        session.commit()
    capital.is_active = False
    session.commit()
    with pytest.raises(AccountInactive):
        actions.enter(session, day, (of(cash, 5), of(capital, -5)))
    session.commit()
    assert session.scalar(select(func.count()).select_from(JournalEntry)) == 0
    capital.is_active = True
    most = D("9999999999999.99")
    posted(of(cash, most), of(capital, -most))
    session.commit()
    with pytest.raises(TooMuchInAccount):
        actions.enter(session, day, (of(cash, 1), of(capital, -1)))
    session.rollback()
    assert balances(session) == {"Cash": most, "Capital": most}


def test_a_posted_entry_is_neither_changed_nor_deleted_and_reversed_once(
    session: Any, chart: Chart
) -> None:
    document = {"document": "payments:7", "document_date": date(2026, 3, 1)}
    lines = of(chart["Cash"], 100), of(chart["Capital"], -100)
    entry = posted(*lines, source="Bank 7", **document)
    session.commit()
    reported = {"entry_date": date(2026, 4, 1), "memo": "Booked twice"}
    for act in (
        lambda: actions.update(session, entry.id, {"number": "x", **reported, "source": ""}, 2),
        lambda: actions.post(session, entry.id, 2, {}),
    ):
        with pytest.raises(EntryPosted):
            act()
        session.rollback()
    made = actions.reverse(session, entry.id, reported, "k")
    session.commit()
    assert (made.is_new, made.row.source, made.row.reverses_entry_id) == (True, "Bank 7", entry.id)
    assert {name: getattr(made.row, name) for name in document} == document
    assert balances(session) == {}
    assert stored(session)["Cash"] == (100, 100, 0)
    again = actions.reverse(session, entry.id, reported, "k")
    assert (again.is_new, again.row.id) == (False, made.row.id)
    with pytest.raises(AlreadyReversed):
        actions.reverse(session, entry.id, reported, "another")
    with pytest.raises(KeyUsedOtherwise):
        actions.reverse(session, entry.id, {**reported, "memo": "Otherwise"}, "k")
    unposted = draft(of(chart["Cash"], 1), of(chart["Capital"], -1))
    with pytest.raises(NotPosted):
        actions.reverse(session, unposted.id, reported)
    session.rollback()
    back = actions.reverse(session, made.row.id, reported)
    session.commit()
    assert back.is_new, "a reversal is reversed like any entry"
    assert balances(session) == {"Cash": 100, "Capital": 100}


def test_what_comes_again_under_its_key_is_the_first_and_other_content_is_refused(
    session: Any, chart: Chart
) -> None:
    day, lines = date(2026, 3, 2), (of(chart["Cash"], 7), of(chart["Sales"], -7))
    first = actions.enter(session, day, lines, key="k", memo="Sold")
    session.commit()
    again = actions.enter(session, day, lines, key="k", memo="Sold")
    assert (first.is_new, again.is_new, again.row.id) == (True, False, first.row.id)
    for day_, lines_, memo in (
        (date(2026, 3, 3), lines, "Sold"), (day, lines[::-1], "Sold"), (day, lines, "Sold twice"),
        (day, (of(chart["Cash"], 8), of(chart["Sales"], -8)), "Sold"),
    ):  # fmt: skip
        with pytest.raises(KeyUsedOtherwise):
            actions.enter(session, day_, lines_, key="k", memo=memo)
    session.commit()
    assert balances(session) == {"Cash": 7, "Sales": 7}


def test_an_account_keeps_its_type_once_entries_name_it_and_never_stands_beneath_itself(
    session: Any, chart: Chart
) -> None:
    cash, other = chart["Cash"], chart["Receivables"]

    def changed(account: Account, **values: Any) -> Account:
        held = {n: getattr(account, n) for n in ("code", "name", "type", "role", "is_active")}
        held["parent"] = account.parent_id
        return records.update(session, ACCOUNT, account.id, held | values, account.version)

    changed(other, parent=cash.id, type="expense")
    draft(of(cash, 1), of(chart["Capital"], -1))
    session.commit()
    with pytest.raises(TypeInUse):
        changed(cash, type="expense")
    for parent in (cash.id, other.id):
        with pytest.raises(BeneathItself):
            changed(cash, parent=parent)
    session.rollback()


# Another program, with the app's role: whatever the app would refuse, PostgreSQL refuses.

FINAL = (
    "UPDATE journal_entries SET memo = 'x' WHERE id = 1",
    "UPDATE journal_entries SET entry_date = entry_date + 1 WHERE id = 1",
    "UPDATE journal_entries SET status = 'draft' WHERE id = 1",
    "UPDATE journal_entries SET posting_number = 7 WHERE id = 1",
    "DELETE FROM journal_entries WHERE id = 1",
    "UPDATE journal_lines SET debit = debit + 1, credit = credit WHERE entry_id = 1 AND debit > 0",
    "UPDATE journal_lines SET account_id = 3 WHERE id = 1",
    "UPDATE journal_lines SET posted_on = NULL WHERE entry_id = 1",
    "UPDATE journal_lines SET posted_on = posted_on + 1 WHERE entry_id = 1",
    "UPDATE journal_lines SET entry_id = 2 WHERE id = 1",
    "UPDATE journal_lines SET entry_id = 1 WHERE entry_id = 2",
    "DELETE FROM journal_lines WHERE entry_id = 1",
    "INSERT INTO journal_lines (entry_id, account_id, debit) VALUES (1, 1, 5)",
    "INSERT INTO journal_entries (number, entry_date, status, posting_number) VALUES ('x', '2026-01-01', 'posted', 9)",
    "TRUNCATE journal_lines",
    "TRUNCATE journal_entries CASCADE",
)
"""Of a posted entry 1 and a draft 2."""


@pytest.mark.parametrize("statement", FINAL)
def test_the_apps_role_changes_nothing_that_is_posted(
    session: Any, chart: Chart, app_connection: psycopg.Connection[Any], statement: str
) -> None:
    """FAULTS 15 and 17."""
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    draft(of(chart["Cash"], 5), of(chart["Capital"], -5))
    session.commit()
    before = stored(session)
    session.rollback()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(statement.encode())
    assert stored(session) == before


@pytest.mark.parametrize(
    "values", ["5, 5", "0, 0", "-5, 0", "0, -5", "'NaN', 0", "0, 'NaN'", "5, 'NaN'"]
)
def test_what_no_line_can_be_the_database_refuses(
    session: Any, chart: Chart, app_connection: psycopg.Connection[Any], values: str
) -> None:
    draft()
    session.commit()
    with pytest.raises(psycopg.errors.CheckViolation):
        app_connection.execute(
            f"INSERT INTO journal_lines (entry_id, account_id, debit, credit) VALUES (1, 1, {values})".encode()
        )


LINE = "INSERT INTO journal_lines (entry_id, account_id, debit, credit) VALUES (1, {}, {}, {})"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ((1, 5, 0),),
        ((1, 5, 0), (2, 0, 4)),
        ((1, 5, 0), (2, 5, 0)),
        ((1, "100.00", 0), (2, 0, "99.99")),
        ((1, "99.99", 0), (2, 0, "100.00")),
    ],
)
def test_an_unbalanced_entry_is_refused_at_commit(
    session: Any, chart: Chart, database_url: str, lines: Any
) -> None:
    """FAULTS 17: whatever the order of the statements, the transaction is what has to balance."""
    draft()
    session.commit()
    with psycopg.connect(database_url) as program:
        for line in lines:
            program.execute(LINE.format(*line).encode())
        program.execute(b"UPDATE journal_entries SET status = 'posted' WHERE id = 1")
        with pytest.raises(psycopg.errors.CheckViolation, match="not balanced"):
            program.commit()
    assert balances(session) == {}
    assert session.scalar(select(JournalEntry.status)) == "draft"
    session.rollback()


def test_another_program_posts_what_balances_and_every_figure_follows_at_once(
    session: Any, chart: Chart, database_url: str
) -> None:
    draft(day=date(2026, 5, 6))
    session.commit()
    with psycopg.connect(database_url) as program:
        lie = LINE.replace("credit)", "credit, posted_on)").replace("{})", "{}, '1999-01-01')")
        program.execute(lie.format(1, 5, 0).encode())
        program.execute(LINE.format(7, 0, 5).encode())
        program.execute(
            b"UPDATE journal_entries SET status = 'posted', posting_number = 99 WHERE id = 1"
        )
        program.commit()
    assert balances(session) == {"Cash": 5, "Capital": 5}
    assert set(session.scalars(select(JournalLine.posted_on))) == {date(2026, 5, 6)}
    assert session.scalar(select(JournalEntry.posting_number)) == 1, "no writer chooses it"
    assert session.scalar(text("SELECT count(*) FROM figure_notes")) == 0
    session.rollback()


def test_posting_numbers_are_counted_by_the_year_of_the_entry_without_a_gap(
    session: Any, chart: Chart
) -> None:
    def enter(day: date) -> int:
        made = posted(of(chart["Cash"], 1), of(chart["Capital"], -1), day=day)
        return int(made.posting_number or 0)

    assert [enter(date(2026, 12, 31)), enter(date(2027, 1, 1)), enter(date(2026, 1, 1))] == [
        1,
        1,
        2,
    ]
    session.commit()
    assert enter(date(2026, 6, 1)) == 3
    session.rollback()
    assert enter(date(2026, 6, 1)) == 3, "what was given up has used none"
    drafts = [
        draft(of(chart["Cash"], 1), of(chart["Capital"], -1), number=f"D-{n}") for n in range(3)
    ]
    session.commit()
    session.execute(text("UPDATE journal_entries SET status = 'posted' WHERE status = 'draft'"))
    session.commit()
    session.expire_all()
    assert sorted(entry.posting_number or 0 for entry in drafts) == [4, 5, 6], (
        "in one statement too"
    )


# Histories

amounts = st.decimals("0.01", 10_000, places=2)
parts = st.lists(st.tuples(st.sampled_from(sorted(CHART)), amounts), min_size=1, max_size=4)
entries = st.lists(
    st.tuples(
        parts, st.sampled_from(sorted(CHART)), st.dates(date(2024, 1, 1), date(2026, 12, 31)),
        st.sampled_from(["draft", "unbalanced", "post", "post", "post", "reverse", "twice"]), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip
"""Debits, the account that is credited for them, the day, what is done, and whether it is committed at once."""


def refused(act: Any) -> type[Refusal] | None:
    try:
        act()
    except Refusal as refusal:
        return type(refusal)
    return None


def test_every_history_is_as_python_makes_it_and_every_trial_balance_balances(
    session: Any, sweep: Any
) -> None:
    from tests.factories.ledger import AccountFactory

    @settings(max_examples=examples(40), deadline=None)
    @given(entries)
    def holds(history: Any) -> None:
        session.rollback()
        sweep()
        chart = {code: AccountFactory(code=code, type=kind) for code, kind in CHART.items()}
        session.commit()
        lines: list[tuple[date, str, Decimal]] = []
        for debits, credited, day, does, is_committed in history:
            total = sum((amount for _code, amount in debits), D(0))
            signed = [*debits, (credited, -total)]
            entered = [of(chart[code], amount) for code, amount in signed]
            if does == "unbalanced":
                odd = [*entered, of(chart["Cash"], "0.01")]
                assert refused(lambda odd=odd, day=day: posted(*odd, day=day)) is NotBalanced
            elif does == "draft":
                draft(*entered, day=day)
            else:
                made = posted(*entered, day=day)
                lines += [(day, code, amount) for code, amount in signed]
                reported = {"entry_date": day, "memo": ""}
                for _ in range({"reverse": 1, "twice": 2}.get(does, 0)):
                    act = partial(actions.reverse, session, made.id, reported)
                    if refused(act) is None:
                        lines += [(day, code, -amount) for code, amount in signed]
            if is_committed:
                session.commit()
        session.commit()
        assert stored(session) == computed_by_python(CHART, [line[1:] for line in lines])
        for day in {line[0] for line in lines} | {date(2025, 6, 30)}:
            held = trial_balance(session, day)
            assert sum(one.debit for one in held) == sum(one.credit for one in held)
            until = computed_by_python(CHART, [line[1:] for line in lines if line[0] <= day])
            assert {one.code: one.debit - one.credit for one in held} == {
                code: sums[0] - sums[1] for code, sums in until.items() if sums[0] != sums[1]
            }
        assert list(figures.verify(session)) == []

    holds()


# Tampering

TAMPERED = {
    "an account's debits": ("UPDATE accounts SET debits = debits + 1 WHERE code = 'Cash'", {"accounts.sums"}),
    "an account's credits": ("UPDATE accounts SET credits = 7 WHERE code = 'Cash'", {"accounts.sums"}),
    "a line's amount": ("UPDATE journal_lines SET debit = debit + 1 WHERE id = 1", {"accounts.sums"}),
    "a line removed": ("DELETE FROM journal_lines WHERE id = 1", {"accounts.sums"}),
    "the day of a line": ("UPDATE journal_lines SET posted_on = NULL WHERE id = 1", {"accounts.sums"}),
}  # fmt: skip


@pytest.mark.leaves_drift
@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_written_over_is_found_and_named(
    session: Any, chart: Chart, surgery: Any, what: str
) -> None:
    """FAULTS 16."""
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    posted(of(chart["Rent"], 30), of(chart["Capital"], -30))
    session.commit()
    statement, wrong = TAMPERED[what]
    surgery.execute(statement)
    found = list(figures.verify(session))
    assert {root.figure for f in found for root in f.roots} == wrong
    assert {f.owner for f in found} == {chart["Cash"].id}
    session.rollback()


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_lines SET debit = debit + 1 WHERE id = 1", "DELETE FROM journal_lines WHERE id = 1",
        "INSERT INTO journal_lines (entry_id, account_id, credit, posted_on) VALUES (1, 1, 5, '2026-03-02')",
        "UPDATE journal_lines SET entry_id = 2 WHERE id = 1",
    ],
)  # fmt: skip
def test_an_entry_that_does_not_balance_any_more_is_named(
    session: Any, chart: Chart, surgery: Any, statement: str
) -> None:
    first = posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    second = posted(of(chart["Rent"], 30), of(chart["Capital"], -30))
    session.commit()
    balanced, trial = (
        next(c for c in registry_checks() if c.name == name)
        for name in ("journal.balanced", "accounts.trial")
    )
    assert balanced.compare(session.connection()).holds
    assert trial.compare(session.connection()).holds
    session.rollback()
    surgery.execute(statement)
    named = {part.label for part in balanced.differing(session.connection())}
    both = {first.number, second.number} if "entry_id = 2" in statement else {first.number}
    assert named == both
    session.rollback()
    surgery.execute("UPDATE accounts SET debits = debits + 3 WHERE code = 'Cash'")
    assert not trial.compare(session.connection()).holds
    session.rollback()


def registry_checks() -> list[Any]:
    from backoffice.app.domain import declared

    assert registry is not None
    return list(declared().checks.values())


MANY = 2_000


def test_thousands_are_posted_as_fast_on_a_connection_that_has_posted_one(
    session: Any, chart: Chart, owner_database_url: str
) -> None:
    """PostgreSQL keeps the plan of the first posting, of one entry: it compared each of thousands with each."""
    accounts = chart["Cash"].id, chart["Capital"].id
    with psycopg.connect(owner_database_url) as connection:
        ids = [
            number
            for (number,) in connection.execute(
                "INSERT INTO journal_entries (number, entry_date) SELECT 'JE-' || n, '2026-03-02'"
                " FROM generate_series(1, %s) AS n RETURNING id",
                [MANY],
            )
        ]
        connection.execute(
            "INSERT INTO journal_lines (entry_id, position, account_id, debit, credit)"
            " SELECT e, p, (%s::bigint[])[p + 1], 5 * (1 - p), 5 * p"
            " FROM unnest(%s::bigint[]) AS e, generate_series(0, 1) AS p",
            [list(accounts), ids],
        )
        connection.commit()

    def took(*first: int) -> float:
        with psycopg.connect(owner_database_url) as connection:
            for chosen in (first, ids[len(first) :]):
                begun = time.perf_counter()
                posting = "UPDATE journal_entries SET status = 'posted' WHERE id = ANY (%s)"
                connection.execute(posting, [list(chosen)])
            spent = time.perf_counter() - begun
            counting = "SELECT count(*) FROM journal_lines WHERE posted_on IS NOT NULL"
            assert connection.execute(counting).fetchone() == (2 * MANY,)
            connection.rollback()
        return spent

    fresh, after_one = (min(took(*first) for _ in range(3)) for first in ((), ids[:1]))
    assert after_one < 2.5 * fresh


def test_accounts_follow_by_the_trigger_that_everybody_knows(owner_connection: Any) -> None:
    known = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'trg_auto_sync_balance_on_posting'"
    assert owner_connection.execute(known).fetchall() == [("journal_lines",)]
    old = "SELECT 1 FROM pg_proc WHERE proname = 'backoffice_note_journal_lines_update'"
    assert owner_connection.execute(old).fetchall() == []
