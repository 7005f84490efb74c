"""From which size on a run needs a second person."""

from decimal import Decimal

import pytest

from backoffice.runs.actions import Limits


@pytest.mark.parametrize(
    ("count", "amount", "is_exceeded"),
    [(2, "10", False), (3, "0", True), (0, "10.01", True), (0, "10", False), (2, "0", False)],
)
def test_a_run_exactly_at_a_limit_needs_no_second_person(
    count: int, amount: str, is_exceeded: bool
) -> None:
    assert Limits(2, Decimal(10)).are_exceeded_by(count, Decimal(amount)) is is_exceeded
