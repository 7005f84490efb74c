"""The nightly reports: what is kept, that it equals the file byte for byte, and that it is deleted in time."""

import csv
import gzip
import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, func, select, update

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.reconciliation import keeping
from backoffice.reconciliation import report as reports
from backoffice.reconciliation.models import Reconciliation
from backoffice.reconciliation.runs import NIGHTLY
from backoffice.runs import actions, working
from backoffice.runs.models import Run

pytestmark = pytest.mark.slow

SignIn = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def many_slices(unlimited: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages and small slices, so that every report has several of both."""
    monkeypatch.setattr(reports, "PAGE", 3)
    monkeypatch.setattr(keeping, "SLICE", 40)


def make(session: Any) -> Run:
    """Perform the nightly run."""
    run = actions.request(db.session(), NIGHTLY.name, {}, is_paced=False)
    session.commit()
    working.perform(db.engine, run.id)
    session.expire_all()
    return run


def test_every_figure_is_kept_with_its_totals_and_digest(
    book: list[int],
    session: Any,
    surgery: psycopg.Connection[Any],
    sign_in: SignIn,
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1 WHERE id = %s", [book[1]])
    run = make(session)
    assert run.status == "done", run.error
    kept = {r.figure: r for r in session.scalars(select(Reconciliation))}
    assert set(kept) == {figure.name for figure in figures.registry.figures}
    assert run.result["reports"] == len(kept)
    assert run.result["drifted"] == sum(r.drifted for r in kept.values()) == 1
    report = kept["orders.grand_total"]
    [row] = surgery.execute("SELECT count(*), sum(grand_total) FROM orders").fetchall()
    total = report.totals["grand_total"]
    assert (report.rows, Decimal(total["stored"])) == row
    assert total["difference"] == "-1.00"
    client, address = sign_in("viewer"), f"/reconciliation/kept/{report.id}"
    plain, packed = (client.get(f"{address}/file.{e}").data for e in ("csv", "csv.gz"))
    assert gzip.decompress(packed) == plain
    assert hashlib.sha256(plain).hexdigest() == report.sha256
    assert packed == report.content
    assert len(packed) == report.size > keeping.SLICE
    lines = list(csv.DictReader(StringIO(plain.decode(), newline="")))
    stored = [Decimal(line["stored"]) for line in lines if line["figure"] == "orders.grand_total"]
    assert sum(stored) == row[1]
    assert report.sha256 in client.get(address).text
    figures.heal(db.engine)


def test_the_next_report_counts_corrections_from_where_the_last_one_ended(
    book: list[int], session: Any, surgery: psycopg.Connection[Any]
) -> None:
    make(session)
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    figures.heal(db.engine)
    make(session)
    make(session)
    rows = session.scalars(
        select(Reconciliation)
        .where(Reconciliation.figure == "orders.grand_total")
        .order_by(Reconciliation.id)
    ).all()
    assert [r.totals["grand_total"]["corrections"] for r in rows] == [0, 7, 0]
    assert [r.since for r in rows[1:]] == [r.until for r in rows[:2]]


def test_a_correction_that_commits_while_reports_are_made_is_in_the_next_ones(
    app: Flask, book: list[int], session: Any, surgery: psycopg.Connection[Any]
) -> None:
    make(session)
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1 WHERE id = %s", [book[2]])
    is_corrected, may_commit = threading.Event(), threading.Event()

    def heal() -> None:
        with app.app_context():
            figures.heal(db.engine)

    def wait(connection: Connection) -> None:
        if threading.current_thread() is not healer:
            return
        if connection.exec_driver_sql("SELECT count(*) FROM corrections").scalar():
            is_corrected.set()
            assert may_commit.wait(60)

    healer = threading.Thread(target=heal)
    event.listen(db.engine, "commit", wait)
    try:
        healer.start()
        assert is_corrected.wait(60)
        make(session)
        may_commit.set()
        healer.join(60)
    finally:
        may_commit.set()
        event.remove(db.engine, "commit", wait)
    make(session)
    kept = session.scalars(
        select(Reconciliation)
        .where(Reconciliation.figure == "orders.grand_total")
        .order_by(Reconciliation.id)
    )
    assert [report.totals["grand_total"]["corrections"] for report in kept] == [0, 0, 1]


def test_what_an_interrupted_attempt_left_is_begun_anew_and_never_shown(
    book: list[int], session: Any, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[bool] = []
    write = keeping.Packer.put

    def failing(self: Any, block: bytes) -> None:
        write(self, block)
        if b"R-5" in block and not failed:
            failed.append(True)
            raise OSError("the machine went away")

    monkeypatch.setattr(keeping.Packer, "put", failing)
    run = actions.request(db.session(), NIGHTLY.name, {}, is_paced=False)
    session.commit()
    working.perform(db.engine, run.id, stopping=lambda: bool(failed))
    open_ = select(Reconciliation).where(Reconciliation.finished_at.is_(None))
    [torn] = session.scalars(open_).all()
    client = sign_in("viewer")
    for path in ("", "/file.csv", "/file.csv.gz"):
        assert client.get(f"/reconciliation/kept/{torn.id}{path}").status_code == 404
    session.rollback()
    chunks = working.CHUNKS
    with db.engine.begin() as connection:
        connection.execute(update(chunks).values(lease_until=None))
    working.perform(db.engine, run.id)
    session.expire_all()
    assert session.get_one(Run, run.id).status == "done"
    assert session.scalars(open_).all() == []
    count = select(func.count()).select_from(Reconciliation)
    assert session.scalar(count) == len(figures.registry.figures)


def test_reports_are_made_on_request_once_per_click(session: Any, sign_in: SignIn) -> None:
    client = sign_in("finance")
    for _ in range(2):
        answer = client.post("/reconciliation/kept", data={"idempotency_key": "k"})
        assert answer.status_code == 303
    [run] = session.scalars(select(Run).where(Run.kind == NIGHTLY.name))
    assert answer.headers["Location"] == f"/runs/{run.id}"
    again = client.post("/reconciliation/kept", data={"idempotency_key": "other"})
    assert again.status_code == 409, "one live run per kind and scope"


def test_reports_are_listed_and_go_after_90_days(
    book: list[int], session: Any, sign_in: SignIn, run_command: Callable[..., Any]
) -> None:
    make(session)
    old = select(Reconciliation).where(Reconciliation.figure == "orders.components")
    session.scalars(old).one().created_at = datetime.now(UTC) - timedelta(days=91)
    session.commit()
    client = sign_in("viewer")
    assert "Ties out" in client.get("/reconciliation/kept").text
    assert "No reports yet" not in client.get("/reconciliation").text
    run = actions.request(db.session(), "chore", {"chore": "reconciliations"}, is_paced=False)
    session.commit()
    working.perform(db.engine, run.id)
    session.expire_all()
    assert session.get_one(Run, run.id).status == "done"
    assert session.scalars(old).all() == []
    with_file = select(func.count()).where(Reconciliation.content.is_not(None))
    assert session.scalar(with_file) == len(figures.registry.figures) - 1
