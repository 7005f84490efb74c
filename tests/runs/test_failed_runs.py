"""A run that failed, or was cancelled, never reads as a success: on no screen, and in no command."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from backoffice.billing.migration.steps import KEY, STEP_OF, WHOLE
from backoffice.runs.models import CANCELLED, FAILED, Run
from tests.drift.books import text_of

SUCCESS = re.compile(
    r"nothing (to do|found|would|is wrong)|(is|are|was) right|correct|passes|every \w+ is|ties out|\bdone\b|succe",
    re.IGNORECASE,
)
"""Words that a page uses for a run that went well."""

HARMLESS = (
    "What was done until then stays done.",
    "Not done yet",
    "Was right 0",
    "Prove that everything ties out",
    "Nothing has been done.",
    "Corrections",
    "Correct",
)
"""Sentences of these pages that are about no run, or name a column."""


WITH_FILES = {"imports.lines"}
"""Kinds with a report that is a page of an uploaded file (tests/imports)."""


def a_run(session: Any, kind: str, status: str, *, dry_run: bool) -> Run:
    """A run of that kind that ended so, as a step of a migration where it is one."""
    scope = {KEY: "2026-11-25 05:00:00.000+07:00"} if kind in STEP_OF or kind == WHOLE else {}
    now = datetime.now(UTC)
    run = Run(
        kind=kind, scope=scope, scope_key="this", status=status, dry_run=dry_run, requested_by="command:test",
        started_at=now, finished_at=now, error="KeyError: 'bundle'" if status == FAILED else "",
    )  # fmt: skip
    session.add(run)
    session.commit()
    return run


def main_of(browser: FlaskClient, address: str) -> str:
    """The words of a page without its navigation."""
    answer = browser.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    words = text_of(answer.text)
    for sentence in HARMLESS:
        words = words.replace(sentence, "")
    return words


def pages_of(app: Flask, run: Run) -> list[str]:
    """The pages that show the run."""
    kind = app.declared.kinds[run.kind]
    pages = [f"/runs/{run.id}"]
    if kind.report and run.kind not in WITH_FILES:
        with app.test_request_context():
            pages.append(url_for(kind.report, run_id=run.id))
    return pages


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("status", [FAILED, CANCELLED])
def test_on_every_page_of_every_kind_its_words_are_not_those_of_success(
    app: Flask, session: Any, sign_in: Any, status: str, dry_run: bool
) -> None:
    browser = sign_in("admin")
    for name in sorted(app.declared.kinds):
        run = a_run(session, name, status, dry_run=dry_run)
        word = status.capitalize()
        for address in pages_of(app, run):
            words = main_of(browser, address)
            assert word in words, (name, address, words)
            assert not SUCCESS.search(words), (name, address, SUCCESS.search(words), words)
        row = browser.get("/runs?quiet=1").text.partition("<tbody>")[2].partition("</tbody>")[0]
        words = " ".join(re.sub(r"<[^>]+>", " ", row).split())
        assert word in words, (name, words)
        assert not SUCCESS.search(words.replace(app.declared.kinds[name].title, "")), (name, words)
        if status == FAILED:
            assert "1 run failed" in text_of(browser.get("/", follow_redirects=True).text), name
        session.delete(run)
        session.commit()


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("name", STEP_OF)
def test_the_migration_says_which_step_failed_and_calls_nothing_right(
    session: Any, sign_in: Any, name: str, dry_run: bool
) -> None:
    a_run(session, name, FAILED, dry_run=dry_run)
    words = main_of(sign_in("admin"), "/billing/migration")
    assert "The run failed, so there is no result." in words
    assert not SUCCESS.search(words), (SUCCESS.search(words), words)


def test_a_list_of_all_changes_that_failed_is_not_a_list_without_changes(
    session: Any, sign_in: Any
) -> None:
    a_run(session, WHOLE, FAILED, dry_run=True)
    words = main_of(sign_in("admin"), "/billing/migration")
    assert "Preview of all steps Failed The run failed, so there is no result." in words
    assert not SUCCESS.search(words), words
