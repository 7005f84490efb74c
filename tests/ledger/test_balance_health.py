"""Balance health: the seed's three scenarios, quarantine, and the same answer from API, command, screen and metrics."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.drift import figure_status
from backoffice.drift.models import DriftFinding
from backoffice.figures.models import Correction
from backoffice.ledger.health import examining, maintaining
from backoffice.ledger.models import Account
from backoffice.ledger.periods.actions import close
from backoffice.people import tokens
from backoffice.runs import actions as runs
from backoffice.runs.models import Run
from tests.drift.books import run_of, text_of
from tests.factories.ledger import accounts_of_roles, of, posted
from tests.health.readings import read_anew

from .books import stored

D = Decimal
Chart = dict[str, Account]
BASE = "/admin/balance-health"


class Program:
    """A program with a token of the scope health."""

    def __init__(self, app: Flask, session: Any, scope: str = "health") -> None:
        self.secrets = {
            one: tokens.create(session, name=one, scope=one, expires_at=None).secret
            for one in ("health", "metrics", "wallets")
        }
        session.commit()
        self.app, self.client = app, app.test_client()
        self.sign_in(scope)

    def sign_in(self, scope: str) -> None:
        self.headers = {"Authorization": f"Bearer {self.secrets[scope]}"}

    def get(self, address: str, code: int = 200) -> Any:
        return self._answer(self.client.get(BASE + address, headers=self.headers), code)

    def ask(self, address: str) -> Any:
        """The answer to a client of its own, as another host would get it."""
        return self.app.test_client().get(BASE + address, headers=self.headers)

    def post(self, address: str, code: int = 200) -> Any:
        return self._answer(self.client.post(BASE + address, headers=self.headers), code)

    def _answer(self, answer: Any, code: int) -> Any:
        assert answer.status_code == code, answer.text
        self.text = answer.text
        return json.loads(answer.text) if answer.is_json else None


@pytest.fixture
def program(app: Flask, session: Any) -> Program:
    return Program(app, session)


@pytest.fixture
def capital(session: Any, chart: Chart) -> Chart:
    """The seed's company: 127,200,000.00 in cash, paid in by its owner."""
    posted(of(chart["Cash"], 127_200_000), of(chart["Capital"], -127_200_000))
    session.commit()
    return chart


def doors(program: Program, run_command: Any, app: Flask) -> set[bool]:
    """The stored answers of the API, the command, the screen's source and the metric."""
    said = run_command("ledger", "health", "--stored", "--json")
    return {
        program.get("/check?stored=1")["balance_status"],
        json.loads(said.stdout)["balance_status"],
        said.exit_code == 0,
        bool(read_anew(app, program.secrets["metrics"]).one("balance_sheet_valid")),
    }


def written_by(answer: Any) -> list[tuple[str, str, str, Decimal, Decimal]]:
    """The changes that the items of an answer write."""
    return sorted(
        (i["subject"], i["account"], column, D(i["before"][column]), D(after))
        for i in answer["items"]
        for column, after in i["after"].items()
    )


def tamper(surgery: psycopg.Connection[Any], amount: int = 1, code: str = "Cash") -> None:
    surgery.execute("UPDATE accounts SET debits = debits + %s WHERE code = %s", (amount, code))


def test_a_normal_posting_keeps_the_balances_and_the_sheet_is_valid(
    program: Program, capital: Chart
) -> None:
    body = program.get("/check")
    assert (body["status"], body["balance_status"]) == ("success", True)
    data = body["data"]
    assert (data["is_valid"], data["total_assets"], data["total_liabilities"], data["total_equity"]) == (
        True, 127200000.00, 0.00, 127200000.00,
    )  # fmt: skip
    assert (
        '"total_assets": 127200000.00, "total_liabilities": 0.00, "total_equity": 127200000.00'
        in program.text
    )
    assert data["exact"]["total_assets"] == "127200000.00"
    assert data["problems"] == []


def test_revenue_and_expenses_are_equity_before_they_are_closed(
    program: Program, session: Any, capital: Chart
) -> None:
    posted(of(capital["Receivables"], "0.10"), of(capital["Sales"], "-0.10"))
    posted(of(capital["Rent"], "0.03"), of(capital["Payables"], "-0.03"))
    session.commit()
    exact = program.get("/check")["data"]["exact"]
    assert exact == {
        "total_assets": "127200000.10", "total_liabilities": "0.03", "total_equity": "127200000.07",
        "current_earnings": "0.07", "difference": "0.00",
    }  # fmt: skip


