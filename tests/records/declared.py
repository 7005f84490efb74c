"""Every record that is declared, and values that it may hold."""

from typing import Any

import pytest

from backoffice.app.domain import Declared
from backoffice.app.domains import DOMAINS
from backoffice.records import Choice, Field, Flag, Record, Text

DECLARED = tuple(Declared(DOMAINS).records.values())
EVERY_RECORD = pytest.mark.parametrize("record", DECLARED, ids=lambda record: record.domain)


def entered(record: Record, number: int) -> dict[str, Any]:
    """A value for every field, another for every number; they keep the record's laws."""
    return {field.name: value_of(field, number) for field in record.fields}


def value_of(field: Field, number: int) -> Any:
    """A value of one field."""
    if isinstance(field, Choice):
        return list(field.words)[number % len(field.words)]
    if isinstance(field, Flag):
        return number % 2 == 0
    assert isinstance(field, Text), f"Say here what a {type(field).__name__} may hold."
    return f"{field.name.replace('_', '')}-{number}"
