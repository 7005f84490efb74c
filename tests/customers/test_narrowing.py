"""Filtering a list by customer: a link shows exactly one customer's rows, typed text is matched leniently."""

from typing import Any

import pytest

from backoffice.customers.models import Customer
from backoffice.customers.queries import narrowed_to
from tests.factories.customers import CustomerFactory


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ALFKI", ["ALFKI"]),
        ("alfki", ["alfki"]),
        ("Alfki", ["ALFKI", "alfki"]),
        ("cust-1", ["Cust-1"]),
        ("futter", ["ALFKI"]),
        ("100%", []),
        ("nobody", []),
    ],
)
def test_a_list_is_narrowed_by_code_else_by_name(session: Any, text: str, found: list[str]) -> None:
    for code, name in (
        ("ALFKI", "Alfreds Futterkiste"),
        ("alfki", "Another"),
        ("Cust-1", "Customer"),
        ("OTHER", "Named like cust-1"),
    ):
        CustomerFactory(code=code, name=name)
    session.commit()
    wanted = Customer.id.in_(narrowed_to(text))
    assert sorted(c.code for c in session.query(Customer).where(wanted)) == found


def test_the_code_of_a_merged_customer_leads_to_whom_it_was_merged_into(session: Any) -> None:
    survivor = CustomerFactory(code="KEPT")
    session.flush()
    between = CustomerFactory(code="BETWEEN", merged_into_id=survivor.id)
    session.flush()
    CustomerFactory(code="OLD", merged_into_id=between.id)
    session.commit()
    wanted = Customer.id.in_(narrowed_to("OLD"))
    assert sorted(c.code for c in session.query(Customer).where(wanted)) == [
        "BETWEEN",
        "KEPT",
        "OLD",
    ]
