"""Recalculations in the browser: preview, report, application, files, and who may."""

import csv
import io
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.drift.healing.performing import performed
from backoffice.runs.models import Run
from tests.billing.recalculations import (
    a_customer,
    a_meter,
    ask,
    balances,
    digest,
    key_in,
    recalculated,
    refused,
    text_of,
)

SignIn = Callable[..., FlaskClient]

LIST = "/billing/recalculations"


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance", name="Fina Nance")


@pytest.fixture
def book(session: Any, surgery: psycopg.Connection[Any]) -> dict[str, Customer]:
    """Ana is 250.00 too low, Budi 60.50 overpaid too much, Citra right."""
    ana = a_customer("C-1", name="Ana", invoiced="5250")
    budi = a_customer("C-2", name="Budi", paid="40")
    citra = a_customer("C-3", name="Citra", invoiced="10", paid="10")
    session.commit()
    surgery.execute("UPDATE customers SET balance = 5000 WHERE code = 'C-1'")
    surgery.execute("UPDATE customers SET overpayment = 100.50 WHERE code = 'C-2'")
    return {"C-1": ana, "C-2": budi, "C-3": citra}


def reported(client: FlaskClient, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return text_of(answer.text)


def only_run(session: Any) -> Run:
    session.rollback()
    found: Run = session.scalars(select(Run)).one()
    return found


def heal() -> None:
    recalculated()


def test_nothing_yet_and_what_it_is_for(finance: FlaskClient, session: Any) -> None:
    page = reported(finance, LIST)
    assert "No recalculation yet" in page
    assert "first you see what would change" in page


def test_the_button_asks_for_one_preview_however_often_it_is_pressed(
    finance: FlaskClient, session: Any, book: dict[str, Customer]
) -> None:
    key = key_in(finance.get(LIST).text)
    first = finance.post(LIST, data={"idempotency_key": key})
    again = finance.post(LIST, data={"idempotency_key": key})
    another = finance.post(LIST, data={"idempotency_key": "another"})
    run = only_run(session)
    assert first.location == again.location == another.location == f"{LIST}/{run.id}"
    assert (run.kind, run.dry_run, run.is_paced) == ("billing.recalculate", True, False)
    assert "Queued" in reported(finance, first.location)
    performed(db.engine, run.id)
    heal()


def test_the_report_says_what_would_change_and_ties(
    finance: FlaskClient, session: Any, book: dict[str, Customer]
) -> None:
    run = recalculated(dry_run=True)
    page = reported(finance, f"{LIST}/{run.id}")
    for words in (
        "Preview: nothing is changed", "Customers processed 3", "With balance 1", "With overpayment 1",
        "Clear (zero balance) 1", "Balances that would change 1", "Overpayments that would change 1",
        "Balance 5,000.00 +250.00 5,250.00", "Overpayment 100.50 -60.50 40.00",
        "Changes by more than Rp 100.00 1", "C-1 Ana Balance 5,000.00 5,250.00 +250.00",
    ):  # fmt: skip
        assert words in page, words
    html = finance.get(f"{LIST}/{run.id}").text
    assert 'href="/customers/C-1"' in html
    assert 'href="/billing/customers/C-1/calculation/balance"' in html
    assert finance.get("/billing/customers/C-1/calculation/balance").status_code == 200
    heal()


def test_the_panel_that_applies_says_the_same_sums_as_the_control_totals(
    finance: FlaskClient, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    """A payment moved past the triggers is wrong at the meter and at the customer: it was counted twice."""
    a_customer("C-4", name="Dewi", invoiced="1000", paid="400")
    session.commit()
    surgery.execute("UPDATE meters SET paid = paid - 250, balance = balance + 250")
    surgery.execute("UPDATE customers SET balance = 850 WHERE code = 'C-4'")
    run = recalculated(dry_run=True)
    page = reported(finance, f"{LIST}/{run.id}")
    assert "Balance 850.00 -250.00 600.00" in page
    panel = page.partition("Apply what it has found")[2]
    assert "Difference of the balances -Rp 250.00 Difference of the overpayments Rp 0.00" in panel
    assert "Sum of the differences" not in page
    assert "gross amount, of a meter as well as of its customer: Rp 750.00." in panel
    heal()


def test_applied_with_a_reason_and_both_runs_say_so(
    finance: FlaskClient, session: Any, book: dict[str, Customer]
) -> None:
    dry = recalculated(dry_run=True)
    page = finance.get(f"{LIST}/{dry.id}").text
    address = f"{LIST}/{dry.id}/apply"
    refusal = finance.post(address, data={"idempotency_key": key_in(page), "reason": ""})
    assert refusal.status_code == 422
    assert "Say why" in refusal.text
    assert f"Recalculation {dry.id}" in refusal.text, "on the page where it was asked"
    data = {"idempotency_key": key_in(refusal.text), "reason": "Closing of March"}
    answer = finance.post(address, data=data)
    assert finance.post(address, data=data).location == answer.location
    applied = int(answer.location.rpartition("/")[2])
    assert performed(db.engine, applied).run.status == "done"
    assert balances(session) == {"C-1": (5250, 0), "C-2": (0, 40), "C-3": (0, 0)}
    page = reported(finance, f"{LIST}/{dry.id}")
    assert f"Applied by Run {applied} (Done)" in page
    assert "Apply what it has found" not in page, "it was"
    assert f"{dry.id} Preview" in reported(finance, LIST)


def test_the_list_of_recalculations_and_its_file(
    finance: FlaskClient, session: Any, book: dict[str, Customer]
) -> None:
    recalculated(dry_run=True)
    recalculated()
    page = reported(finance, LIST)
    assert "2 Recalculation" in page
    assert "1 Preview" in page
    assert "1 Preview" not in reported(finance, f"{LIST}?kind=recalculation")
    file = finance.get(f"{LIST}/export.csv")
    assert file.status_code == 200
    assert "250" not in file.text, "as on the screen, where that column is not chosen"
    chosen = finance.get(f"{LIST}/export.csv?columns=number,balance_difference")
    assert "250.00" in chosen.text


def test_sums_of_differences_may_be_more_than_one_amount_can_be(
    finance: FlaskClient, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE customers SET balance = 9999999999999")
    run = recalculated(dry_run=True)
    assert "29,999,999,999,997.00" in reported(finance, f"{LIST}/{run.id}")
    shown = "columns=started_at,balance_difference"
    assert "-29,999,999,994,747.00" in reported(finance, f"{LIST}?{shown}")
    assert "-29999999994747.00" in finance.get(f"{LIST}/export.csv?{shown}").text
    heal()


def test_all_changed_customers_as_a_list_and_as_a_file_with_control_totals(
    finance: FlaskClient, session: Any, book: dict[str, Customer]
) -> None:
    run = recalculated()
    page = reported(finance, f"{LIST}/{run.id}/changes")
    assert "C-1 Ana 5,000.00 5,250.00 250.00" in page
    assert "C-2 Budi 100.50 40.00 -60.50" in page
    assert "Citra" not in page
    only_ana = reported(finance, f"{LIST}/{run.id}/changes?significant=1")
    assert ("Ana" in only_ana, "Budi" in only_ana) == (True, False)
    assert "Ana" not in reported(finance, f"{LIST}/{run.id}/changes?type=overpayment")
    assert "Budi" in reported(finance, f"{LIST}/{run.id}/changes?q=budi")
    file = finance.get(f"{LIST}/{run.id}/changes.csv").get_data().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(file)))
    assert rows[1] == ["C-1", "Ana", "5000.00", "5250.00", "250.00", "", "", ""]
    assert rows[2] == ["C-2", "Budi", "", "", "", "100.50", "40.00", "-60.50"]
    file = finance.get(f"{LIST}/{run.id}/changes.csv-id").get_data().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(file.replace(",", ".")), delimiter=";"))
    totals = run.result["totals"]
    assert rows[3][4] == totals["balance"]["difference"]
    assert rows[3][7] == totals["overpayment"]["difference"]
    assert finance.get(f"{LIST}/{run.id}/changes.xlsx").status_code == 200


