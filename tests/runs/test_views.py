"""The screens of runs: what they show, permissions, and responses to hostile URLs."""

import csv
import re
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.base import periods
from backoffice.base.actor import acting_as
from backoffice.runs import actions, wording, working
from backoffice.runs.models import Run, RunItem
from tests.factories.customers import CustomerFactory
from tests.factories.people import UserFactory
from tests.runs.balances import domains  # noqa: F401 (a fixture)

SignIn = Callable[..., FlaskClient]


def a_run(kind: str = "test.balances", by: str = "cli:root", **asked: Any) -> int:
    """Request a run; returns its number."""
    with acting_as(by):
        run = actions.request(db.session(), kind, asked.pop("scope", {}), is_paced=False, **asked)
        db.session.commit()
    return run.id


def a_dry_run(session: Any, names: tuple[str, ...] = ("Ana", "Budi"), **asked: Any) -> int:
    """Create customers of these names and perform a dry run over them; returns its number."""
    for name in names:
        CustomerFactory(name=name, city="Broken" if name == "Broken" else "Jakarta")
    session.commit()
    run_id = a_run(dry_run=True, **asked)
    working.perform(db.engine, run_id)
    return run_id


def run_of(session: Any, run_id: int) -> Run:
    session.expire_all()
    run: Run = session.get_one(Run, run_id)
    return run


def key_in(page: str) -> str:
    """The idempotency key of the forms on a page."""
    found = re.search(r'name="idempotency_key" value="([^"]+)"', page)
    assert found, "no form on the page"
    return found[1]


def act(client: FlaskClient, run_id: int, verb: str, key: str = "k", **fields: str) -> Any:
    return client.post(f"/runs/{run_id}/{verb}", data={"idempotency_key": key, **fields})


def numbers_of(page: str) -> list[int]:
    """The numbers of the runs that a list shows, in its order."""
    return [int(number) for number in re.findall(r'class="row-link"\s+href="/runs/(\d+)', page)]


def test_the_list_says_who_asked_for_what_and_how_it_stands(session: Any, sign_in: SignIn) -> None:
    person = UserFactory(name="Dewi Lestari")
    session.commit()
    run_id = a_dry_run(session, by=f"user:{person.id}")
    page = sign_in("viewer").get("/runs").text
    assert numbers_of(page) == [run_id]
    for reported in ("Recalculate customer balances", "everything", "yes", "Dewi Lestari"):
        assert reported in page
    assert '<span class="badge-tone tone-good">Done</span>' in page


def test_filters_leave_in_what_was_asked_for(session: Any, sign_in: SignIn) -> None:
    person = UserFactory()
    session.commit()
    done = a_dry_run(session)
    mine = a_run(by=f"user:{person.id}", scope={"n": 1})
    failed = a_dry_run(session, ("Broken",), scope={"n": 2})
    applied = a_run("test.balances-apply", scope={"run": done})
    client = sign_in(person)

    def shown(query: str) -> list[int]:
        return numbers_of(client.get(f"/runs?{query}").text)

    assert shown("") == [applied, failed, mine, done]
    assert shown("status=live") == [applied, mine]
    assert shown("status=trouble") == [failed]
    assert shown("status=done") == [done]
    assert shown("kind=test.balances-apply") == [applied]
    assert shown("mine=1") == [mine] == shown(f"person={person.id}")
    assert shown("since=2199-01-01") == []
    assert shown("until=2199-01-01") == [applied, failed, mine, done]
    assert shown(f"until={periods.today()}") == [applied, failed, mine, done]
    assert shown("since=0001-01-01&until=9999-12-31") == [applied, failed, mine, done]
    assert shown("status=nonsense&kind=%00&person=x") == [applied, failed, mine, done]


def test_housekeeping_stays_out_of_sight_unless_asked_for(session: Any, sign_in: SignIn) -> None:
    chore = a_run("test.chore")
    shown = a_run()
    client = sign_in("viewer")
    assert numbers_of(client.get("/runs").text) == [shown]
    assert numbers_of(client.get("/runs?quiet=1").text) == [shown, chore]
    assert numbers_of(client.get("/runs?kind=test.chore").text) == [chore]


