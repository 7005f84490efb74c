"""Logs: one event per line, with its request, actor and run, and without secrets. FAULTS.md, line 54."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient

from backoffice.app import logs
from backoffice.app.config import ROOT
from backoffice.app.extensions import db
from backoffice.base.actor import acting_as
from backoffice.people import actions as people
from backoffice.people import passwords
from backoffice.runs import actions
from backoffice.runs.working import perform
from tests.signing_in import someone

pytestmark = pytest.mark.slow


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """The app's logging, configured as in a server; the fixture's function returns the lines that were written."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("INFO")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_break_in_a_value_begins_no_line(log_lines: Any) -> None:
    forged = 'harmless\n{"event": "admin signed in"}\r\nx'
    structlog.get_logger().info("typed", name=forged)
    logging.getLogger("library").warning("typed %s", forged)
    ours, theirs = log_lines()
    assert ours["name"] == forged
    assert theirs["event"] == f"typed {forged}"


def test_secrets_are_hidden_by_their_name_and_in_addresses(log_lines: Any) -> None:
    structlog.get_logger().info(
        "started", password="p4ssw0rd", csrf_token="t0ken", secret_key="k3y", Authorization="Bearer x",
        url="postgresql://app:p4ssw0rd@db/books", user="ada",
    )  # fmt: skip
    logging.getLogger("library").warning("lost postgresql://app:p4ssw0rd@db/books")
    text = json.dumps(log_lines())
    assert "ada" in text
    assert [secret for secret in ("p4ssw0rd", "t0ken", "k3y", "Bearer") if secret in text] == []


