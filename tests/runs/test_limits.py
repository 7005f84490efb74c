"""From which size on a run needs a second person, and who that may be."""

from decimal import Decimal

import pytest
from flask import Flask

from backoffice.people.models import User
from backoffice.runs.actions import Limits, may_approve
from backoffice.runs.kinds import kinds
from backoffice.security.rights import PERMISSIONS


@pytest.mark.parametrize(
    ("count", "amount", "is_exceeded"),
    [(2, "10", False), (3, "0", True), (0, "10.01", True), (0, "10", False), (2, "0", False)],
)
def test_a_run_exactly_at_a_limit_needs_no_second_person(
    count: int, amount: str, is_exceeded: bool
) -> None:
    assert Limits(2, Decimal(10)).are_exceeded_by(count, Decimal(amount)) is is_exceeded


@pytest.mark.parametrize("role", PERMISSIONS)
def test_whoever_may_ask_for_a_run_approves_it_only_with_the_right_to_approve(
    app: Flask, role: str
) -> None:
    user, permissions = User(role=role, is_active=True), PERMISSIONS[role]
    with app.app_context():
        known = kinds()
        approved = {name for name in known if may_approve(user, name)}
    assert approved == {
        name for name, kind in known.items() if {kind.permission, "runs.approve"} <= permissions
    }
