"""A page shows that a total differs and records nothing: only a verification records findings."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from tests.addresses import addresses, records_called_x
from tests.drift.books import run_of, text_of
from tests.drift.forging import tell_of_the_book

pytestmark = [pytest.mark.slow, pytest.mark.leaves_drift]

RECORDED = ("drift_findings", "figure_checks", "corrections")

VERIFICATIONS = {"balance_health.check"}
"""The check of the ledger for monitors is itself a verification, with GET as its documented method."""


def rows() -> dict[str, list[Any]]:
    """Every row that verification and heals record."""
    db.session.rollback()
    found = {
        table: [tuple(row) for row in db.session.execute(text(f"SELECT t::text FROM {table} t ORDER BY 1"))]
        for table in RECORDED
    }  # fmt: skip
    db.session.rollback()
    return found


def test_no_page_records_a_finding_moves_one_or_closes_one(
    app: Flask, session: Any, surgery: psycopg.Connection[Any], owner_connection: Any,
    sign_in: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One total differs since the last verification, another one is correct again, and a fact is forged."""
    monkeypatch.setattr(limiter, "enabled", False)
    tell_of_the_book(owner_connection)
    records_called_x()
    session.commit()
    surgery.execute("UPDATE wallets SET balance = balance + 7")
    surgery.execute("UPDATE payments SET amount = amount + 1")
    run_of("figures.verify")
    run_of("audit.facts")
    surgery.execute("UPDATE wallets SET balance = balance - 7")
    surgery.execute("UPDATE payments SET amount = amount + 1")
    surgery.execute("UPDATE orders SET grand_total = grand_total + 7")
    surgery.execute("UPDATE customers SET balance = balance + 7")
    session.rollback()
    ids = dict(session.execute(text("SELECT figure, id FROM drift_findings")).all())
    before = rows()
    client = sign_in("admin")
    for rule, method, address in addresses(app, finding_id=ids["facts:payments"]):
        if method == "GET" and rule.endpoint not in VERIFICATIONS:
            client.get(address)
            assert rows() == before, address
    order = text_of(client.get("/orders/x").text)
    assert "A figure of this record is stored wrongly" in order
    paid = text_of(client.get(f"/health/drift/{ids['wallets.balance']}").text)
    assert "The row no longer differs. The next verification closes this finding." in paid
    assert "Stored wrongly" not in paid
    assert "Preview the correction" not in paid
    assert rows() == before
    run_of("figures.verify")
    after = rows()
    assert after["drift_findings"] != before["drift_findings"]