def test_owners_that_could_not_be_corrected_are_named_with_the_cause(
    finance: FlaskClient,
    session: Any,
    book: dict[str, Customer],
    owner_connection: psycopg.Connection[Any],
) -> None:
    with refused(owner_connection, "customers", book["C-1"].id):
        run = recalculated()
    page = reported(finance, f"{LIST}/{run.id}")
    assert "Not corrected" in page
    assert "C-1 Ana this row is sealed" in page
    assert "Retry what is left" in page
    heal()


def test_a_live_one_is_asked_again_until_its_report_is_there(
    finance: FlaskClient, session: Any, book: dict[str, Customer]
) -> None:
    number = ask(dry_run=True)
    address, htmx = f"{LIST}/{number}/progress", {"HX-Request": "true"}
    waiting = finance.get(address, headers=htmx).text
    assert 'hx-trigger="every 1s"' in waiting
    assert f'href="{LIST}/{number}"' in waiting, "without JavaScript it is loaded again"
    performed(db.engine, number)
    done = finance.get(address, headers=htmx).text
    assert "every 1s" not in done
    assert "Control totals" in done
    assert "<html" not in done
    assert finance.get(address).location == f"{LIST}/{number}"
    heal()


def test_right_books_say_so(finance: FlaskClient, session: Any, book: dict[str, Customer]) -> None:
    heal()
    run = recalculated(dry_run=True)
    page = reported(finance, f"{LIST}/{run.id}")
    assert "there is nothing to change" in page
    assert "Apply" not in page
    assert "Changes by more than" not in page


