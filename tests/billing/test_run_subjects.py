"""A run over single records shows their owners, and links back to them."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.billing.figures import customer_balance, invoice_paid, meter_balance
from backoffice.billing.models import MeterAssignment
from backoffice.drift.verification.scope import scope_of
from backoffice.runs import actions
from tests.factories.billing import MeterAssignmentFactory
from tests.orders.pages import text_of


@pytest.fixture
def assignment(session: Any) -> MeterAssignment:
    """FRANS has NM-1."""
    made: MeterAssignment = MeterAssignmentFactory(customer__code="FRANS", meter__number="NM-1")
    session.commit()
    return made


def asked(session: Any, scope: Any) -> int:
    """A run over these figures that has not started."""
    run = actions.request(session, "figures.heal", scope, dry_run=True)
    session.commit()
    return int(run.id)


def test_a_recalculated_customer_and_its_one_meter_are_a_click_away(
    session: Any, assignment: MeterAssignment, sign_in: Callable[..., FlaskClient]
) -> None:
    scope = {
        "figures": {
            meter_balance.name: [assignment.meter_id],
            customer_balance.name: [assignment.customer_id],
            invoice_paid.name: [1, 2, 3],
        }
    }
    page = sign_in("admin").get(f"/runs/{asked(session, scope)}").text
    assert "Belongs to FRANS · NM-1 What" in text_of(page)
    assert 'href="/customers/FRANS"' in page
    assert 'href="/billing/meters/NM-1"' in page


@pytest.mark.parametrize("owners", [[987654321], [1, 2], None])
def test_who_is_gone_or_one_of_many_is_not_named(
    session: Any,
    assignment: MeterAssignment,
    sign_in: Callable[..., FlaskClient],
    owners: list[int] | None,
) -> None:
    run_id = asked(session, scope_of([customer_balance], owners))
    page = text_of(sign_in("admin").get(f"/runs/{run_id}").text)
    assert "Belongs to" not in page
    assert "Customer balance" in page
