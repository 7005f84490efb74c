"""The migration in the browser: permissions, the reports of steps, previews, findings as a list and a file."""

from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.billing.migration.steps import STEPS
from backoffice.runs.models import Run
from tests.billing.books_of_meters import (
    a_customer,
    a_payment,
    an_invoice,
    applied,
    ended,
    meters_of,
    migrated,
    step,
)
from tests.drift.books import key_in, rows_of, text_of
from tests.surgery import past_every_trigger

PAGE = "/billing/migration"


@pytest.fixture
def book(session: Any) -> None:
    """One payment with a sure meter, and one without."""
    ada = a_customer("A", "M-A")
    an_invoice("INV-A", ada)
    a_payment("P-A", ada)
    a_payment("P-B", a_customer("B", "M-B1", "M-B2"))
    session.commit()


def page(browser: FlaskClient, address: str = PAGE) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def press(browser: FlaskClient, name: str, verb: str, key: str = "") -> Any:
    typed = {"idempotency_key": key or key_in(page(browser))}
    return browser.post(f"{PAGE}/{name}/{verb}", data=typed)


def runs(session: Any) -> list[Run]:
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Run).order_by(Run.id)))


def test_six_steps_are_listed_and_none_is_done_yet(sign_in: Any, book: None) -> None:
    reported = text_of(page(sign_in("finance")))
    assert reported.count("Not done yet") == 6
    for number, one in enumerate(STEPS, start=1):
        assert f"{number}. {one.title}" in reported


def test_a_viewer_sees_it_and_has_no_buttons(sign_in: Any, book: None) -> None:
    viewer = sign_in("viewer")
    reported = page(viewer)
    assert "<form" not in reported.partition("<main")[2].partition("</main>")[0]
    assert viewer.post(f"{PAGE}/all/preview").status_code == 403
    assert sign_in("account_manager").get(PAGE).status_code == 403


def test_a_preview_changes_nothing_and_says_what_would_be_done(
    session: Any, sign_in: Any, book: None
) -> None:
    finance = sign_in("finance")
    assert press(finance, "payment-meters", "preview").status_code == 303
    [run] = runs(session)
    assert (run.kind, run.dry_run, run.requested_by[:5]) == (STEPS[0].kind, True, "user:")
    assert "Preview 1" in text_of(page(finance))
    ended(run.id)
    reported = text_of(page(finance))
    assert "Would be done 1 Payments, by the day they were paid" in reported
    assert "Would be left 1 Payments: several meters that day" in reported
    assert meters_of("P-A") == {"P-A": None}


def test_what_an_earlier_preview_found_stays_applied_when_there_is_a_later_preview(
    sign_in: Any, book: None, admin_database_url: str
) -> None:
    """Step 5 was "Done", and "Not done yet" after another preview."""
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE customers SET balance = balance + 1 WHERE code = 'A'")
    first = step("customer-balances", dry_run=True)
    assert text_of(page(sign_in("finance"))).count("Not done yet") == 6
    applied(first)
    assert text_of(page(sign_in("finance"))).count("Not done yet") == 5
    step("customer-balances", dry_run=True)
    reported = text_of(page(sign_in("finance")))
    assert reported.count("Not done yet") == 5
    assert "applied by run" not in reported, "the later one was not"


def test_a_step_is_previewed_once_however_often_the_form_is_sent_and_applied_from_there(
    session: Any, sign_in: Any, book: None
) -> None:
    finance = sign_in("finance")
    key = key_in(page(finance))
    answers = {press(finance, "payment-meters", "preview", key).status_code for _ in range(2)}
    [run] = runs(session)
    assert answers == {303}
    ended(run.id)
    assert meters_of("P-A") == {"P-A": None}
    typed = {"idempotency_key": "k", "reason": "the legacy book"}
    assert finance.post(f"/runs/{run.id}/apply", data=typed).status_code == 303
    ended(runs(session)[-1].id)
    assert meters_of("P-A") == {"P-A": "M-A"}
    reported = text_of(page(finance))
    assert "applied by run 2" in reported
    assert "Unmatched payments" in reported


def test_what_is_under_way_is_not_begun_twice(session: Any, sign_in: Any, book: None) -> None:
    finance = sign_in("finance")
    first = press(finance, "all", "preview", "one-key-of-some-length")
    second = press(finance, "all", "preview", "another-key-of-some-length")
    assert (first.status_code, second.status_code) == (303, 303)
    assert len(runs(session)) == 1
    assert "nothing further was started" in text_of(page(finance)) or "under way" in page(finance)


@pytest.mark.parametrize("name", ["all", *(one.name for one in STEPS if not one.only_looks)])
def test_nothing_that_writes_is_done_without_having_been_shown(
    session: Any, sign_in: Any, book: None, name: str
) -> None:
    assert press(sign_in("finance"), name, "run").status_code == 404
    assert runs(session) == []


def test_all_steps_are_previewed_by_the_workers_one_after_the_other(
    session: Any, sign_in: Any, book: None
) -> None:
    finance = sign_in("finance")
    press(finance, "all", "preview")
    while live := [run for run in runs(session) if run.is_live]:
        reported = page(finance)
        assert 'hx-trigger="every 1s"' in reported
        assert "All steps are running" in reported
        ended(live[0].id)
    assert [run.kind for run in runs(session)] == [
        "billing.migration",
        *(one.kind for one in STEPS),
    ]
    reported = page(finance)
    assert 'hx-trigger="every 1s"' not in reported
    assert meters_of("P-A") == {"P-A": None}


