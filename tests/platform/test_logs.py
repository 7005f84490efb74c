"""Logs: one event a line, whatever is logged, and no secret in it. FAULTS.md, line 54."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from flask import Flask

from backoffice import logs


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Our logging, as a server sets it up; answers the lines that were written."""
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
    """A path of `%C2%9B31m` coloured the terminal, `%E2%80%A8` began a line for some readers."""
    typed = "\x9b31m \u2028 \x85 \u202e \x7f \x1b"
    structlog.get_logger().info("typed", path=typed)
    written = capsys.readouterr().err
    assert json.loads(written)["path"] == typed
    assert all(character == "\n" or " " <= character <= "~" for character in written)