@pytest.mark.parametrize("way", ["schedule", "endpoint"])
def test_drift_is_found_and_healed_by_maintenance_with_its_log(
    way: str, program: Program, session: Any, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    tamper(surgery, 50)
    if way == "schedule":
        run = run_of("ledger.maintenance", maintaining.SCOPE)
    else:
        body = program.post("/scheduled-maintenance")
        assert (body["balance_status"], body["run"]["changed"]) == (True, 2)
        run = session.get_one(Run, body["run"]["id"])
    assert run.status == "done"
    assert run.result["balance_sheet"]["is_valid"] is True
    logged = session.scalars(select(Correction).where(Correction.run_id == run.id)).all()
    assert {one.figure for one in logged} == {"accounts.sums", "accounts.balance"}
    found = session.scalars(select(DriftFinding)).all()
    assert found
    assert all(one.healed_at for one in found)
    assert stored(session)["Cash"] == (127_200_000, 0, 127_200_000)


def test_an_emergency_heal_through_the_api_writes_exactly_what_its_preview_lists(
    program: Program, session: Any, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    tamper(surgery, 50)
    tamper(surgery, 7, "Rent")
    body = program.get("/check")
    assert (body["balance_status"], body["data"]["total_assets"]) == (False, 127200050.00)
    assert {(p["kind"], p["name"]) for p in body["data"]["problems"]} >= {
        ("account", "Cash"),
        ("account", "Rent"),
    }
    program.get("/check?strict=1", 503)
    program.get("/check?strict=1&stored=1", 503)
    program.get("/check?strict=0")
    program.post("/auto-heal?dry_run=1&strict=1", 503)
    before = stored(session)
    preview = program.post("/auto-heal?dry_run=1")
    assert stored(session) == before
    healed = program.post("/auto-heal")
    assert (preview["balance_status"], healed["balance_status"]) == (False, True)
    assert written_by(preview) == written_by(healed)
    assert len(written_by(healed)) == 4
    assert program.post("/auto-heal")["run"]["changed"] == 0, "nothing is left to write"
    program.get("/check?strict=1")


def test_stored_is_what_is_asked_for_and_no_more(
    program: Program, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    tamper(surgery, 5)
    surgery.execute("UPDATE accounts SET credits = credits + 5 WHERE code = 'Capital'")
    program.get("/check?stored=1&strict=1")
    program.get("/check?stored=0&strict=1", 503)
    program.post("/auto-heal")


@pytest.mark.parametrize("way", ["/auto-heal", "/scheduled-maintenance"])
def test_a_maintenance_that_failed_is_no_success(
    way: str, program: Program, app: Flask, surgery: psycopg.Connection[Any], capital: Chart,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "ALERT_WEBHOOK_URL", "https://nobody.example/T1")
    tamper(surgery, 5)
    for strict in ("", "?strict=1"):
        body = program.post(way + strict, 500)
        assert (body["status"], body["run"]["failed"]) == ("failed", 1)
        tamper(surgery, 5)
    monkeypatch.undo()
    program.post(f"{way}?strict=1")


def test_nothing_says_valid_while_a_problem_is_open(
    program: Program, run_command: Any, app: Flask, session: Any,
    surgery: psycopg.Connection[Any], capital: Chart,
) -> None:  # fmt: skip
    assert doors(program, run_command, app) == {True}
    # Both sides by the same: the equation holds of what is stored.
    tamper(surgery, 5)
    surgery.execute("UPDATE accounts SET credits = credits + 5 WHERE code = 'Capital'")
    assert program.get("/check?stored=1")["balance_status"], "no request has examined the lines yet"
    assert not program.get("/check")["balance_status"]
    assert doors(program, run_command, app) == {False}
    program.post("/auto-heal")
    assert doors(program, run_command, app) == {True}


@pytest.mark.leaves_drift
def test_an_unbalanced_entry_is_named_and_its_accounts_are_not_healed_over_it(
    program: Program, run_command: Any, app: Flask, session: Any,
    surgery: psycopg.Connection[Any], capital: Chart,
) -> None:  # fmt: skip
    entry = posted(of(capital["Prepaid"], 10), of(capital["Payables"], -10))
    session.commit()
    # The trail records the same, as if the law did not exist: nothing but the entry itself is wrong.
    surgery.execute("SET session_replication_role = origin")
    surgery.execute("ALTER TABLE journal_lines DISABLE TRIGGER backoffice_journal_lines_keep")
    try:
        surgery.execute(
            "UPDATE journal_lines SET debit = 11 WHERE entry_id = %s AND debit = 10", (entry.id,)
        )
    finally:
        surgery.execute("ALTER TABLE journal_lines ENABLE TRIGGER backoffice_journal_lines_keep")
        surgery.execute("SET session_replication_role = replica")
    tamper(surgery, 3, "Prepaid")
    tamper(surgery, 4, "Rent")
    body = program.get("/check")
    assert not body["balance_status"]
    assert [one["number"] for one in body["data"]["quarantined_entries"]] == [entry.number]
    preview = program.post("/auto-heal?dry_run=1")
    healed = program.post("/auto-heal")
    for answer, outcome in ((preview, "found"), (healed, "applied")):
        became = {
            (i["account"], i["outcome"]) for i in answer["items"] if i["subject"] == "accounts.sums"
        }
        assert became == {("Prepaid", "skipped"), ("Rent", outcome)}
    assert not healed["balance_status"]
    for address in ("/auto-heal", "/scheduled-maintenance"):
        program.post(address)
        program.post(f"{address}?strict=1", 503)
    assert stored(session)["Rent"] == (0, 0, 0)
    report = program.get("/detailed-report")
    account = next(a for a in report["accounts"] if a["code"] == "Prepaid")
    assert account["status"] == "quarantined"
    assert [e["number"] for e in report["entries"]["wrong"]] == [entry.number]
    assert doors(program, run_command, app) == {False}


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE journal_lines SET posted_on = posted_on + 40 WHERE entry_id = %(id)s", "misdated"),
        ("DELETE FROM journal_lines WHERE entry_id = %(id)s", "unbalanced"),
        (
            "UPDATE journal_entries SET status = 'draft', posting_number = NULL WHERE id = %(id)s",
            "unposted",
        ),
    ],
)
def test_every_way_to_break_an_entry_is_named_and_behind_every_door(
    statement: str, reason: str, program: Program, run_command: Any, app: Flask, session: Any,
    surgery: psycopg.Connection[Any], capital: Chart,
) -> None:  # fmt: skip
    entry = posted(of(capital["Prepaid"], 10), of(capital["Payables"], -10))
    session.commit()
    surgery.execute(statement, {"id": entry.id})
    wrong = program.get("/check")["data"]["quarantined_entries"]
    assert [(one["number"], one["reason"]) for one in wrong] == [(entry.number, reason)]
    assert doors(program, run_command, app) == {False}
    months = program.get("/detailed-report")["months"]
    assert all(m["agrees"] for m in months) == (reason != "misdated")


OUT_OF_ORDER = (
    "UPDATE periods SET status = 'open' WHERE month = '2026-02-01'",
    "UPDATE periods SET status = 'open' WHERE month = '2026-03-01'",
    "DELETE FROM periods WHERE month = '2026-03-01'",
    "UPDATE book SET closed_until = NULL",
    "UPDATE book SET closed_until = '2026-03-15'",
    "UPDATE book SET closed_until = '2026-04-30'",
)
PUT_BACK = """
    DELETE FROM periods; INSERT INTO periods SELECT * FROM closed_periods;
    UPDATE book SET closed_until = '2026-03-31'
"""


@pytest.mark.leaves_drift
def test_months_that_are_closed_out_of_order_are_found_behind_every_door(
    program: Program, run_command: Any, app: Flask, session: Any,
    surgery: psycopg.Connection[Any], capital: Chart, subtests: pytest.Subtests,
) -> None:  # fmt: skip
    for month in (Month(2026, 1), Month(2026, 2), Month(2026, 3)):
        close(session, month, "user:1")
    session.commit()
    surgery.execute("CREATE TEMP TABLE closed_periods AS TABLE periods")
    months = program.get("/detailed-report")["months"]
    assert {m["month"]: m["status"] for m in months} == {
        "2026-01": "closed", "2026-02": "closed", "2026-03": "closed",
    }  # fmt: skip
    for statement in OUT_OF_ORDER:
        with subtests.test(statement):
            assert program.get("/check")["balance_status"]
            surgery.execute(statement)
            assert not program.get("/detailed-report")["balance_status"]
            run = run_of("figures.verify", {"figures": {"accounts.sums": None}})
            assert run.result["found"] == 1
            assert doors(program, run_command, app) == {False}
            body = program.get("/check?strict=1", 503)
            [problem] = body["data"]["problems"]
            assert (problem["kind"], problem["subject"]) == ("period", "check:periods.closed")
            assert figure_status.read(session).state == "wrong"
        session.rollback()
        surgery.execute(PUT_BACK)


@pytest.mark.leaves_drift
def test_a_period_that_differs_from_the_audit_trail_speaks_against_the_balance_sheet(
    program: Program, session: Any, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    close(session, Month(2026, 1), "user:1")
    session.commit()
    surgery.execute("UPDATE periods SET closed_by = 'user:9'")
    run_of("audit.facts")
    problems = program.get("/check")["data"]["problems"]
    assert ("tampered", "facts:periods") in {(one["kind"], one["subject"]) for one in problems}


def test_the_report_names_the_first_entry_that_is_not_in_the_balance(
    program: Program, session: Any, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    numbers = []
    for _ in range(3):
        entry = posted(of(capital["Cash"], 10), of(capital["Sales"], -10))
        session.commit()
        numbers.append(entry.number)
    tamper(surgery, -20)
    accounts = {a["code"]: a for a in program.get("/detailed-report")["accounts"]}
    assert (accounts["Cash"]["status"], accounts["Cash"]["first_diverging_entry"]) == (
        "drifted",
        numbers[1],
    )
    assert (accounts["Sales"]["status"], accounts["Sales"]["first_diverging_entry"]) == (
        "right",
        None,
    )
    tamper(surgery, 27)
    accounts = {a["code"]: a for a in program.get("/detailed-report")["accounts"]}
    assert accounts["Cash"]["first_diverging_entry"] is None, "no lines ever came to that"
    program.post("/auto-heal")


@pytest.mark.leaves_drift
def test_the_screen_says_where_each_account_and_control_account_goes_wrong_and_which_months_are_closed(
    session: Any, sign_in: Any, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    browser = sign_in("finance")

    def page() -> str:
        return browser.get("/health/balance-sheet").text

    assert "No month is closed" in text_of(page())
    roles = accounts_of_roles()
    session.commit()
    close(session, Month(2026, 1), "user:1")
    made = [
        posted(of(debited, amount), of(capital["Sales"], -amount))
        for debited, amount in (
            (capital["Prepaid"], 10),
            (roles["receivables"], 12),
            (capital["Wear"], 5),
        )
    ]
    first = made[0].number
    session.commit()
    tamper(surgery, -10, "Prepaid")
    tamper(surgery, 3, "Wear")
    torn = "DELETE FROM journal_lines WHERE entry_id = %s AND credit > 0"
    surgery.execute(torn, (made[2].id,))
    run_of("figures.verify")
    shown = page()
    said = text_of(shown)
    assert "Closed up to January 2026 · 9 months are over and not closed" in said
    assert "Assets are not liabilities + equity: they differ by" in said
    assert "as it is stored; difference" not in said
    assert f"Prepaid Account +10.00 {first}" in said
    assert "Wear Account Quarantined -3.00" in said
    assert f'href="/ledger/entries/{first}"' in shown
    assert "Receivables of meters Ledger Rp 12.00, sub-ledger Rp 0.00, difference +Rp 12.00" in said
    assert 'href="/ledger/tie-out"' in shown
    assert said.count("sub-ledger Rp") == 1, "those that tie out are not shown"


def test_six_reads_at_once_are_answered_and_share_what_is_examined(
    program: Program, capital: Chart, surgery: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    """The first one waits while its turn is held; all six asked before it began, and so share its result."""
    examined: list[Any] = []
    examine = examining._examined
    monkeypatch.setattr(examining, "_examined", lambda *a: examined.append(a) or examine(*a))
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(6) as pool:
        with examining.turn(db.engine):
            asked = [pool.submit(program.ask, "/check") for _ in range(6)]
            deadline = time.monotonic() + 30
            while surgery.execute(waits).fetchone() != (6,):
                assert time.monotonic() < deadline, "the reads wait for their turn"
        answers = [future.result(60) for future in asked]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert [answer.json["balance_status"] for answer in answers] == [True] * 6
    assert {answer.json["status"] for answer in answers} == {"success"}
    assert len(examined) == 1


@pytest.mark.leaves_drift
def test_a_shared_result_names_what_was_found(
    program: Program, capital: Chart, surgery: psycopg.Connection[Any]
) -> None:
    tamper(surgery, 7)
    with examining.turn(db.engine) as mine:
        examining._examined(db.engine)
        shared = examining._recorded_since(mine)
    assert shared is not None
    assert "Cash" in [problem.name for problem in shared.problems], shared.problems
    assert not shared.is_valid
    with examining.turn(db.engine) as later:
        assert examining._recorded_since(later) is None, "what began before it was asked is older"


def test_one_at_a_time_and_a_read_says_what_is_stored_after_its_patience(
    program: Program, session: Any, capital: Chart, monkeypatch: Any
) -> None:
    monkeypatch.setattr(examining.turn.__wrapped__, "__defaults__", (50,))  # type: ignore[attr-defined]
    monkeypatch.setattr(examining.examine, "__defaults__", (50,))
    with examining.turn(db.engine):
        body = program.get("/check")
        assert (body["status"], body["balance_status"]) == ("busy", True)
        body = program.get("/detailed-report", 503)
        assert (body["status"], body["balance_status"]) == ("busy", True)
        assert program.get("/check?stored=1")["balance_status"]
    live = runs.request(session, "ledger.maintenance", maintaining.SCOPE)
    session.commit()
    body = program.post("/auto-heal", 409)
    assert (body["status"], body["run"], body["balance_status"]) == ("busy", live.id, True)
    runs.cancel(session, live.id)
    session.commit()
    assert program.post("/auto-heal")["status"] == "success"


@pytest.mark.parametrize(
    ("method", "address", "rate"),
    [
        ("GET", "/check?stored=1", 120), ("GET", "/detailed-report", 12),
        ("POST", "/auto-heal", 12), ("POST", "/scheduled-maintenance", 12),
    ],
)  # fmt: skip
def test_one_address_is_held_to_its_rate(
    method: str, address: str, rate: int, app: Flask, session: Any
) -> None:
    program = Program(app, session)
    # Twice the limit of a minute, and one: wherever a minute ends, at least one request exceeds it.
    codes = [
        program.client.open(BASE + address, method=method, headers=program.headers).status_code
        for _ in range(2 * rate + 1)
    ]
    assert set(codes) == {200, 429}
    assert codes.index(429) >= rate


def test_only_a_token_of_the_scope_or_a_user_with_the_right_gets_in(
    app: Flask,
    session: Any,
    program: Program,
    sign_in: Any,
    surgery: psycopg.Connection[Any],
    capital: Chart,
) -> None:
    program.sign_in("wallets")
    program.get("/check", 403)
    program.post("/auto-heal", 403)
    program.sign_in("health")
    assert app.test_client().post(f"{BASE}/auto-heal").status_code == 401
    assert sign_in("viewer").get(f"{BASE}/check").status_code == 200
    assert sign_in("viewer").post(f"{BASE}/auto-heal").status_code == 403
    tamper(surgery)
    answer = sign_in("finance").post(f"{BASE}/auto-heal").get_json(force=True)
    assert answer["run"]["dry_run"] is True, "a person sees first what would be written"
    assert D(answer["items"][0]["after"]["debits"]) == 127_200_000
    program.post("/auto-heal")


def test_the_command_checks_heals_and_exits_as_diff_does(
    run_command: Any, session: Any, surgery: psycopg.Connection[Any], capital: Chart
) -> None:
    assert run_command("ledger", "health").exit_code == 0
    tamper(surgery)
    assert run_command("ledger", "health").exit_code == 1
    assert run_command("ledger", "heal", "--dry-run").exit_code == 1
    assert run_command("ledger", "heal").exit_code == 0
    assert run_command("ledger", "health", "--json").exit_code == 0
