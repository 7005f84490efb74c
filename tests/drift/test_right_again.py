"""A finding that is resolved is closed by the next heal, apply or verification of the row."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.drift import figure_status
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.drift.outside import watch
from backoffice.orders.models import Order
from tests.drift.books import run_of, text_of
from tests.drift.forging import tell_of_the_book
from tests.factories.billing import PaymentFactory

pytestmark = pytest.mark.leaves_drift

Surgery = psycopg.Connection[Any]

RIGHT = "UPDATE orders SET grand_total = 30 WHERE number = 'A-1'"


def found(session: Any, figure: str) -> DriftFinding:
    session.rollback()
    one: DriftFinding = session.scalars(
        select(DriftFinding).where(DriftFinding.figure == figure).order_by(DriftFinding.id.desc())
    ).first()
    return one


@pytest.mark.parametrize("kind", ["figures.heal", "figures.rebuild", "figures.verify"])
@pytest.mark.parametrize("scope", [{}, {"figures": {"orders.grand_total": None}}, "A-1"])
def test_whatever_looks_at_it_closes_it(
    wrong: dict[str, Order], session: Any, surgery: Surgery, kind: str, scope: Any
) -> None:
    surgery.execute(RIGHT)
    whole = {"figures": {"orders.grand_total": [wrong["A-1"].id]}} if scope == "A-1" else scope
    run_of(kind, whole)
    assert found(session, "orders.grand_total").healed_by == "save"
    check = session.get_one(FigureCheck, "orders.grand_total")
    assert check.drifted == (1 if scope == "A-1" else 0)


def test_nothing_is_wrong_after_a_heal_of_everything(
    wrong: dict[str, Order], session: Any, surgery: Surgery
) -> None:
    surgery.execute(RIGHT)
    run_of("figures.heal")
    assert (figure_status.read(session).wrong, figure_status.read(session).state) == (0, "right")


def test_an_apply_closes_what_it_finds_right(
    wrong: dict[str, Order], session: Any, surgery: Surgery
) -> None:
    dry = run_of("figures.heal", dry_run=True)
    surgery.execute(RIGHT)
    run_of("figures.apply", {"run": dry.id}, reason="Checked")
    assert figure_status.read(session).wrong == 0


@pytest.mark.parametrize("kind", ["figures.heal", "figures.verify"])
def test_what_looks_at_others_leaves_it_open(
    wrong: dict[str, Order], session: Any, surgery: Surgery, kind: str
) -> None:
    surgery.execute(RIGHT)
    run_of(kind, {"figures": {"orders.grand_total": [wrong["A-2"].id]}})
    assert found(session, "orders.grand_total").healed_at is None


def test_the_page_of_a_finding_shows_what_is_stored_now(
    wrong: dict[str, Order], session: Any, surgery: Surgery, sign_in: Any
) -> None:
    finance: FlaskClient = sign_in("finance")
    address = f"/health/drift/{found(session, 'orders.grand_total').id}"
    surgery.execute("UPDATE orders SET grand_total = 250 WHERE number = 'A-1'")
    page = text_of(finance.get(address).text)
    assert ("250.00" in page, "100.00" in page, "Stored wrongly" in page) == (True, False, True)
    surgery.execute(RIGHT)
    assert "The row no longer differs" in text_of(finance.get(address).text)
    assert found(session, "orders.grand_total").healed_at is None


def test_the_page_of_what_an_owner_has_left_says_so_still(
    wrong: dict[str, Order], session: Any, surgery: Surgery, sign_in: Any
) -> None:
    owner = wrong["A-1"].id
    surgery.execute("DELETE FROM orders WHERE number = 'A-1'")
    run_of("figures.verify")
    of_lines = found(session, "order_lines.amount")
    assert of_lines.owner == owner
    page = sign_in("finance").get(f"/health/drift/{of_lines.id}").text
    assert "Its record is missing" in text_of(page)
    assert found(session, "order_lines.amount").healed_at is None


def test_who_decides_about_a_fact_decides_about_what_it_is_now(
    session: Any, surgery: Surgery, sign_in: Any, owner_connection: Any
) -> None:
    """A change after the finding is shown, so that the second press is about the present values."""
    tell_of_the_book(owner_connection)
    PaymentFactory(reference="PAY-1", amount=Decimal(40))
    session.commit()
    surgery.execute("UPDATE payments SET amount = 140")
    run_of("audit.facts")
    number = found(session, "facts:payments").id
    finance: FlaskClient = sign_in("finance")
    first = finance.get(f"/health/drift/{number}")
    surgery.execute("UPDATE payments SET amount = 150")
    form = {"idempotency_key": "a", "reason": "In two parts.", "seen": seen_in(first.text)}
    refused = finance.post(f"/health/drift/{number}/accept", data=form)
    assert (refused.status_code, "150.00" in text_of(refused.text)) == (409, True)
    assert found(session, "facts:payments").run_id is not None, "who found it stays known"
    form |= {"idempotency_key": "b", "seen": seen_in(refused.text)}
    assert finance.post(f"/health/drift/{number}/accept", data=form).status_code == 303


def test_a_fact_that_is_as_the_trail_has_it_is_correct_on_its_page(
    session: Any, surgery: Surgery, sign_in: Any, owner_connection: Any
) -> None:
    tell_of_the_book(owner_connection)
    PaymentFactory(reference="PAY-1", amount=Decimal(40))
    session.commit()
    surgery.execute("UPDATE payments SET amount = 140")
    run_of("audit.facts")
    number = found(session, "facts:payments").id
    surgery.execute("UPDATE payments SET amount = 40")
    page = text_of(sign_in("finance").get(f"/health/drift/{number}").text)
    assert ("The row no longer differs" in page, "Accept the row" in page) == (True, False)


def seen_in(page: str) -> str:
    return page.partition('name="seen"')[2].partition('value="')[2].partition('"')[0]


def test_what_another_program_puts_right_is_closed_when_its_write_is_followed(
    wrong: dict[str, Order], session: Any, owner_connection: Any
) -> None:
    owner_connection.execute("UPDATE order_lines SET amount = 30 WHERE amount = 5")
    watch.drain(db.engine)
    assert open_rows(session) == {("orders.grand_total", wrong["A-1"].id)}
    owner_connection.execute(RIGHT)
    watch.drain(db.engine)
    assert open_rows(session) == set()


def test_what_is_declared_no_more_is_not_wrong_for_ever(
    orders: dict[str, Order], session: Any, surgery: Surgery
) -> None:
    """A figure, facts, dates and a check of an earlier version, with their findings."""
    gone = ("orders.earlier", "facts:earlier", "dates:earlier", "check:earlier")
    for name in gone:
        surgery.execute(
            "INSERT INTO drift_findings (figure, owner, key, kind, stored, roots, is_root, cause) "
            """VALUES (%s, 1, '{"id": 1}', 'different', '{"amount": "1"}', '[]', true, 'unnoticed')""",
            [name],
        )
    run_of("figures.verify", {"figures": {"orders.grand_total": None}})
    assert {name for name, _owner in open_rows(session)} == {*gone} - {"check:earlier"}
    run_of("figures.verify")
    assert open_rows(session) == set()


# What stays wrong is open


TOO_MUCH = "UPDATE order_lines SET quantity = 999999999999, unit_price = 99999999999 WHERE id = %s"
"""The amount of this line exceeds every column."""


def line_of(session: Any, order: Order) -> int:
    number: int = order.lines[0].id
    session.rollback()
    return number


def open_rows(session: Any) -> set[tuple[str, int]]:
    session.rollback()
    rows = select(DriftFinding.figure, DriftFinding.owner).where(DriftFinding.healed_at.is_(None))
    return {tuple(row) for row in session.execute(rows)}


@pytest.mark.parametrize("kind", ["figures.heal", "figures.rebuild"])
def test_what_a_heal_leaves_alone_or_cannot_correct_is_open(
    orders: dict[str, Order], session: Any, surgery: Surgery, owner_connection: Any, kind: str
) -> None:
    """There was no finding of either before: nothing was verified since the tampering."""
    first, second = orders["A-1"].id, orders["A-2"].id
    line = line_of(session, orders["A-2"])
    run_of("figures.verify")
    surgery.execute("DELETE FROM orders WHERE id = %s", [first])
    owner_connection.execute(TOO_MUCH, [line])
    run = run_of(kind)
    assert (run.skipped, run.failed, run.status) == (1, 1, "finished with failures")
    found = open_rows(session)
    assert {("order_lines.amount", first), ("order_lines.amount", second)} <= found
    assert figure_status.read(session).state == "wrong"
    number = session.scalars(select(DriftFinding.run_id).where(DriftFinding.owner == second))
    assert set(number) == {run.id}


def test_what_an_apply_leaves_alone_because_it_moved_is_open(
    orders: dict[str, Order], session: Any, surgery: Surgery
) -> None:
    first = orders["A-1"].id
    run_of("figures.verify")
    surgery.execute("UPDATE orders SET grand_total = 100 WHERE id = %s", [first])
    dry = run_of("figures.heal", dry_run=True)
    assert open_rows(session) == set(), "a dry run writes nothing but itself"
    surgery.execute("UPDATE orders SET grand_total = 250 WHERE id = %s", [first])
    assert run_of("figures.apply", {"run": dry.id}, reason="Checked").skipped == 1
    assert open_rows(session) == {("orders.grand_total", first)}


def test_what_an_apply_cannot_correct_is_open(
    orders: dict[str, Order], session: Any, surgery: Surgery, owner_connection: Any
) -> None:
    second = orders["A-2"].id
    owner_connection.execute(TOO_MUCH, [line_of(session, orders["A-2"])])
    surgery.execute("DELETE FROM figure_notes")
    dry = run_of("figures.heal", dry_run=True)
    assert run_of("figures.apply", {"run": dry.id}, reason="Checked").failed
    assert ("orders.grand_total", second) in open_rows(session)
