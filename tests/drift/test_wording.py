"""Recorded values of figures are formatted for the user, however they are stored."""

from typing import Any

import pytest
from flask import Flask

from backoffice.drift.wording import value

READING, MONTH = "transaction_calculations.total_price", "monthly_customer_balances.closing_balance"
PRICE = {
    "price_per_sm3": "11655.0000",
    "effective_from": "2026-06-01",
    "correction_factor": "1.017345",
}


@pytest.mark.parametrize(
    ("figure", "column", "stored", "written"),
    [
        (READING, "transaction_date", "2026-11-23", "23 Nov 2026"),
        (READING, "year_month", "2026-11", "November 2026"),
        (MONTH, "year_month", "nonsense", "nonsense"),
        (
            READING, "pricing_used", PRICE,
            "Price per Sm³: 11,655.00, Effective from: 1 Jun 2026, Correction factor: 1.017345",
        ),
        (
            MONTH, "calculation_details", {"deposits": 1, "readings": 31, "other": 2},
            "Deposits: 1, Readings: 31, other: 2",
        ),
        (READING, "total_price", None, "–"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_people_read_it(
    app: Flask, figure: str, column: str, stored: Any, written: str
) -> None:
    with app.test_request_context():
        assert value(figure, column, stored) == written
