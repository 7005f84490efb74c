"""No page, file or command reports as right what is known to be wrong; they agree at every moment."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update

from backoffice.app.extensions import db
from backoffice.drift import figure_status
from backoffice.drift.healing import performing
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.figures import registry
from backoffice.runs.models import FAILED, Run
from tests.drift.books import run_of, text_of
from tests.drift.whole_book import FIGURES, Stored, everything_stored, write_everything

pytestmark = pytest.mark.slow

SAYS_RIGHT = (
    "Figures are right",
    "Every stored figure is right",
    "That is exactly the sum",
    "Every figure is right",
)
"""The sentences that report everything as right."""

STORED = [pytest.param(stored, id=str(stored)) for stored in everything_stored()]


@pytest.fixture(autouse=True)
def asks_anew(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every page queries the status of the books; the cache of some seconds has a test of its own.

    Not that of the triggers, which takes longer than everything else together: see the test that disables one.
    """
    monkeypatch.setattr(figure_status, "SECONDS", 0.0)
    yield
    with app.app_context():
        figure_status.forget_everything()


@pytest.fixture
def book(kept_book: Any, session: Any) -> None:
    """Every kind of record once, verified."""

    def make() -> None:
        write_everything()
        run_of("figures.verify")
        session.rollback()

    kept_book("everything once, verified", make)


