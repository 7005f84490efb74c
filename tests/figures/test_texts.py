"""The text of a value in a finding: as PostgreSQL writes it."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from backoffice.figures.verifying.findings import text_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("aé\"\\ ,:'\n", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=2), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict | list))  # fmt: skip

HOLD = text("SELECT CAST(:value AS jsonb), CAST(CAST(:value AS jsonb) AS text)")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (Decimal("10.00"), "10.00"),
        (date(2026, 3, 1), "2026-03-01"),
        (True, "True"),
        ({}, "{}"),
        ([], "[]"),
        ({"price": "9.5", "von": "März"}, '{"price": "9.5", "von": "März"}'),
        ([1, None, {"a": [True]}], '[1, null, {"a": [true]}]'),
    ],
)
def test_a_value_has_one_text(value: Any, written: str | None) -> None:
    assert text_of(value) == written


def test_json_is_written_as_postgresql_writes_it(session: Any) -> None:
    """Keys are in PostgreSQL's order, as they are read."""

    @given(JSON)
    def holds(value: Any) -> None:
        read, written = session.execute(HOLD, {"value": json.dumps(value)}).one()
        assert text_of(read) == written

    holds()