def test_a_live_run_asks_for_its_progress_and_an_ended_one_no_longer(
    session: Any, sign_in: SignIn
) -> None:
    for _ in range(5):
        CustomerFactory()
    session.commit()
    run_id, client = a_run(dry_run=True), sign_in("viewer")
    assert 'hx-trigger="every 1s"' in client.get(f"/runs/{run_id}").text
    tried = iter([False, False, True, True])
    working.perform(db.engine, run_id, stopping=lambda: next(tried))  # the plan and one chunk
    reported = client.get(f"/runs/{run_id}/progress", headers={"HX-Request": "true"})
    assert '<progress aria-label="Progress"' in reported.text
    assert "2 of 5 looked at" in reported.text
    assert 'hx-trigger="every 1s"' in reported.text
    assert "<html" not in reported.text
    working.perform(db.engine, run_id)
    reported = client.get(f"/runs/{run_id}/progress", headers={"HX-Request": "true"})
    assert "hx-trigger" not in reported.text
    assert "runEnded" in reported.headers["HX-Trigger"]
    plain = client.get(f"/runs/{run_id}/progress")
    assert (plain.status_code, plain.headers["Location"]) == (303, f"/runs/{run_id}")


def test_items_stand_with_before_after_and_difference_biggest_first(
    session: Any, sign_in: SignIn, app: Flask
) -> None:
    run_id = a_dry_run(session, ("Ana", "Budiman", "Broken"))
    page = sign_in("viewer", number_format="id").get(f"/runs/{run_id}").text
    cells = re.findall(r'data-label="After">([^<]+?)\s*<', page)
    assert cells == ["7.000.000,00", "6.000.000,00", "3.000.000,00"]
    assert "the ledger of this customer is closed" in page
    assert "16.000.000,00" in page, "the total of the differences"
    failed = sign_in("viewer").get(f"/runs/{run_id}?outcome=failed").text
    assert re.findall(r'data-label="After">([^<]+?)\s*<', failed) == ["6,000,000.00"]


def test_items_as_a_file_have_numbers_totals_and_inert_texts(
    session: Any, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "enabled", False)
    run_id = a_dry_run(session, ("Ana", "Budiman"))
    session.execute(
        RunItem.__table__.update()
        .where(RunItem.run_id == run_id)
        .values(
            error="=cmd|' /C calc'!A0",
            before={"balance": "-5.00"},
            amount_before=-5,
            amount=RunItem.amount_after + 5,
            gross=RunItem.amount_after + 5,
        )
    )
    session.commit()
    answer = sign_in("viewer").get(f"/runs/{run_id}/items.csv")
    lines = list(csv.reader(StringIO(answer.data.decode("utf-8-sig"), newline="")))
    head, *rows = lines
    assert head == [
        "Record", "What", "Before", "After", "Net", "Gross", "By column", "Outcome", "Why",
    ]  # fmt: skip
    assert [row[2] for row in rows[:2]] == ["-5", "-5"]
    assert {row[8] for row in rows[:2]} == {"'=cmd|' /C calc'!A0"}
    total = session.scalar(select(db.func.sum(RunItem.amount)).where(RunItem.run_id == run_id))
    file = sign_in("viewer").get(f"/runs/{run_id}/items.csv-id").data.decode("utf-8-sig")
    totals = list(csv.reader(StringIO(file.replace(",", "."), newline=""), delimiter=";"))[3]
    assert Decimal(totals[4]) == total == Decimal("10000010.00")
    name = answer.headers["Content-Disposition"]
    assert re.fullmatch(rf"attachment; filename=run-{run_id}-items-[\d-]+\.csv", name)
    assert sign_in("viewer").get(f"/runs/{run_id}/items.xlsx").status_code == 200
    assert sign_in("viewer").get(f"/runs/{run_id}/items.pdf").status_code == 404


