"""A fact that a verification has named is marked on its record's page and in its list, for every declared record."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import Date, Numeric, Text, select

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.audit.facts import facts_by_table
from backoffice.people.models import User
from backoffice.records import Record
from backoffice.records.listing import list_for
from tests.drift.forging import a_row_of_every_table, other_values, tell_of_the_book
from tests.factories.billing import PaymentFactory
from tests.factories.customers import CustomerFactory

pytestmark = pytest.mark.slow

MARK = "Changed past the audit trail"


def forge(surgery: psycopg.Connection[Any], record: Record, row: int) -> tuple[str, Any] | None:
    """Change one fact of the row without triggers: an amount or a day if its CHECKs allow, else a text.

    Returns the column with its value before; None where no fact can be forged without renaming the row.
    """
    table = record.model.__tablename__
    for kind in (Numeric, Date, Text):
        for column in facts_by_table()[table].columns:
            is_name = column.key in (record.argument, record.name.key)
            if not isinstance(column.type, kind) or is_name or column.foreign_keys:
                continue
            asked = f"SELECT {column.key} FROM {table} WHERE id = {row}"
            [before] = surgery.execute(asked.encode()).fetchone() or (None,)
            change = f"UPDATE {table} SET {column.key} = {other_values(column)[0]} WHERE id = {row}"
            try:
                if before is not None and surgery.execute(change.encode()).rowcount:
                    return column.key, before
            except (psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation):
                continue
    return None


def list_marks(client: FlaskClient, record: Record, column: str) -> bool | None:
    """Whether the record's list marks a cell; None where its list does not show the column."""
    admin = db.session.scalars(select(User).where(User.role == "admin").limit(1)).one()
    listing = list_for(record, admin)
    names = {shown.name for shown in listing.columns}
    if column not in names:
        return None
    with client.application.test_request_context("/"):
        address = url_for(listing.path, columns=column)
    return "wrong-mark" in client.get(address).text


def test_a_forged_fact_of_every_record_is_marked_until_a_person_decides(
    app: Flask, session: Any, surgery: psycopg.Connection[Any], owner_connection: Any,
    sign_in: Callable[..., FlaskClient], run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(limiter, "enabled", False)
    tell_of_the_book(owner_connection)
    rows = a_row_of_every_table()
    session.commit()
    client, tried, listed, unmarked = sign_in("admin"), [], [], []
    for record in declared().records.values():
        table = record.model.__tablename__
        if table not in rows:
            continue
        row = session.get_one(record.model, rows[table])
        with app.test_request_context("/"):
            page = url_for(f"{record.domain}.record", **{record.argument: record.name_of(row)})
        session.rollback()
        assert MARK not in client.get(page).text, page
        forged = forge(surgery, record, rows[table])
        if forged is None:
            continue
        column, before = forged
        run_command("audit", "verify-facts", "--table", table)
        html = client.get(page).text
        found = re.findall(r'href="/health/drift/(\d+)">Open the finding', html)
        if MARK not in html or len(found) != 1:
            unmarked.append(page)
        is_listed = list_marks(client, record, column)
        listed += [table] * bool(is_listed)
        if is_listed is False:
            unmarked.append(f"list of {table}.{column}")
        mend = f"UPDATE {table} SET {column} = %s WHERE id = %s"
        surgery.execute(mend.encode(), [before, rows[table]])
        run_command("audit", "verify-facts", "--table", table)
        assert MARK not in client.get(page).text, page
        assert not list_marks(client, record, column), page
        tried.append(table)
        db.session.rollback()
    assert unmarked == []
    assert len(tried) > 10, tried
    assert len(listed) > 5, listed


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    ("forged", "said"),
    [
        (
            "UPDATE payments SET amount = amount + 1",
            "Payment: Changed past the audit trail (Amount)",
        ),
        ("DELETE FROM payments", "Payment: Removed past the audit trail"),
    ],
)
def test_a_customers_page_names_a_payment_that_is_forged_or_gone(
    session: Any, surgery: psycopg.Connection[Any], owner_connection: Any,
    sign_in: Callable[..., FlaskClient], run_command: Callable[..., Any], forged: str, said: str,
) -> None:  # fmt: skip
    tell_of_the_book(owner_connection)
    payment = PaymentFactory(reference="PAY-1")
    other = CustomerFactory()
    session.commit()
    pages = f"/customers/{payment.customer.code}", f"/customers/{other.code}"
    surgery.execute(forged.encode())
    run_command("audit", "verify-facts", "--table", "payments")
    mine, others = (sign_in("admin").get(page).text for page in pages)
    assert (said in mine, said in others) == (True, False)
