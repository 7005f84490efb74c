"""The ledger as people and programs use it: a draft with lines, posted, reversed, and what accounts show of it."""

import csv
import io
import json
import re
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.base import periods
from backoffice.ledger import actions
from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.writing import stored_lines
from backoffice.records.lines import MOST_LINES
from tests.factories.ledger import draft, of, posted
from tests.files_for_people import text_for_people
from tests.orders.pages import _read, text_of
from tests.records.test_api import Program, is_problem

from .books import balances

Chart = dict[str, Account]
FORM = "journalentry-form"


def typed(page: str, *lines: tuple[str, str, str], **head: str) -> dict[str, str]:
    """The form of a page with lines of account, debit and credit."""
    fields = {**_read(page, FORM).fields, **head}
    for row, cells in enumerate(lines):
        for name, text in zip(("account", "debit", "credit"), cells, strict=True):
            fields[f"lines-{row}-{name}"] = text
    return fields


def newest(session: Any) -> JournalEntry:
    session.rollback()
    return session.scalars(select(JournalEntry).order_by(JournalEntry.id.desc()).limit(1)).one()


@pytest.mark.parametrize("source", ["//[::1", "/[", "http://[", "//[::1]:x/y", "/%00"])
def test_a_source_that_is_no_address_is_kept_or_refused(
    session: Any, chart: Chart, sign_in: Any, source: str
) -> None:
    browser = sign_in("finance")
    form = typed(
        browser.get("/ledger/entries/new").text,
        ("Cash", "10", ""), ("capital", "", "10"),
        entry_date="2026-03-02", memo="To begin", source=source,
    )  # fmt: skip
    made = browser.post("/ledger/entries/new", data=form)
    if source.startswith("/"):
        assert made.status_code == 422
        assert "There is no record at this address." in text_of(made.text)
        assert session.scalars(select(JournalEntry)).all() == []
    else:
        assert newest(session).source == source
        assert source in browser.get(made.location).text