def test_what_a_dry_run_found_is_applied_once_with_a_reason(session: Any, sign_in: SignIn) -> None:
    run_id, client = a_dry_run(session), sign_in("finance")
    page = client.get(f"/runs/{run_id}").text
    assert "7,000,000.00" in page, "what the differences come to"
    assert "nothing to apply" not in page
    assert "a second person will have to" not in page
    refused = act(client, run_id, "apply", reason="  ")
    assert refused.status_code == 422
    assert "Say why" in refused.text
    key = key_in(page)
    first = act(client, run_id, "apply", key, reason="recount")
    assert first.status_code == 303
    again = act(client, run_id, "apply", key, reason="recount")
    assert again.headers["Location"] == first.headers["Location"], "a double click is one click"
    [asked] = session.scalars(select(Run).where(Run.follows == run_id))
    assert (asked.kind, asked.reason, asked.status) == ("test.balances-apply", "recount", "queued")
    assert act(client, run_id, "apply", "other", reason="recount").status_code == 409
    assert f'action="/runs/{run_id}/apply"' not in client.get(f"/runs/{run_id}").text
    working.perform(db.engine, asked.id)
    followed = client.get(f"/runs/{asked.id}").text
    assert f'href="/runs/{run_id}"' in followed
    assert "recount" in followed
    assert f'href="/runs/{asked.id}"' in client.get(f"/runs/{run_id}").text


def test_above_a_limit_another_person_approves(session: Any, sign_in: SignIn, app: Flask) -> None:
    app.config["APPROVAL_ABOVE_COUNT"] = 1
    asker = UserFactory(name="Ana Asker")
    session.commit()
    run_id, client = a_dry_run(session), sign_in(asker)
    assert "a second person will have to approve it" in client.get(f"/runs/{run_id}").text
    act(client, run_id, "apply", reason="recount")
    [waiting] = session.scalars(select(Run).where(Run.follows == run_id))
    assert waiting.status == "awaiting approval"
    own = client.get(f"/runs/{waiting.id}").text
    assert "you cannot approve it" in own
    assert f"/runs/{waiting.id}/approve" not in own
    assert act(client, waiting.id, "approve").status_code == 403
    viewer = sign_in("viewer")
    assert "Your role does not allow you to approve it" in viewer.get(f"/runs/{waiting.id}").text
    assert act(viewer, waiting.id, "approve").status_code == 403
    other = sign_in("finance", name="Oka Other")
    page = other.get(f"/runs/{waiting.id}").text
    assert "Ana Asker asks for your approval" in page
    assert act(other, waiting.id, "approve", key_in(page)).status_code == 303
    assert run_of(session, waiting.id).status == "queued"
    assert "Oka Other" in client.get(f"/runs/{waiting.id}").text
    assert act(other, waiting.id, "approve", "again").status_code == 409


def test_a_run_is_cancelled_and_what_is_left_retried(session: Any, sign_in: SignIn) -> None:
    for _ in range(5):
        CustomerFactory()
    session.commit()
    run_id, client = a_run(dry_run=True), sign_in("finance")
    tried = iter([False, False, True, True])
    working.perform(db.engine, run_id, stopping=lambda: next(tried))
    assert (
        act(client, run_id, "cancel", key_in(client.get(f"/runs/{run_id}").text)).status_code == 303
    )
    working.perform(db.engine, run_id)
    assert run_of(session, run_id).status == "cancelled"
    assert act(client, run_id, "cancel", "again").status_code == 409
    page = client.get(f"/runs/{run_id}").text
    answer = act(client, run_id, "retry", key_in(page))
    retried = int(answer.headers["Location"].rsplit("/", 1)[1])
    working.perform(db.engine, retried)
    assert run_of(session, run_id).checked == 2
    assert run_of(session, retried).checked == 3
    assert f"what run {run_id} left undone" in client.get(f"/runs/{retried}").text
    assert f"/runs/{run_id}/retry" not in client.get(f"/runs/{run_id}").text, "only once"


def test_what_failed_says_why_and_can_be_retried(session: Any, sign_in: SignIn) -> None:
    run_id, client = a_dry_run(session, ("Ana", "Broken")), sign_in("finance")
    page = client.get(f"/runs/{run_id}").text
    assert "Finished with failures" in page
    assert "the ledger of this customer is closed" in page
    retried = int(act(client, run_id, "retry").headers["Location"].rsplit("/", 1)[1])
    working.perform(db.engine, retried)
    assert run_of(session, retried).failed == 1


