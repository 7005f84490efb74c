"""An order takes 5,000 lines by a file or the API; its page shows them, and says where to change them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from backoffice.orders.rules import MOST_LINES
from backoffice.records.lines import MOST_LINES as MOST_SHOWN
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.orders.pages import text_of
from tests.records.test_api import Program, is_problem

SignIn = Callable[..., FlaskClient]

STORED = text(
    "SELECT count(*), sum(amount), max(grand_total) FROM orders JOIN order_lines ON order_id = orders.id"
)


def order(session: Any) -> None:
    OrderFactory(number="BIG-1", total_price=0, additions=0, promo=0, reductions=0)
    session.commit()


def file(path: Path, count: int) -> str:
    """The file of case 20, with `count` lines."""
    lines = (f"BIG-1,package,line {number},1,1" for number in range(count))
    path.write_text("\n".join(["order_number,kind,description,quantity,unit_price", *lines]))
    return str(path)


def test_a_file_brings_the_most_lines_and_not_one_more(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    order(session)
    refused = run_command("import", "order-lines", file(tmp_path / "a.csv", MOST_LINES + 1))
    assert refused.exit_code == 1
    assert "An order has at most 5,000 lines. Split it in two." in " ".join(refused.output.split())
    assert session.execute(STORED).one() == (0, None, None)
    session.rollback()
    done = run_command("import", "order-lines", file(tmp_path / "b.csv", MOST_LINES))
    assert done.exit_code == 0, done.output
    assert session.execute(STORED).one() == (5000, 5000, 5000)


def test_a_long_order_is_shown_and_its_form_says_where_to_change_it(
    session: Any, sign_in: SignIn, tmp_path: Path, run_command: Any
) -> None:
    order(session)
    run_command("import", "order-lines", file(tmp_path / "a.csv", MOST_SHOWN + 1))
    browser, told = sign_in("finance"), "This order has 501 lines, and the form shows at most 500."
    page = browser.get("/orders/BIG-1")
    assert page.status_code == 200
    assert "line 500" in page.text
    assert told in text_of(page.text)
    assert "/orders/BIG-1/edit" not in page.text, "no button that leads to a refusal"
    form = browser.get("/orders/BIG-1/edit")
    assert form.status_code == 409
    assert told in text_of(form.text)
    assert len(form.data) < 50_000
    run_command("import", "order-lines", file(tmp_path / "a.csv", MOST_SHOWN))
    page = browser.get("/orders/BIG-1")
    assert told not in text_of(page.text)
    assert "/orders/BIG-1/edit" in page.text
    assert browser.get("/orders/BIG-1/edit").status_code == 200


@pytest.mark.slow
def test_a_program_sends_the_most_lines_and_changes_a_long_order(app: Flask, session: Any) -> None:
    CustomerFactory(code="A")
    AccountManagerFactory(email="m@x.example")
    program = Program(app, session, "orders:write")
    line = {"kind": "package", "description": "Tea", "quantity": "1", "unit_price": "1"}
    body = {
        "number": "BIG-1", "customer": "A", "account_manager": "m@x.example", "order_date": "2026-01-05",
    }  # fmt: skip
    refused = program.send("POST", "/api/orders", json=body | {"lines": [line] * (MOST_LINES + 1)})
    assert is_problem(refused, 422, "lines"), refused.text[:300]
    assert "An order has at most 5,000 lines." in refused.text
    made = program.send("POST", "/api/orders", json=body | {"lines": [line] * MOST_LINES})
    assert made.status_code == 201, made.text[:300]
    changed = program.send(
        "PATCH", "/api/orders/BIG-1", match=1, json={"closing_date": "2026-01-09"}
    )
    assert changed.status_code == 200, changed.text[:300]
    session.rollback()
    assert session.execute(STORED).one() == (5000, 5000, 5000)
