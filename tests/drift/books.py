"""A small book with drift written without triggers, and the runs that verify it."""

import re
from typing import Any

from flask.testing import FlaskClient

from backoffice.app.extensions import db
from backoffice.drift.healing.performing import performed
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.factories.orders import OrderFactory


def an_order(number: str, **facts: Any) -> Order:
    """An order of one line of 3 × 10."""
    made: Order = OrderFactory(
        number=number, lines=[("package", "Tofu", "3", "10")], total_price=0, additions=0, promo=0,
        reductions=0, **facts,
    )  # fmt: skip
    return made


def run_of(kind: str, scope: Any = None, **options: Any) -> Run:
    """Request a run and perform it here."""
    asked = actions.request(db.session(), kind, scope or {}, is_paced=False, **options)
    db.session.commit()
    return performed(db.engine, asked.id).run


def key_in(page: str) -> str:
    """The key of the first form on a page that has one."""
    found = re.search(r'name="idempotency_key"\s+value="([^"]+)"', page)
    assert found, "no form on the page"
    return found[1]


def text_of(page: str) -> str:
    """The visible text of a page's main part, with single spaces."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("&#39;", "'").split())


def rows_of(client: FlaskClient, address: str) -> list[list[str]]:
    """The cells of the table's body at an address, as texts."""
    page = client.get(address)
    assert page.status_code == 200, page.text
    body = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.split(r"<t[dh]\b", row)[1:]]
        for row in body.split("<tr")[1:]
    ]