def test_other_runs_are_not_shown_as_recalculations(finance: FlaskClient, session: Any) -> None:
    from tests.drift.books import run_of

    other = run_of("figures.heal", dry_run=True)
    for way in ("", "/changes", "/changes.csv"):
        assert finance.get(f"{LIST}/{other.id}{way}").status_code == 404
    assert finance.get(f"{LIST}/999").status_code == 404


def test_viewers_look_and_account_managers_do_not(
    sign_in: SignIn, session: Any, book: dict[str, Customer]
) -> None:
    run = recalculated(dry_run=True)
    viewer = sign_in("viewer")
    assert "Control totals" in reported(viewer, f"{LIST}/{run.id}")
    assert "Recalculate all customers" not in reported(viewer, LIST)
    assert "Apply" not in reported(viewer, f"{LIST}/{run.id}")
    assert viewer.post(LIST, data={"idempotency_key": "k"}).status_code == 403
    manager = sign_in("account_manager")
    assert manager.get(LIST).status_code == 403
    assert manager.get(f"{LIST}/{run.id}/changes.csv").status_code == 403
    assert session.scalar(select(func.count()).select_from(Run)) == 1
    heal()


def test_a_large_book_rests_in_between(
    finance: FlaskClient, session: Any, book: dict[str, Customer], monkeypatch: Any
) -> None:
    monkeypatch.setattr("backoffice.billing.recalculation.views.MOST_WAITED_FOR", 2)
    finance.post(LIST, data={"idempotency_key": "k"})
    run = only_run(session)
    assert run.is_paced
    performed(db.engine, run.id)
    heal()


@pytest.mark.parametrize("kind", ["customer", "meter"])
def test_one_customer_or_meter_is_previewed_and_applied_from_its_own_page(
    app: Flask,
    finance: FlaskClient,
    session: Any,
    surgery: psycopg.Connection[Any],
    kind: str,
) -> None:
    """The button of the page, its dry run with balances in words, nothing written, then applied."""
    ana = a_customer("ANA", name="Ana", invoiced="5250")
    meter = a_meter(ana, paid="40")
    session.commit()
    surgery.execute("UPDATE meters SET balance = 5000 WHERE balance > 0")
    surgery.execute("UPDATE meters SET overpayment = 1 WHERE id = %s", [meter.id])
    surgery.execute("UPDATE customers SET balance = 5000, overpayment = 1")
    page, number = (
        ("/customers/ANA", ana.id) if kind == "customer" else (f"/billing/meters/{meter.number}", meter.id)
    )  # fmt: skip
    html = finance.get(page).text
    action = f"/health/drift/recalculate/{kind}/{number}"
    assert f'action="{action}"' in html
    answer = finance.post(action, data={"idempotency_key": "k", "next": page})
    run_id = int(answer.location.rpartition("/")[2])
    session.rollback()
    before = digest(surgery, but=("runs", "run_items", "run_chunks"))
    dry = performed(db.engine, run_id).run
    assert digest(surgery, but=("runs", "run_items", "run_chunks")) == before
    assert dry.dry_run
    shown = reported(finance, answer.location)
    assert "Customer balance" in shown
    assert "Balance 5,000.00 → 5,250.00 (+250.00)" in shown
    assert "Overpayment 1.00 → 40.00 (+39.00)" in shown
    html = finance.get(answer.location).text
    assert 'href="/customers/ANA"' in html
    data = {"idempotency_key": key_in(html), "reason": "It was wrong"}
    applied = finance.post(f"/runs/{run_id}/apply", data=data)
    performed(db.engine, int(applied.location.rpartition("/")[2]))
    assert balances(session) == {"ANA": (5250, 40)}
    heal()