def test_a_request_is_logged_without_its_query_and_body(app: Flask, log_lines: Any) -> None:
    app.test_client().get("/healthz?token=t0ken")
    (line,) = [line for line in log_lines() if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/healthz", 200)
    assert "t0ken" not in json.dumps(line)


def test_nothing_that_a_terminal_obeys_reaches_it(
    log_lines: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path of `%C2%9B31m` coloured the terminal, `%E2%80%A8` started a new line for some readers."""
    typed = "\x9b31m \u2028 \x85 \u202e \x7f \x1b"
    structlog.get_logger().info("typed", path=typed)
    written = capsys.readouterr().err
    assert json.loads(written)["path"] == typed
    assert all(character == "\n" or " " <= character <= "~" for character in written)


# Which request, actor and run a line belongs to

OURS = re.compile(r"[0-9a-f]{16}")


def test_every_line_of_a_request_carries_its_id_and_so_does_the_answer(
    app: Flask, log_lines: Any
) -> None:
    answer = app.test_client().get("/readyz", headers={"X-Request-ID": "proxy-0123456789"})
    assert answer.headers["X-Request-ID"] == "proxy-0123456789"
    lines = log_lines()
    assert lines
    assert {line["request_id"] for line in lines} == {"proxy-0123456789"}


@pytest.mark.parametrize(
    "given",
    ["", "short", "x" * 65, "with space 12345", 'quoted"1234567', "١٢٣٤٥٦٧٨", "under_score_1", "<script>12345"],
)  # fmt: skip
def test_an_id_that_is_none_is_replaced_by_one_of_our_own(
    app: Flask, log_lines: Any, given: str
) -> None:
    environ = {"HTTP_X_REQUEST_ID": given.encode().decode("latin-1")}
    answer = app.test_client().get("/healthz", environ_overrides=environ)
    own = answer.headers["X-Request-ID"]
    assert OURS.fullmatch(own)
    assert [line["request_id"] for line in log_lines() if line["event"] == "request"] == [own]


def test_an_id_cannot_begin_a_line_of_the_log_nor_of_the_answer(app: Flask, log_lines: Any) -> None:
    for forged in ("12345678\nevent", "12345678\r\nSet-Cookie: a=b", "12345678\n"):
        answer = app.test_client().get("/healthz", environ_overrides={"HTTP_X_REQUEST_ID": forged})
        assert OURS.fullmatch(answer.headers["X-Request-ID"])
        assert "a=b" not in str(answer.headers)
    assert all(OURS.fullmatch(line["request_id"]) for line in log_lines())


def test_two_requests_have_two_ids_and_nothing_of_one_is_left_for_the_next(app: Flask) -> None:
    first, second = (app.test_client().get("/healthz").headers["X-Request-ID"] for _ in range(2))
    assert first != second
    with app.test_request_context("/healthz"):
        app.preprocess_request()
        assert "request_id" in structlog.contextvars.get_contextvars()
    assert structlog.contextvars.get_contextvars() == {}


def test_every_line_names_its_process_and_every_line_of_a_request_its_sender(
    app: Flask, log_lines: Any, session: Any
) -> None:
    people.create_user(
        session, email="ayu@x.example", name="Ayu", role="viewer", password="seventeen brown hens"
    )
    session.commit()
    structlog.get_logger().info("ours")
    logging.getLogger("library").warning("of a library")
    browser = app.test_client()
    sender = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    for password in ("wrong", "seventeen brown hens"):
        browser.post("/login", data={"email": "ayu@x.example", "password": password}, **sender)
    browser.post("/logout", **sender)
    lines = log_lines()
    assert {(line["host"], line["pid"]) for line in lines} == {(socket.gethostname(), os.getpid())}
    events = {line["event"]: line.get("client") for line in lines}
    assert events.pop("ours") is None
    assert events.pop("of a library") is None
    assert set(events.values()) == {"192.0.2.7"}
    assert {"request", "sign-in refused", "signed in", "signed out"} <= set(events)


def test_every_line_of_a_request_names_who_sent_it(
    app: Flask, log_lines: Any, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in("admin")
    log_lines()
    browser.get("/settings/users")
    lines = log_lines()
    assert lines
    assert {line["actor"] for line in lines} == {"user:1"}
    app.test_client().get("/healthz")
    assert [line["actor"] for line in log_lines() if line["event"] == "request"] == [""]


def test_the_log_says_who_signed_in_and_out_and_at_whose_account_an_attempt_failed(
    app: Flask, log_lines: Any
) -> None:
    ada = someone(app, "viewer", email="ada@x.example", password_hash=passwords.hashed("right one"))
    browser, words = app.test_client(), ("signed in", "signed out", "sign-in refused")
    for email, password in (
        ("ada@x.example", "wrong"), ("nobody@x.example", "wrong"), (" ADA@x.example", "right one"),
    ):  # fmt: skip
        browser.post("/login", data={"email": email, "password": password})
    browser.post("/logout")
    browser.post("/logout")
    text = json.dumps(lines := log_lines())
    told = [line for line in lines if line["event"] in words]
    assert [line["event"] for line in told] == [words[2], words[2], words[0], words[1]]
    assert [line["actor"] for line in told[2:]] == [f"user:{ada}"] * 2
    assert told[0]["account"] == f"user:{ada}"
    assert re.fullmatch("[0-9a-f]{16}", told[1]["account"])
    assert "x.example" not in text.lower()
    assert "wrong" not in text


def test_a_librarys_line_belongs_to_the_request_too(app: Flask, log_lines: Any) -> None:
    with app.test_request_context("/healthz", headers={"X-Request-ID": "abcdefgh"}):
        app.preprocess_request()
        with acting_as("user:7"):
            logging.getLogger("library").warning("something")
    (line,) = log_lines()
    assert (line["request_id"], line["actor"]) == ("abcdefgh", "user:7")


def test_every_line_of_a_run_carries_its_number_and_who_asked_for_it(
    app: Flask, session: Any, log_lines: Any
) -> None:
    with acting_as("user:7"):
        run = actions.request(session, "figures.verify", {})
    session.commit()
    number = run.id
    log_lines()
    perform(db.engine, number)
    lines = log_lines()
    assert {line["run"] for line in lines} == {number}
    assert {line["actor"] for line in lines} == {"user:7"}


def test_a_slow_request_is_a_warning(
    app: Flask, log_lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.test_client().get("/healthz")
    monkeypatch.setattr(logs, "SLOW_MILLISECONDS", 0.0)
    app.test_client().get("/healthz")
    assert [line["level"] for line in log_lines() if line["event"] == "request"] == [
        "info",
        "warning",
    ]


# What no line may contain


def test_tokens_are_hidden_wherever_they_stand(log_lines: Any) -> None:
    secret = "bo_" + "x7Y-_" * 8
    structlog.get_logger().info(f"sent {secret}", header=f"Bearer {secret}", path=f"/a/{secret}")
    structlog.get_logger().info(
        "deep", asked={"authorization": "s3cret", "list": [f"Bearer {secret}"]}
    )
    logging.getLogger("library").warning("Authorization: Bearer eyJhbGciOi.payload")
    try:
        raise ValueError(f"cannot read {secret}")
    except ValueError:
        structlog.get_logger().exception("failed")
    text = json.dumps(log_lines())
    assert [s for s in (secret, "s3cret", "eyJhbGciOi") if s in text] == []
    assert text.count(logs.HIDDEN) >= 6


def test_a_refused_token_is_logged_without_it(app: Flask, log_lines: Any) -> None:
    secret = "bo_" + "A" * 43
    app.test_client().get(f"/metrics?token={secret}", headers={"Authorization": f"Bearer {secret}"})
    lines = log_lines()
    assert "token refused" in [line["event"] for line in lines]
    assert secret not in json.dumps(lines)


def test_a_failing_request_tells_its_traceback_to_the_log_alone_in_one_line(
    app: Flask, log_lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError('inside\n{"event": "forged"}')

    fails.is_public = True  # type: ignore[attr-defined]
    monkeypatch.setitem(app.view_functions, "health.alive", fails)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = app.test_client().get("/healthz", headers={"X-Request-ID": "abcdefgh"})
    assert answer.status_code == 500
    assert "inside" not in answer.text
    lines = log_lines()
    (failed,) = [line for line in lines if line["event"] == "request failed"]
    assert "RuntimeError" in failed["exception"]
    assert failed["request_id"] == "abcdefgh"
    assert "forged" not in [line["event"] for line in lines]


def test_the_workers_lines_are_such_lines_too(app: Flask, session: Any) -> None:
    with acting_as("user:7"):
        number = actions.request(session, "figures.verify", {}).id
    session.commit()
    command = [sys.executable, str(ROOT / "worker.py"), "--burst"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    (ended,) = [line for line in lines if line["event"] == "run ended"]
    assert (ended["run"], ended["actor"]) == (number, "user:7")