def test_a_draft_is_typed_saved_edited_posted_and_reversed(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    browser = sign_in("finance")
    form = typed(
        browser.get("/ledger/entries/new").text,
        ("Cash", "1000", ""), ("capital", "", "600"), ("Sales · Account Sales", "", "400"),
        entry_date="2026-03-02", memo="To begin",
    )  # fmt: skip
    made = browser.post("/ledger/entries/new", data=form)
    assert made.status_code == 303, text_of(made.text)
    entry = newest(session)
    assert (entry.number, entry.status, len(entry.lines)) == ("JE-2026-00001", "draft", 3)
    page = browser.get(made.location).text
    assert "Draft" in text_of(page)
    address = f"/ledger/entries/{entry.number}"
    again = typed(browser.get(f"{address}/edit").text)
    assert again["lines-1-credit"] == "600.00" or again["lines-1-credit"] == "600"
    again |= {"lines-1-credit": "500", "lines-2-credit": "500", "lines-2-memo": "Half"}
    assert browser.post(f"{address}/edit", data=again).status_code == 303
    history = text_of(browser.get(f"{address}/history").text)
    assert "Line 2 before: Capital · Credit 600.00 → after: Capital · Credit 500.00" in history
    assert (
        browser.post(
            f"{address}/post", data=_read(browser.get(f"{address}/post").text, "post-form").fields
        ).status_code
        == 303
    )
    assert balances(session) == {"Cash": 1000, "Capital": 500, "Sales": 500}
    assert browser.get(f"{address}/edit").status_code == 409
    back = _read(browser.get(f"{address}/reverse").text, "reverse-form").fields.to_dict()
    back |= {"entry_date": "2026-04-01", "memo": "A mistake"}
    for _ in range(2):  # a double click has one effect
        assert browser.post(f"{address}/reverse", data=back).status_code == 303
    assert balances(session) == {}
    shown = text_of(browser.get(address).text)
    assert "Reversed by JE-2026-00002" in shown
    assert "Reversed" in text_of(browser.get("/ledger/entries?status=reversed").text)


def test_what_is_typed_is_added_up_while_it_is_typed_and_what_cannot_be_is_said_beside_it(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    browser = sign_in("finance")
    page = browser.get("/ledger/entries/new").text
    for lines, reported in (
        ((("Cash", "10", ""), ("Sales", "", "4")), "Difference"),
        ((("Cash", "10", ""), ("Sales", "", "10")), "Balanced"),
        ((("Cash", "ten", ""),), "—"),
    ):
        live = browser.post("/ledger/entries/preview", data=typed(page, *lines))
        assert reported in text_of(live.text)
        assert "<input" not in live.text
    for line, reported in (
        (("Nothing such", "5", ""), "No account is called that"),
        (("", "5", ""), "Choose an account."),
        (("Cash", "", ""), "Enter either a debit or a credit"),
        (("Cash", "5", "5"), "Enter either a debit or a credit"),
    ):
        form = typed(page, line, memo="Kept as typed", entry_date="2026-03-02")
        refused = browser.post("/ledger/entries/new", data=form)
        assert refused.status_code == 422
        assert reported in text_of(refused.text)
        assert "Kept as typed" in refused.text
    more = browser.post("/ledger/entries/new?do=add", data=typed(page, ("Cash", "5", "")))
    assert more.status_code == 200
    assert 'name="lines-5-account"' in more.text
    assert session.scalar(select(JournalEntry.id)) is None
    session.rollback()


def test_lines_of_a_control_account_are_warned_of_while_they_are_typed_and_on_the_draft(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    chart["Receivables"].role = "receivables"
    session.commit()
    browser = sign_in("finance")
    assert "makes the tie-out differ" not in browser.get("/ledger/entries/new").text
    reported = "Account Receivables stands for: Receivables of meters."
    for text, is_warned in (
        ("receivables", True),
        ("Receivables · Account Receivables", True),
        ("Cash", False),
    ):
        page = browser.get("/ledger/entries/new").text
        form = typed(page, (text, "12", ""), ("Sales", "", "12"), entry_date="2026-03-02")
        live = browser.post("/ledger/entries/preview", data=form).text
        assert (reported in text_of(live)) is is_warned
        made = browser.post("/ledger/entries/new", data=form)
        assert made.status_code == 303, "it is no refusal"
        assert (reported in text_of(browser.get(made.location).text)) is is_warned
        form = browser.get(f"{made.location}/edit").text
        assert (reported in text_of(form)) is is_warned


def test_whoever_reverses_what_a_rule_has_posted_is_told_that_it_comes_back(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    lines = of(chart["Rent"], 9), of(chart["Cash"], -9)
    ruled = {"document": "invoices/1", "document_date": date(2026, 3, 2)}
    for number, reported, is_told in (("A-1", {}, False), ("B-1", ruled, True)):
        posted(*lines, number=number, **reported)
        session.commit()
        page = sign_in("finance").get(f"/ledger/entries/{number}/reverse").text
        assert ("posts it again at night" in text_of(page)) is is_told


def test_a_row_that_is_removed_is_gone_and_what_else_was_typed_stays(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    browser = sign_in("finance")
    form = typed(
        browser.get("/ledger/entries/new").text,
        ("Cash", "10", ""), ("Sales", "", "ten"), ("Rent", "5", ""),
        memo="Typed",
    )  # fmt: skip
    page = browser.post("/ledger/entries/new?do=remove&line=1", data=form).text
    left = _read(page, FORM).fields
    assert (left["memo"], left["lines-0-account"], left["lines-1-account"]) == (
        "Typed",
        "Cash",
        "Rent",
    )
    assert "ten" not in left.values()
    alone = browser.post(
        "/ledger/entries/new?do=remove&line=1", data=form, headers={"HX-Request": "true"}
    )
    assert (alone.text, "linesChanged" in alone.headers["HX-Trigger"]) == ("", True)
    assert session.scalar(select(JournalEntry.id)) is None
    session.rollback()


def test_a_copy_is_a_new_draft_of_the_same_lines_today_under_the_next_number(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    first = posted(
        of(chart["Rent"], 30, "March"), of(chart["Cash"], -30), memo="Rent", source="Lease"
    )
    session.commit()
    browser = sign_in("finance")
    address = f"/ledger/entries/{first.number}"
    assert f'href="/ledger/entries/new?copy={first.number}"' in browser.get(address).text
    form = _read(browser.get(f"/ledger/entries/new?copy={first.number}").text, FORM).fields
    assert (form["number"], form["memo"], form["source"]) == ("", "Rent", "Lease")
    assert form["entry_date"] == periods.today().isoformat()
    assert browser.post("/ledger/entries/new", data=form).status_code == 303
    entry = newest(session)
    assert (entry.status, entry.number != first.number) == ("draft", True)
    assert stored_lines(session, entry.id) == stored_lines(session, first.id)
    assert browser.get("/ledger/entries/new?copy=None-1").status_code == 404
    assert "copy=" not in sign_in("viewer").get(address).text
    session.rollback()


def test_two_editors_of_lines_see_each_others(session: Any, chart: Chart, sign_in: Any) -> None:
    """FAULTS 22: one has changed lines, the other the memo; both are kept."""
    draft(of(chart["Cash"], 5), of(chart["Sales"], -5), number="D-1")
    session.commit()
    mine, theirs = sign_in("finance"), sign_in("finance", name="Budi")
    at = "/ledger/entries/D-1/edit"
    form = typed(mine.get(at).text, memo="Mine")
    other = typed(theirs.get(at).text, ("Cash", "7", ""), ("Sales", "", "7"))
    assert theirs.post(at, data=other).status_code == 303
    conflict = mine.post(at, data=form)
    assert conflict.status_code == 409
    assert "Cash · Debit 7.00; Sales · Credit 7.00" in text_of(conflict.text)
    merged = _read(conflict.text, FORM).fields
    assert (merged["memo"], merged["lines-0-debit"].removesuffix(".00")) == ("Mine", "7")
    assert mine.post(at, data=merged).status_code == 303
    entry = newest(session)
    assert (entry.memo, [str(line.debit) for line in entry.lines]) == ("Mine", ["7.00", "0.00"])


def test_an_account_shows_its_statement_with_running_balances_and_the_trial_balance_any_day(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100), day=date(2026, 1, 5), memo="Begun")
    posted(of(chart["Rent"], 30), of(chart["Cash"], -30), day=date(2026, 2, 5))
    posted(of(chart["Cash"], 7), of(chart["Sales"], -7), day=date(2026, 1, 20))
    session.commit()
    browser = sign_in("viewer")
    reported = browser.get("/ledger/accounts/Cash/statement/export.csv").text
    rows = [
        row for row in csv.DictReader(io.StringIO(reported.removeprefix("\ufeff"))) if row["Entry"]
    ]
    amounts = [(row["Date"], row["Balance"]) for row in rows if row["Date"].startswith("2026")]
    assert amounts == [("2026-02-05", "77.00"), ("2026-01-20", "107.00"), ("2026-01-05", "100.00")]
    of_february = "/ledger/accounts/Cash/statement{}?since=2026-02-01"
    narrowed = text_of(browser.get(of_february.format("")).text)
    assert re.search(r"Brought forward to 1 Feb\w* 2026: \S*\s*107\.00", narrowed)
    assert "Brought forward: 107.00" in text_for_people(browser, of_february.format("/export.csv"))
    assert "Brought forward" not in text_of(browser.get("/ledger/accounts/Cash/statement").text)
    assert "77.00" in narrowed
    assert narrowed.count("107.00") == 1, "the lines before it are left out"
    assert "107.00" in text_of(browser.get("/ledger/accounts/Cash").text)
    page = browser.get("/ledger/trial-balance?as_of=2026-01-31").text
    way = 'href="/ledger/accounts/Cash/statement?until=2026-01-31">107.00</a>'
    assert way in page, "the number leads to its lines"
    balance = text_of(page)
    assert "107.00" in balance
    assert "Rent" not in balance
    for flavour in ("csv", "xlsx"):
        assert browser.get(f"/ledger/trial-balance/export.{flavour}").status_code == 200
    assert "Trial balance" in text_of(browser.get("/ledger/trial-balance?print=1").text)
    assert sign_in("account_manager").get("/ledger/trial-balance").status_code == 403


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("q=van", "B"), ("q=INV-7", "A"), ("q=b-2", "B"), ("account=cash", "AB"), ("account=Rent", "A"),
        ("account=count+equip", "B"), ("account=Cas", ""), ("since=2026-02-01", "B"), ("until=2026-01-31", "A"),
        ("status=reversed", ""), ("account=rent&q=van", ""), ("q=%25", ""),
    ],
)  # fmt: skip
def test_the_journal_is_searched_by_what_an_entry_says_its_accounts_and_its_days(
    session: Any, chart: Chart, sign_in: Any, asked: str, found: str
) -> None:
    for number, day, memo, source, debited in (
        ("A-1", date(2026, 1, 9), "Office", "INV-7", "Rent"),
        ("B-2", date(2026, 2, 9), "A van", "", "Equipment"),
    ):
        lines = of(chart[debited], 9), of(chart["Cash"], -9)
        posted(*lines, day=day, number=number, memo=memo, source=source)
    chart["Cash"].name, chart["Rent"].name = "Till", "Premises"
    session.commit()
    browser = sign_in("viewer")
    page = browser.get(f"/ledger/entries?{asked}").text
    rows = list(csv.reader(io.StringIO(browser.get(f"/ledger/entries/export.csv?{asked}").text)))
    for number in ("A-1", "B-2"):
        is_found = number[0] in found
        assert (f">{number}</a>" in page) is is_found
        assert any(number in row for row in rows) is is_found, "the file holds what is on screen"


def test_each_status_of_the_journal_lists_what_is_shown_so_and_together_they_are_all(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    lines = of(chart["Rent"], 9), of(chart["Cash"], -9)
    draft(*lines, number="A-1")
    posted(*lines, number="B-1")
    wrong = posted(*lines, number="C-1")
    back = {"entry_date": wrong.entry_date, "memo": "Wrong"}
    number = actions.reverse(session, wrong.id, back).row.number
    session.commit()
    browser = sign_in("viewer")

    def listed(asked: str) -> set[str]:
        page = browser.get(f"/ledger/entries{asked}").text
        return {one for one in ("A-1", "B-1", "C-1", number) if f">{one}</a>" in page}

    found = [listed(f"?status={status}") for status in ("draft", "posted", "reversed")]
    assert found == [{"A-1"}, {"B-1", number}, {"C-1"}]
    assert listed("") == set.union(*found)


def test_a_program_sends_lines_posts_and_reverses_once(
    app: Any, session: Any, chart: Chart
) -> None:
    program = Program(app, session, "entries:write")
    lines = [
        {"account": "Cash", "debit": "12.50", "memo": "Till"}, {"account": "Sales", "credit": "12.50"},
    ]  # fmt: skip
    sent = {"entry_date": "2026-03-02", "memo": "Sold", "lines": lines}
    made = program.send("POST", "/api/entries", key="n", json=sent)
    assert made.status_code == 201, made.text
    reported = made.get_json()
    assert [(one["account"], one["debit"], one["credit"]) for one in reported["lines"]] == [
        ("Cash", "12.50", "0.00"), ("Sales", "0.00", "12.50"),
    ]  # fmt: skip
    at, good = f"/api/entries/{reported['number']}", {"account": "Cash", "debit": "1"}
    for bad, place, why in (
        ([good] * (MOST_LINES + 1), "lines", "at most"),
        (
            [good, {"account": "Nobody", "debit": "1"}],
            "lines-1-account",
            "No account is called that.",
        ),
        ([good, {**good, "debit": 5}], "lines-1-debit", "Send the number as a text"),
        ([good, {**good, "debit": ""}], "lines-1-debit", "Send the number as a text"),
        ([good, {**good, "debit": "abc"}], "lines-1-debit", "Send the number as a text"),
        ([good, {**good, "debit": "5.005"}], "lines-1-debit", "At most 2 decimals"),
        ([good, {**good, "debit": "99999999999999999.00"}], "lines-1-debit", "This is too large"),
        ([{"account": "Cash", "credit": "-1"}], "lines-0-credit", "This is too small"),
        ([{"account": "Cash"}], "lines-0-debit", "Enter"),
        ([good, {"debit": "1"}], "lines-1-account", "Choose an account."),
        ({}, "lines", "Send a list of lines"),
    ):
        answer = program.send("PATCH", at, match=1, json={"lines": bad})
        assert is_problem(answer, 422, place), answer.text
        assert why in answer.get_json()["errors"][0]["message"]
    assert is_problem(
        program.send("POST", f"{at}/reversals", json={"entry_date": "2026-04-01", "memo": "x"}), 422
    )
    done = program.send("POST", f"{at}/post", match=1)
    assert (done.status_code, done.get_json()["posting_number"]) == (200, 1)
    assert is_problem(program.send("PATCH", at, match=2, json={"memo": "x"}), 409)
    body = {"entry_date": "2026-04-01", "memo": "Brought back"}
    first, again = (program.send("POST", f"{at}/reversals", key="r", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotent-Replay"] == "true"
    assert first.get_json()["reverses"] == reported["number"]
    assert program.send("GET", first.headers["Location"]).get_json() == first.get_json()
    assert program.send("GET", at).get_json()["reversed_by"] == first.get_json()["number"]
    assert balances(session) == {}


def test_commands_post_reverse_and_print_the_trial_balance(
    session: Any, chart: Chart, run_command: Any
) -> None:
    draft(of(chart["Cash"], 5), of(chart["Sales"], -5), number="D-1")
    draft(of(chart["Cash"], 5), number="D-2")
    session.commit()
    done = run_command("ledger", "post", "D-1", "--json")
    assert json.loads(done.stdout) == {"number": "D-1", "posting_number": 1, "status": "posted"}
    for words, reported in (
        (("post", "D-1"), "is posted"), (("post", "D-2"), "must be the same"), (("post", "D-3"), "no entry D-3"),
        (("reverse", "D-2"), "is a draft"),
    ):  # fmt: skip
        refused = run_command("ledger", *words)
        assert refused.exit_code == 2
        assert reported in refused.stderr
    reported = json.loads(run_command("ledger", "trial-balance", "--json").stdout)
    assert (reported["debit"], reported["credit"], len(reported["accounts"])) == ("5.00", "5.00", 2)
    shown = run_command("ledger", "trial-balance", "--date", "2026-03-02").stdout
    assert "Total" in shown
    for _ in range(2):
        back = run_command("ledger", "reverse", "D-1", "--date", "2026-04-01", "--key", "k")
        assert back.exit_code == 0, back.output
    assert balances(session) == {}


@pytest.mark.parametrize("code", ["Assets:US:Bank:Checking", "1100", "Bank & Cash", "A-1.b+c"])
def test_an_account_has_a_code_of_any_shape(session: Any, sign_in: Any, code: str) -> None:
    browser = sign_in("finance")
    form = _read(browser.get("/ledger/accounts/new").text, "account-form").fields.to_dict()
    made = browser.post(
        "/ledger/accounts/new", data=form | {"code": code, "name": "Checking", "type": "asset"}
    )
    assert made.status_code == 303, text_of(made.text)
    page = browser.get(made.location)
    assert page.status_code == 200
    assert code in text_of(page.text)
    assert browser.get(f"/ledger/accounts/{code}/statement").status_code == 200


def test_the_lines_behind_an_account_are_named_by_their_entries(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    entry = posted(of(chart["Cash"], 70), of(chart["Capital"], -70))
    session.commit()
    page = sign_in("finance").get("/ledger/accounts/Cash/calculation/debits").text
    assert f'<a href="/ledger/entries/{entry.number}">{entry.number}</a>' in page


def test_a_reversal_that_is_refused_says_why_in_its_form(
    session: Any, chart: Chart, sign_in: Any
) -> None:
    entry = posted(of(chart["Cash"], 70), of(chart["Capital"], -70))
    session.commit()
    browser = sign_in("finance")
    address = f"/ledger/entries/{entry.number}/reverse"
    form = _read(browser.get(address).text, "reverse-form").fields | {"memo": ""}
    refused = browser.post(address, data=form, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert "<html" not in refused.text
    said = text_of(refused.text)
    assert "One thing needs your attention" in said
    assert "Lines of the reversal" in said
    sides = re.findall(r'data-label="(Debit|Credit)">([\d.]+)', refused.text)
    assert sides[:2] == [("Credit", "70.00"), ("Debit", "70.00")], "the other way round"
