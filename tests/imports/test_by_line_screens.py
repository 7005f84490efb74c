"""Charges in a run: on the screens, for programs, by the command."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.imports import actions as imports
from backoffice.imports.by_line import actions as by_line
from backoffice.imports.by_line import command
from backoffice.imports.by_line.reports import write_results
from backoffice.imports.files.uploads import Upload
from backoffice.imports.models import Import, ImportLine
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from backoffice.wallets import actions
from tests.factories.wallets import WalletFactory
from tests.records.test_api import Program, is_problem

from .desk import Desk, said
from .test_wallet_charges import HEADER, charges

FILE = f"{HEADER}\nW-1,60,vps,March,a\nW-1,50,,,b\nW-1,40,,,c"
OUTCOMES = ["done", "refused", "done"]


@pytest.fixture
def wallet(session: Session) -> Any:
    """Holds 100.00."""
    made = WalletFactory(number="W-1")
    actions.recharge(session, made.id, Decimal(100))
    session.commit()
    return made


@pytest.fixture
def desk(sign_in: Callable[..., FlaskClient], wallet: Any) -> Desk:
    return Desk(sign_in("finance"))


def stored(session: Session, import_id: int) -> Import:
    session.rollback()
    return session.get_one(Import, import_id, populate_existing=True)


def rows(content: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"))))


def work(session: Session, import_id: int) -> None:
    """What a worker does."""
    perform(db.engine, stored(session, import_id).run_id or 0)
    session.rollback()


def test_what_the_dry_run_showed_is_charged_by_a_run_and_reported_line_by_line(
    desk: Desk, session: Session
) -> None:
    import_id = desk.checked("wallet-charges", FILE)
    assert desk.apply(import_id).status_code == 422, "there is a bad line"
    assert desk.apply(import_id, good_lines_only=True).status_code == 303
    assert charges(session) == []
    assert "Lines 0 Charged 0" in desk.page(import_id), "it waits for a worker"
    progress = desk.client.get(f"/imports/{import_id}/progress", headers={"HX-Request": "true"})
    assert f"/imports/{import_id}/progress" in progress.text
    assert desk.apply(import_id, good_lines_only=True).status_code == 303
    work(session, import_id)
    assert len(charges(session)) == 2
    page = desk.page(import_id)
    assert "Lines 3 Charged 2 Charged before 0 Waiting 0 Refused 1" in page
    assert "What was imported" in page
    done = desk.client.get(f"/imports/{import_id}/progress", headers={"HX-Request": "true"})
    assert done.headers["HX-Redirect"] == f"/imports/{import_id}"
    answer = desk.client.get(f"/imports/{import_id}/results.csv")
    reported = rows(answer.text)
    assert [line["outcome"] for line in reported] == OUTCOMES
    assert [line["balance_after"] for line in reported] == ["40.00", "", "0.00"]
    assert b",b," in desk.failed(import_id), "what was refused can be corrected and sent again"
    run_id = stored(session, import_id).run_id
    assert desk.client.get(f"/imports/of-run/{run_id}").location.endswith(f"/imports/{import_id}")


def test_a_cell_that_a_spreadsheet_would_calculate_is_guarded(desk: Desk, session: Session) -> None:
    import_id = desk.checked("wallet-charges", f"{HEADER}\nW-1,1,=1+1,,a\n")
    desk.apply(import_id)
    work(session, import_id)
    reported = rows(desk.client.get(f"/imports/{import_id}/results.csv").text)
    assert reported[0]["service_type"] == "'=1+1"


def test_neither_the_name_of_a_file_nor_a_reason_is_calculated(
    wallet: Any, session: Session
) -> None:
    files = [
        Upload(name, BytesIO(f"{HEADER}\nW-1,1,,,{key}\n".encode()))
        for name, key in (("=1+1.csv", "a"), ("@b.csv", "b"))
    ]
    upload = imports.upload(session, user_id=None, kind="wallet-charges", files=files)
    by_line.request_run(session, upload, is_paced=False)
    session.commit()
    work(session, upload.id)
    line = session.scalars(select(ImportLine).where(ImportLine.import_id == upload.id)).first()
    line.message, line.params = "%(value)s cannot be.", {"value": "=2+2"}
    stream = io.StringIO()
    write_results(stream, session, upload)
    reported = rows(stream.getvalue())
    assert [one["file"] for one in reported] == ["'=1+1.csv", "'@b.csv"]
    assert "'=2+2 cannot be." in [one["reason"] for one in reported]
    session.rollback()


def test_files_of_other_kinds_have_no_results(desk: Desk) -> None:
    import_id = desk.checked("customers", "code,name\nA,Anton\n")
    desk.apply(import_id)
    assert desk.client.get(f"/imports/{import_id}/results.csv").status_code == 404
    assert desk.client.get("/imports/of-run/99").status_code == 404


def test_a_file_that_an_earlier_version_charged_every_month_opens(
    desk: Desk, session: Session
) -> None:
    import_id = desk.checked("wallet-charges", f"{HEADER}\nW-1,30,plan,,a\n")
    session.execute(text("UPDATE imports SET state = 'ended', applied_at = now()"))
    session.commit()
    page = desk.page(import_id)
    assert "No longer charged every month" in page
    assert "An earlier version charged these files every month." in page
    desk.apply(import_id)
    session.rollback()
    assert charges(session) == []
    assert "No longer charged every month" in said(desk.client.get("/imports?state=ended"))


def test_a_run_of_a_kind_that_no_longer_exists_opens(desk: Desk, session: Session) -> None:
    session.execute(
        text(
            "INSERT INTO runs (kind, scope, scope_key, status, finished_at, schedule, due_at) "
            "VALUES ('imports.months', '{\"due\": \"2026-11-30\"}', 'a', 'done', now(), 'repeated-files', now())"
        )
    )
    session.commit()
    number = session.scalar(text("SELECT id FROM runs"))
    page = said(desk.client.get(f"/runs/{number}"))
    assert "This kind of run no longer exists. Only its record is kept." in page
    assert "imports.months" in said(desk.client.get("/runs"))
    assert "Retry" not in page


# Programs


@pytest.fixture
def program(app: Flask, session: Session, wallet: Any) -> Program:
    return Program(app, session, "wallets:write")


def sent(program: Program, content: str = FILE, key: str = "") -> Any:
    headers = {**program.headers, "Prefer": "respond-async"} | (
        {"Idempotency-Key": key} if key else {}
    )
    return program.client.post(
        "/api/imports/wallet-charges", data=content, headers=headers, content_type="text/csv"
    )


def test_a_program_does_not_wait_and_asks_later(
    app: Flask, program: Program, session: Session
) -> None:
    answer = sent(program, key="march")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "applying")
    again = sent(program, key="march")
    assert again.get_json() == answer.get_json(), "the same file under the same key is one"
    reader = Program(app, session, "wallets:read")
    at = answer.headers["Location"]
    assert reader.send("GET", at).get_json()["lines"] == 0
    work(session, answer.get_json()["id"])
    reported = reader.send("GET", at).get_json()
    assert {name: reported[name] for name in ("state", "lines", "done", "already", "refused")} == {
        "state": "applied", "lines": 3, "done": 2, "already": 0, "refused": 1,
    }  # fmt: skip
    lines = reader.send("GET", reported["results"])
    assert lines.mimetype == "text/csv"
    assert [line["outcome"] for line in rows(lines.text)] == OUTCOMES
    assert len(charges(session)) == 2


def test_what_a_program_may_not_see_is_not_there(
    app: Flask, program: Program, desk: Desk, session: Session
) -> None:
    assert is_problem(Program(app, session, "metrics").send("GET", "/api/imports/1"), 403)
    reader = Program(app, session, "wallets:read")
    other = desk.checked("customers", "code,name\nA,Anton\n")
    for number in (other, 0, 10**18, "x"):
        assert is_problem(reader.send("GET", f"/api/imports/{number}"), 404)
    assert is_problem(sent(program, "amount\n1\n"), 422, "wallet_id", "idempotency_key")


# The command


def test_the_command_carries_out_each_line_and_writes_what_became_of_it(
    run_command: Callable[..., Any], session: Session, wallet: Any, tmp_path: Path
) -> None:
    file, results = tmp_path / "c.csv", tmp_path / "results.csv"
    file.write_text(FILE)
    command_line = ("import", "wallet-charges", str(file), "--line-by-line")
    done = run_command(*command_line, "--results", str(results), "--json")
    assert done.exit_code == 1, done.output
    reported = json.loads(done.stdout)
    assert (reported["done"], reported["already"], reported["refused"], reported["status"]) == (
        2,
        0,
        1,
        "done",
    )
    assert [line["outcome"] for line in rows(results.read_text())] == OUTCOMES
    again = run_command(*command_line)
    assert "3 lines, 0 charged, 2 charged before, 1 refused" in again.output
    assert "c.csv:3: amount: Wallet W-1 holds" in again.output
    assert len(charges(session)) == 2


def test_a_command_goes_on_with_the_file_of_which_another_has_died(
    run_command: Callable[..., Any], session: Session, wallet: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    file = tmp_path / "c.csv"
    file.write_text(FILE)
    command_line = ("import", "wallet-charges", str(file), "--line-by-line", "--json")

    def dies(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command, "perform", dies)
        run_command(*command_line)
    reported = json.loads(run_command(*command_line).stdout)
    session.rollback()
    assert session.query(Import).count() == 1
    assert session.get_one(Run, reported["run"]).status == "done"
    assert (reported["done"], reported["refused"]) == (2, 1)


def test_kinds_with_lines_that_belong_together_are_not_carried_out_so(
    run_command: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "c.csv"
    file.write_text("code,name\nA,Anton\n")
    assert run_command("import", "customers", str(file), "--line-by-line").exit_code == 2
    assert run_command("import", "customers", str(file), "--results", "r.csv").exit_code == 2
    wrong = tmp_path / "w.csv"
    wrong.write_text("amount\n1\n")
    assert run_command("import", "wallet-charges", str(wrong), "--line-by-line").exit_code == 2