def test_all_steps_are_looked_at_and_applied_as_one(
    app: Any, session: Any, sign_in: Any, book: None
) -> None:
    """One list with one total, one reason and one limit; its steps cannot be applied alone."""
    app.config["APPROVAL_ABOVE_COUNT"] = 4
    finance = sign_in("finance")
    whole, *steps = migrated(dry_run=True)
    reported = page(finance)
    assert f'href="/runs/{whole.id}"' in reported
    panel = text_of(reported)
    assert "Preview of all steps Items 5" in panel
    assert "Net total Rp 3,500.00" in panel
    assert "a second person will have to approve it" in panel
    for one in steps:
        assert "Apply these changes" not in page(finance, f"/runs/{one.id}")
    asking = page(finance, f"/runs/{whole.id}")
    assert "Apply these changes" in asking
    for name in ("INV-A", "P-A", "M-A"):
        assert name in asking
    apply = f"/runs/{whole.id}/apply"
    assert finance.post(apply, data={"idempotency_key": key_in(asking)}).status_code == 422
    typed = {"idempotency_key": "k" * 20, "reason": "the legacy book"}
    assert finance.post(apply, data=typed).status_code == 303
    asked = runs(session)[-1]
    assert (asked.status, asked.reason) == ("awaiting approval", "the legacy book")
    own = finance.post(f"/runs/{asked.id}/approve", data={"idempotency_key": "o" * 20})
    assert own.status_code == 403
    assert meters_of("P-A") == {"P-A": None}
    budi = sign_in("finance", name="Budi Second")
    waits = text_of(page(budi, f"/runs/{asked.id}"))
    assert "Net total Rp 3,500.00" in waits
    budi.post(f"/runs/{asked.id}/approve", data={"idempotency_key": "p" * 20})
    done = ended(asked.id)
    assert (done.status, done.changed, done.skipped) == ("done", 5, 0)
    assert meters_of("P-A") == {"P-A": "M-A"}
    reported = text_of(page(finance))
    assert f"applied by run {asked.id}" in reported
    assert reported.count("Not done yet") == 2, "the two steps that only look"


def test_progress_is_the_same_part_of_the_page(session: Any, sign_in: Any, book: None) -> None:
    finance = sign_in("finance")
    press(finance, "all", "preview")
    asked = finance.get(f"{PAGE}/progress", headers={"HX-Request": "true"})
    assert asked.status_code == 200
    assert asked.text.lstrip().startswith('<div id="migration"')
    assert finance.get(f"{PAGE}/progress").status_code == 303


def test_what_a_step_has_left_is_a_list_with_the_reason_and_a_file(
    session: Any, sign_in: Any, book: None
) -> None:
    run = step("payment-meters")
    finance = sign_in("finance")
    address = f"{PAGE}/runs/{run.id}/billing.payment-several-assignments"
    reported = text_of(page(finance, address))
    assert "More than one meter may have been assigned" in reported
    assert "Match it under Unmatched payments" in reported
    [row] = rows_of(finance, address)
    assert "P-B" in row[0]
    file = finance.get(f"{address}/export.csv")
    assert file.status_code == 200
    assert "P-B" in file.get_data(as_text=True)
    assert f'href="{address}"' in page(finance)


def test_every_run_of_a_step_has_its_report_and_its_page_leads_there(
    session: Any, sign_in: Any, book: None
) -> None:
    finance, done = sign_in("finance"), migrated()
    for run in done:
        if run.kind != "billing.recalculate":
            assert f"{PAGE}/runs/{run.id}" in page(finance, f"/runs/{run.id}")
            assert STEPS[done.index(run)].title in text_of(page(finance, f"{PAGE}/runs/{run.id}"))
    assert "Difference ties out" in text_of(page(finance, f"{PAGE}/runs/{done[-1].id}"))
    assert finance.get(f"{PAGE}/runs/99").status_code == 404


def test_what_a_step_has_done_is_a_list_of_before_and_after(
    session: Any, sign_in: Any, book: None
) -> None:
    run = step("payment-meters")
    [row] = rows_of(sign_in("finance"), f"{PAGE}/runs/{run.id}/billing.payment-by-assignment")
    assert "№ M-A" in " ".join(row)


def test_a_finding_leads_to_its_record(session: Any, sign_in: Any, book: None) -> None:
    run = step("validation")
    reported = page(sign_in("finance"), f"{PAGE}/runs/{run.id}/billing.check-payment-without-meter")
    assert 'href="/billing/payments/P-B' in reported


def test_unknown_steps_runs_and_lines_are_not_found(sign_in: Any, book: None) -> None:
    finance = sign_in("finance")
    for address in (f"{PAGE}/x/run", f"{PAGE}/all/x"):
        assert finance.post(address, data={"idempotency_key": "k" * 20}).status_code == 404
    run = step("validation")
    for address in (f"{PAGE}/runs/99/billing.check-adjustments", f"{PAGE}/runs/{run.id}/x"):
        assert finance.get(address).status_code == 404


@pytest.mark.leaves_drift
def test_books_that_do_not_tie_out_are_said_so(
    session: Any, sign_in: Any, book: None, admin_database_url: str
) -> None:
    migrated()
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE meters SET balance = balance + 1 WHERE number = 'M-A'")
    step("proof")
    reported = text_of(page(sign_in("finance")))
    assert "Differs" in reported
    assert "differs" in reported


def test_the_screen_asks_no_more_of_the_database_with_more_rows(
    session: Any, sign_in: Any, book: None
) -> None:
    migrated()
    small = len(page(sign_in("finance")))
    customer = a_customer("Z")
    for number in range(50):
        a_payment(f"P-Z{number}", customer, amount=Decimal(1))
    session.commit()
    step("payment-meters")
    assert len(page(sign_in("finance"))) < small * 1.2