@pytest.fixture
def finance(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in("admin")


def page(client: FlaskClient, address: str) -> str:
    """The whole text of a page, including its status dot."""
    return said_of(markup(client, address))


def markup(client: FlaskClient, address: str) -> str:
    answer = client.get(address, follow_redirects=True)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.get_data(as_text=True)


def said_of(text: str) -> str:
    if not text.lstrip().startswith("<"):
        return text  # not HTML
    return " ".join(re.sub(r"<[^>]+>", " ", text).replace("&#39;", "'").split())


def screens(app: Flask) -> list[str]:
    """Every screen with an address without arguments."""
    return sorted(
        rule.rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments
        and not rule.rule.startswith(("/static", "/metrics", "/login", "/api/"))
    )  # fmt: skip


RECORDS = (
    "/customers/ACME", "/customers/ACME/history", "/billing/customers/ACME/statement",
    "/billing/customers/ACME/calculation/balance",
    "/orders/SO-1", "/orders/SO-1/history", "/orders/SO-1/calculation", "/billing/meters/M-1",
    "/billing/meters/M-1/statement", "/billing/meters/M-1/calculation", "/billing/invoices/INV-1",
    "/billing/payments/PAY-1",
)  # fmt: skip


def of_everything(app: Flask) -> list[str]:
    """Every screen, and the record screens of the book."""
    return [*screens(app), *RECORDS]


def reported_right(client: FlaskClient, addresses: list[str]) -> list[tuple[str, str]]:
    """The addresses and sentences that report everything as right."""
    return [(address, words) for address in addresses for words in right_in(page(client, address))]


def right_in(said: str) -> list[str]:
    return [words for words in SAYS_RIGHT if words in said]


def test_the_book_has_every_figure_that_there_is(app: Flask) -> None:
    assert set(FIGURES) == set(registry.figures)


@pytest.mark.parametrize("stored", STORED)
def test_what_a_page_shows_as_wrong_is_wrong_everywhere_until_it_is_mended(
    stored: Stored, book: None, finance: FlaskClient, surgery: psycopg.Connection[Any]
) -> None:
    assert "Figures are right" in page(finance, "/today")
    stored.tamper(surgery)
    own = stored.addresses()
    for address in own:
        text = markup(finance, address)
        said = said_of(text)
        notice = (
            "A figure of this record is stored wrongly"  # also where only a list shows the number
        )
        assert "wrong-mark" in text or notice in said, address
        assert "Figures are right" not in said, address
        assert right_in(said) == [], address
        assert "Stored wrongly" in said or address != own[-1], address
    assert db.session.scalar(select(func.count()).where(figure_status.IS_OPEN)) == 0
    db.session.rollback()
    run_of("figures.verify")
    today = page(finance, "/today")
    assert "wrong" in today
    assert right_in(today) == []
    assert reported_right(finance, ["/health", "/health/drift"]) == []
    stored.mend(surgery)
    run_of("figures.verify")
    for address in own:
        assert "wrong-mark" not in markup(finance, address), address
    assert "Every stored figure is right" in page(finance, "/today")


def by_a_worker(_command: Callable[..., Any], *, is_wrong: bool = True) -> None:
    assert bool(run_of("figures.verify").result["found"]) == is_wrong


def by_a_command(command: Callable[..., Any], *, is_wrong: bool = True) -> None:
    assert command("figures", "verify").exit_code == is_wrong


def by_a_command_of_one_figure(command: Callable[..., Any], *, is_wrong: bool = True) -> None:
    done = command("figures", "verify", "customers.balance", "--json")
    assert done.exit_code == is_wrong


@pytest.mark.parametrize("found", [by_a_worker, by_a_command, by_a_command_of_one_figure])
def test_whoever_finds_it_no_screen_says_right(
    app: Flask, book: None, finance: FlaskClient, surgery: psycopg.Connection[Any],
    run_command: Callable[..., Any], found: Callable[..., None],
) -> None:  # fmt: skip
    surgery.execute("UPDATE customers SET balance = 9999")
    found(run_command)
    assert reported_right(finance, of_everything(app)) == []
    assert "1 wrong" in page(finance, "/orders")
    shown = finance.get("/customers/ACME").text
    assert "wrong-mark" in shown.partition("9,999.00")[2][:400]
    surgery.execute("UPDATE customers SET balance = 1100")
    found(run_command, is_wrong=False)
    assert db.session.scalar(select(func.count()).where(figure_status.IS_OPEN)) == 0


def test_a_finding_of_a_command_is_recorded_and_closed_as_a_workers_is(
    book: None, session: Any, surgery: psycopg.Connection[Any], run_command: Callable[..., Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    reported = run_command("orders", "verify-grand-totals")
    assert reported.exit_code == 1
    is_row = figure_status.IS_OPEN & figure_status.IS_COUNTED  # the check follows from it
    finding = session.scalars(select(DriftFinding).where(is_row)).one()
    assert f"Run {finding.run_id} recorded them" in reported.stdout
    run = session.get_one(Run, finding.run_id)
    assert (run.kind, run.status) == ("figures.verify", "done")
    assert run.requested_by.startswith("cli:")
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1")
    assert run_command("orders", "verify-grand-totals").exit_code == 0
    session.expire_all()
    assert session.scalar(select(DriftFinding.healed_at)) is not None


@pytest.mark.parametrize(
    ("forbid", "allow", "sentence"),
    [
        (
            "ALTER DATABASE backoffice SET default_transaction_read_only = on",
            "ALTER DATABASE backoffice RESET default_transaction_read_only",
            "takes no writes",
        ),
        (
            "REVOKE INSERT ON runs FROM backoffice_app",
            "GRANT INSERT ON runs TO backoffice_app",
            "has no right to",
        ),
    ],
)
def test_a_command_that_cannot_record_says_so_and_finds_all_the_same(
    book: None, surgery: psycopg.Connection[Any], run_command: Callable[..., Any],
    forbid: str, allow: str, sentence: str,
) -> None:  # fmt: skip
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    surgery.execute(forbid.encode())
    db.engine.dispose()
    try:
        reported = run_command("figures", "verify", "--json")
    finally:
        surgery.execute(allow.encode())
        db.engine.dispose()
    assert reported.exit_code == 1, reported.output
    assert json.loads(reported.stdout)["drifted"] > 0
    assert json.loads(reported.stdout)["run"] is None
    assert sentence in reported.stderr
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1")


def test_only_the_page_that_shows_a_difference_counts_it_before_a_verification(
    book: None, finance: FlaskClient, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    answer = finance.get("/orders/SO-1")
    assert "A figure of this record is stored wrongly" in answer.text
    assert "Figures are right" not in answer.text
    assert "Figures are right" in finance.get("/customers").text
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1")


def test_notes_that_wait_are_not_right_either(
    app: Flask, book: None, finance: FlaskClient, session: Any,
    app_connection: psycopg.Connection[Any], run_command: Callable[..., Any],
) -> None:  # fmt: skip
    app_connection.execute("UPDATE payments SET amount = amount + 1")
    assert reported_right(finance, of_everything(app)) == []
    assert "Being updated" in page(finance, "/today") or "wrong" in page(finance, "/today")
    assert run_command("figures", "heal", "--noted").exit_code == 0
    assert "Figures are right" in page(finance, "/orders")


def test_a_failed_or_stale_or_missing_check_is_not_right(
    book: None, finance: FlaskClient, session: Any
) -> None:
    session.add(
        Run(
            kind="figures.verify",
            scope={},
            scope_key="x",
            status=FAILED,
            finished_at=datetime.now(UTC),
        )
    )
    session.commit()
    said = page(finance, "/today")
    assert f"The last check of {len(registry.figures)} figures failed." in said
    assert "The check failed" in said
    assert reported_right(finance, ["/today", "/health", "/health/drift"]) == []
    run_of("figures.verify")
    assert "Figures are right" in page(finance, "/today")
    one = update(FigureCheck).where(FigureCheck.figure == "orders.grand_total")
    session.execute(one.values(verified_at=datetime.now(UTC) - timedelta(hours=27)))
    session.commit()
    assert reported_right(finance, ["/today", "/health", "/health/drift"]) == []


def test_a_trigger_that_is_not_as_declared_is_not_right(
    book: None,
    finance: FlaskClient,
    surgery: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figure_status, "GUARDED_SECONDS", 0.0)
    figure_status.forget_everything()
    name = surgery.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND tgname LIKE '%note%' LIMIT 1"
    ).fetchone()
    assert name
    surgery.execute(f"ALTER TABLE orders DISABLE TRIGGER {name[0]}".encode())
    try:
        said = page(finance, "/today")
        assert "Changes may go unnoticed: 1 trigger is not as declared" in said
        assert reported_right(finance, ["/today", "/health", "/health/drift"]) == []
    finally:
        surgery.execute(f"ALTER TABLE orders ENABLE TRIGGER {name[0]}".encode())
    assert "Figures are right" in page(finance, "/today")


def test_a_verification_counts_the_rows_that_it_compared(book: None, session: Any) -> None:
    is_figure = FigureCheck.figure.not_like("check:%")  # a check counts its parts: test_checks.py
    rows = dict(
        session.execute(select(FigureCheck.figure, FigureCheck.rows).where(is_figure)).all()
    )
    counted = {
        f.name: session.scalar(select(func.count()).select_from(f.table)) for f in registry.figures
    }
    assert rows == counted
    assert rows["order_lines.amount"] == 4


def test_a_run_with_findings_leads_to_them(
    book: None, finance: FlaskClient, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    run = run_of("figures.verify")
    shown = finance.get(f"/runs/{run.id}").text
    found = re.search(r'href="(/health/drift\?[^"]*)"', shown)
    assert found, text_of(shown)
    listed = page(finance, found[1].replace("&amp;", "&"))
    assert "SO-1" in listed
    assert "Nothing is wrong" not in listed
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1")


def test_a_scoped_verification_says_nothing_of_the_rest(
    book: None, surgery: psycopg.Connection[Any], run_command: Callable[..., Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    reported = run_command("figures", "verify", "customers.balance")
    assert reported.exit_code == 0
    assert reported.stdout.strip() == "What was verified is right."
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1")


def test_what_one_verification_does_another_of_the_same_does_not_record(
    book: None, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    from backoffice.runs import actions

    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    live = actions.request(session, "figures.verify", {})
    session.commit()
    done = performing.verify(db.engine)
    assert (done.run, done.unrecorded) == (None, performing.UNDER_WAY)
    assert {finding["figure"] for finding in done.findings} == {"orders.grand_total"}
    actions.cancel(session, live.id)
    session.commit()
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1")
    assert (
        session.execute(
            text("SELECT count(*) FROM drift_findings WHERE healed_at IS NULL")
        ).scalar()
        == 0
    )


@pytest.mark.parametrize(
    "written",
    [
        "UPDATE meters SET balance = 9999",
        "UPDATE meters SET invoiced = 9999",
        "UPDATE meters SET invoiced = invoiced + 5, balance = balance + 5",
        "UPDATE invoices SET amount = amount + 5",
        "UPDATE invoices SET paid = 0",
        "UPDATE meters SET balance = 0",
    ],
)
def test_the_ageing_asserts_no_tie_that_it_has_not_tested(
    written: str, book: None, finance: FlaskClient, surgery: psycopg.Connection[Any]
) -> None:
    """It has not been found yet; the ageing itself detects that its parts and the balances differ."""
    assert "That is exactly the sum of the stored balances" in page(finance, "/billing/ageing")
    surgery.execute(written.encode())
    if "meters" in written:  # a change of an invoice's own fact changes no balance
        said = page(finance, "/billing/ageing") + page(finance, "/billing/ageing?as_of=2026-03-10")
        assert "exactly the sum" not in said
        assert "dated later" not in said
    run_of("figures.verify")
    for day in ("", "?as_of=2026-03-10"):
        said = page(finance, f"/billing/ageing{day}")
        assert "not every stored total of billing is right" in said
        assert "exactly the sum" not in said
        assert "dated later" not in said
    run_of("figures.heal")
    assert "That is exactly the sum of the stored balances" in page(finance, "/billing/ageing")
    assert "With the documents that are dated later it is" in page(
        finance, "/billing/ageing?as_of=2026-03-10"
    )


def test_every_record_shows_its_corrections_in_its_history(
    book: None, finance: FlaskClient, sign_in: Callable[..., FlaskClient],
    surgery: psycopg.Connection[Any],
) -> None:  # fmt: skip
    for table, column in (
        ("customers", "balance"),
        ("meters", "balance"),
        ("invoices", "paid"),
        ("orders", "grand_total"),
    ):
        surgery.execute(f"UPDATE {table} SET {column} = 9999".encode())
    run_of("figures.heal", reason="counted anew")
    for record in (
        "/customers/ACME",
        "/billing/meters/M-1",
        "/billing/invoices/INV-1",
        "/orders/SO-1",
    ):
        reported = page(finance, f"{record}/history")
        assert "9,999.00" in reported, record
        assert "counted anew" in reported, record
    assert "9,999.00" not in page(sign_in("account_manager"), "/customers/ACME/history")