@pytest.mark.parametrize("verb", ["cancel", "retry", "apply"])
def test_verbs_are_open_to_whoever_may_start_the_kind(
    verb: str, session: Any, sign_in: SignIn
) -> None:
    run_id = a_run() if verb == "cancel" else a_dry_run(session, ("Ana", "Broken"))
    viewer, manager = sign_in("viewer"), sign_in("account_manager")
    assert act(viewer, run_id, verb, reason="why").status_code == 403
    assert act(manager, run_id, verb, reason="why").status_code == 403
    assert f"/runs/{run_id}/{verb}" not in viewer.get(f"/runs/{run_id}").text
    chore = a_run("test.chore")
    assert act(sign_in("finance"), chore, "cancel").status_code == 403, "admins' kind"
    assert act(sign_in("admin"), chore, "cancel").status_code == 303
    assert act(sign_in("finance"), run_id, verb, reason="why").status_code == 303


def test_a_kind_that_nobody_declares_any_more_is_shown_and_left_alone(
    session: Any, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, client = a_run(), sign_in("admin")
    monkeypatch.delitem(declared().kinds, "test.balances")
    assert "test.balances" in client.get("/runs").text
    assert client.get(f"/runs/{run_id}").status_code == 200
    assert act(client, run_id, "cancel").status_code == 403


@pytest.mark.parametrize(
    "number", ["0", "999999999999999999", "9223372036854775807", "9223372036854775808", "-1", "1.5", "x"]
)  # fmt: skip
def test_hostile_numbers_are_no_runs(number: str, sign_in: SignIn) -> None:
    client = sign_in("admin")
    for path in (f"/runs/{number}", f"/runs/{number}/progress", f"/runs/{number}/items.csv"):
        assert client.get(path, headers={"HX-Request": "true"}).status_code == 404, path
    for verb in ("cancel", "retry", "approve", "apply"):
        assert act(client, number, verb, reason="x").status_code == 404, verb  # type: ignore[arg-type]


def test_stored_markup_and_old_scopes_stay_text(session: Any, sign_in: SignIn) -> None:
    evil = "<script>alert(1)</script>"
    run_id = a_run(by=evil, reason=evil, scope={"figures": [], evil: evil})
    session.execute(
        Run.__table__.update()
        .where(Run.id == run_id)
        .values(error=evil, result={evil: {"a": evil}})
    )
    session.commit()
    client = sign_in("admin")
    for path in ("/runs", f"/runs/{run_id}"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert evil not in answer.text


def test_account_managers_see_no_runs(session: Any, sign_in: SignIn) -> None:
    run_id = a_run()
    client = sign_in("account_manager")
    for path in ("/runs", f"/runs/{run_id}", f"/runs/{run_id}/items.csv", "/runs/export.csv"):
        assert client.get(path).status_code == 403


def test_figures_of_which_a_run_has_no_records_are_not_listed(app: Flask) -> None:
    asked = {"figures": {"orders.grand_total": [7, 8], "wallets.balance": []}}
    with app.test_request_context():
        assert wording.scope_in_words(asked) == "Grand total of 2 records"
        assert wording.scope_in_words({"figures": {"wallets.balance": []}}) == "Wallet of 0 records"


def test_a_dry_run_that_finds_nothing_says_so(app: Flask, session: Any, sign_in: SignIn) -> None:
    run_id = a_dry_run(session, names=())
    page = sign_in("finance").get(f"/runs/{run_id}").text
    assert "Nothing would be changed, so there is nothing to apply." in page


def test_a_verification_names_the_totals_that_it_has_looked_at(app: Flask) -> None:
    run = Run(kind="figures.verify", result={"owners": {"orders": 830, "meters": 46, "gone": 1}})
    with app.test_request_context():
        assert wording.result_in_words(run) == [
            ("Records looked at: Line amount, Components, Grand total", "830"),
            ("Records looked at: Meter balance", "46"),
            ("Records looked at: gone", "1"),
        ]
