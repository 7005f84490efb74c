"""Alerts go out by mail and webhook, once a run, and never to an address that is not allowed."""

import json
import re
import socketserver
import ssl
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import psycopg
import pytest
from flask import Flask

from backoffice.app.config import is_allowed_webhook
from backoffice.ledger.health.alerts import Alert, send
from backoffice.ledger.health.runs import SCOPE
from backoffice.ledger.models import Account
from backoffice.runs import actions
from backoffice.schedules.catalog import schedule_of
from tests.drift.books import run_of, text_of
from tests.factories.ledger import of, posted

Chart = dict[str, Account]


class Mailbox(socketserver.StreamRequestHandler):
    """A mail server that accepts every mail; with `tls` it speaks TLS from the start, or after STARTTLS."""

    got: list[str]
    tls: ssl.SSLContext | None = None
    begins_plain = False

    def encrypt(self) -> None:
        assert self.tls is not None
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        with suppress(OSError):  # whoever does not trust us hangs up
            if self.tls and not self.begins_plain:
                self.encrypt()
            self.talk()

    def talk(self) -> None:
        self.wfile.write(b"220 here\r\n")
        is_text, lines = False, list[str]()
        while line := self.rfile.readline():
            text = line.decode().rstrip("\r\n")
            if is_text:
                is_text = text != "."
                lines.append(text)
                if not is_text:
                    self.got.append("\n".join(lines))
                    self.wfile.write(b"250 taken\r\n")
            elif text.upper().startswith("EHLO"):
                self.wfile.write(b"250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
            elif text.upper() == "STARTTLS":
                self.wfile.write(b"220 go on\r\n")
                self.encrypt()
            elif text.upper().startswith("AUTH PLAIN "):
                assert isinstance(self.request, ssl.SSLSocket)
                self.got.append(b64decode(text.split()[2]).decode())
                self.wfile.write(b"235 known\r\n")
            elif text.upper() == "DATA":
                is_text = True
                self.wfile.write(b"354 go on\r\n")
            else:
                self.wfile.write(b"221 bye\r\n" if text.upper() == "QUIT" else b"250 well\r\n")
                if text.upper() == "QUIT":
                    return


class Hook(BaseHTTPRequestHandler):
    """A webhook; `leads_to` makes it redirect."""

    got: list[tuple[str, Any]]
    leads_to = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers["Idempotency-Key"], json.loads(body)))
        self.send_response(302 if self.leads_to else 204)
        if self.leads_to:
            self.send_header("Location", self.leads_to)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def listening(kind: Any, handler: type[Any]) -> Iterator[int]:
    with kind(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def alerts(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Mails and posts that arrive."""
    mailbox, hook = type("M", (Mailbox,), {"got": []}), type("H", (Hook,), {"got": []})
    with listening(socketserver.TCPServer, mailbox) as mail, listening(HTTPServer, hook) as web:
        for name, value in {
            "ALERT_MAIL_TO": ["finance@example.com"],
            "SMTP_URL": f"smtp://127.0.0.1:{mail}",
            "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{web}/alerts",
            "ALERT_WEBHOOK_HOSTS": ["127.0.0.1"],
        }.items():
            monkeypatch.setitem(app.config, name, value)
        hook.mail = mailbox  # type: ignore[attr-defined]
        yield hook


@pytest.fixture
def cash(session: Any, chart: Chart) -> Chart:
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    session.commit()
    return chart


def tamper(surgery: psycopg.Connection[Any]) -> None:
    surgery.execute("UPDATE accounts SET debits = debits + 5 WHERE code = 'Cash'")


def test_the_schedule_heals_and_tells_by_mail_and_webhook(
    alerts: Any, session: Any, surgery: psycopg.Connection[Any], cash: Chart
) -> None:
    schedule = schedule_of("balance-sheet-maintenance")
    assert schedule is not None
    scope = schedule.scope(None)  # type: ignore[arg-type]
    assert actions.scope_key(scope, dry_run=False) == actions.scope_key(SCOPE, dry_run=False)
    run_of(schedule.kind, scope)
    assert (alerts.got, alerts.mail.got) == ([], []), "no alert of a book that was right"
    tamper(surgery)
    run = run_of(schedule.kind, scope)
    assert (run.status, run.changed) == ("done", 2)
    [(key, body)] = alerts.got
    assert key == f"run-{run.id}"
    assert (body["run"], body["balance_status"], body["corrected"]) == (run.id, True, 2)
    assert body["balance_sheet"]["total_assets"] == "100.00"
    [mail] = alerts.mail.got
    sent = message_from_string(mail, policy=policy.default)
    assert sent["To"] == "finance@example.com"
    assert abs(sent["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=5)
    assert re.fullmatch(rf"<\S+run-{run.id}@localhost>", sent["Message-ID"])
    assert (
        "2 stored amounts were wrong and are corrected: Cash, by up to Rp\N{NO-BREAK SPACE}5.00"
        in sent["Subject"]
    )
    text = sent.get_content()
    for line in (
        f"Corrected by run {run.id}: 2",
        "- Cash: Debits 105.00, correct is 100.00 (-5.00)",
        "- Cash: Balance 105.00, correct is 100.00 (-5.00)",
        "The balance sheet is valid.",
        f"http://127.0.0.1:8000/runs/{run.id}",
    ):
        assert line in text
    assert "Still wrong" not in text
    corrections = [(one["name"], one["difference"]) for one in body["corrections"]]
    assert sorted(corrections, key=str) == [
        ("Cash", {"balance": "-5.00"}), ("Cash", {"debits": "-5.00"}),
    ]  # fmt: skip
    assert body["url"].endswith(f"/runs/{run.id}")


@pytest.mark.leaves_drift
def test_a_mail_says_what_is_still_wrong(
    alerts: Any, app: Flask, session: Any, surgery: psycopg.Connection[Any], cash: Chart,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "TRUSTED_HOSTS", ["books.example.com"])
    tamper(surgery)
    surgery.execute("UPDATE journal_lines SET debit = debit + 3 WHERE debit > 0")
    run_of("audit.facts")
    run = run_of("ledger.maintenance", SCOPE)
    [mail] = alerts.mail.got
    sent = message_from_string(mail, policy=policy.default)
    assert "The balance sheet is not valid." in sent["Subject"]
    text = sent.get_content()
    assert "Still wrong:" in text
    assert "- Cash: Debits 105.00, correct is 103.00 (-2.00)" in text
    assert f"https://books.example.com/runs/{run.id}" in text


def test_an_alert_that_was_not_taken_fails_the_run_and_a_retry_sends_it(
    alerts: Any, app: Flask, session: Any, surgery: psycopg.Connection[Any], cash: Chart
) -> None:
    alerts.leads_to = "http://127.0.0.1:1/elsewhere"
    tamper(surgery)
    run = run_of("ledger.maintenance", SCOPE)
    assert (run.status, run.failed, len(alerts.mail.got)) == ("finished with failures", 1, 1)
    alerts.leads_to = ""
    again = run_of("ledger.maintenance", {**SCOPE, "retry": run.id}, follows=run.id)
    assert again.status == "done"
    assert len(alerts.got) == 2
    assert alerts.got[-1][1]["corrected"] == 2, "what the first attempt has corrected"


def test_a_webhook_is_asked_only_where_its_host_is_named(
    alerts: Any, app: Flask, session: Any, surgery: psycopg.Connection[Any], cash: Chart,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "ALERT_WEBHOOK_HOSTS", ["hooks.example.com"])
    tamper(surgery)
    assert run_of("ledger.maintenance", SCOPE).status == "finished with failures"
    assert alerts.got == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate of 127.0.0.1, and its key, as files."""
    files = [str(tmp_path_factory.mktemp("tls") / name) for name in ("certificate", "key")]
    asked = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *asked.split(), "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return files[0], files[1]


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_a_mail_server_is_told_a_password_only_where_its_certificate_is_trusted(
    scheme: str, app: Flask, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*certificate)
    how = {"got": [], "tls": served, "begins_plain": scheme != "smtps"}
    mailbox: Any = type("M", (Mailbox,), how)
    alert = Alert(7, "The balance sheet is valid.", "All is well", {})
    with listening(socketserver.TCPServer, mailbox) as port:
        settings = {
            "ALERT_MAIL_TO": ["finance@example.com"], "ALERT_MAIL_FROM": "books@example.com",
            "ALERT_WEBHOOK_URL": "", "SMTP_URL": f"{scheme}://user:p%40ss@127.0.0.1:{port}",
        }  # fmt: skip
        assert (send(settings, alert), mailbox.got) == ({"mail": False}, [])
        trusting = ssl.create_default_context(cafile=certificate[0])
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
        assert send(settings, alert) == {"mail": True}
    password, mail = mailbox.got
    assert password == "\0user\0p@ss"
    assert "All is well" in mail


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://hooks.example.com/T1", True),
        ("http://hooks.example.com/T1", False),
        ("https://hooks.example.com.evil.example/T1", False),
        ("https://hooks.example.com@evil.example/T1", False),
        ("https://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("http://localhost:9/T1", False),
    ],
)
def test_which_webhooks_may_be(url: str, may: bool) -> None:
    assert is_allowed_webhook(url, ["hooks.example.com"]) is may


def test_the_screen_shows_what_is_wrong_and_leads_to_the_correction(
    session: Any, sign_in: Any, surgery: psycopg.Connection[Any], cash: Chart
) -> None:
    finance = sign_in("finance")
    page = text_of(finance.get("/health/balance-sheet").text)
    assert "Balance sheet Valid Assets" in page
    assert "Nothing that was found wrong is open." in page
    tamper(surgery)
    before = finance.post("/health/balance-sheet/verify", data={"idempotency_key": "v"})
    run_id = int(before.headers["Location"].rpartition("/")[2])
    _performed(run_id)
    page = text_of(finance.get("/health/balance-sheet").text)
    assert "Not valid" in page
    assert "Cash" in page
    shown = finance.post("/health/balance-sheet/preview", data={"idempotency_key": "p"})
    run = _performed(int(shown.headers["Location"].rpartition("/")[2]))
    assert (run.dry_run, run.changed) == (True, 2)
    run_of("ledger.maintenance", SCOPE)
    assert "Not valid" not in text_of(finance.get("/health/balance-sheet").text)
    viewer = sign_in("viewer").get("/health/balance-sheet").text
    assert "Preview the correction" not in viewer


def _performed(run_id: int) -> Any:
    from backoffice.app.extensions import db
    from backoffice.drift.healing.performing import performed

    return performed(db.engine, run_id).run
