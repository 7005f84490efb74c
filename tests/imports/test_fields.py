"""Columns of files that follow from the declared fields of a record."""

from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Date

from backoffice.billing.models import Invoice
from backoffice.imports.files.cells import CellError, NotationReader
from backoffice.imports.files.layout import Notation
from backoffice.imports.kinds import KINDS
from backoffice.imports.kinds.field_columns import column_of, value_or_stored
from backoffice.records import Amount, Day, Field, Law, Quantity, Text, UnitPrice

NOT_MORE = (Law(lambda value: str(value) < "9", "No more than that."),)

FIELDS: list[tuple[Field, str, Any]] = [
    (Text(Invoice.void_reason, "Reason", longest=5, laws=NOT_MORE), "abc", None),
    (Text(Invoice.void_reason, "Reason", longest=5), "abc", "abc"),
    (Day(Invoice.due_on, "Due", laws=NOT_MORE), "2026-03-31", date(2026, 3, 31)),
    (Amount(Invoice.fixed_charge, "Fixed charge"), "12.50", Decimal("12.50")),
    (Quantity(Invoice.units, "Units"), "1.125", Decimal("1.125")),
    (UnitPrice(Invoice.rate, "Rate"), "0.1525", Decimal("0.1525")),
]


@pytest.mark.parametrize(("field", "cell", "value"), FIELDS)
def test_a_cell_is_read_as_its_field_is_and_keeps_its_laws(
    field: Field, cell: str, value: Any
) -> None:
    column = column_of(field)
    assert (column.name, column.required, column.may_be_empty) == (field.name, False, True)
    read = column.reader(Notation())
    if value is None:
        with pytest.raises(CellError, match="No more than that"):
            read(cell)
    else:
        assert read(cell) == value
    assert "coalesce" in str(value_or_stored(field, None))


def test_every_day_and_number_of_every_kind_is_read_in_the_notation_of_its_file() -> None:
    columns = [
        (kind.name, one) for kind in KINDS.values() for one in kind.columns if one.holds != "text"
    ]
    assert len(columns) > 20
    assert [
        (kind, one.name) for kind, one in columns if not isinstance(one.read, NotationReader)
    ] == []


def test_every_day_of_every_kind_is_of_a_year_that_a_record_can_have() -> None:
    """What the database would refuse as a whole is told at its line."""
    columns = [
        (kind.name, one)
        for kind in KINDS.values()
        for one in kind.columns
        if isinstance(one.type, Date)
    ]
    assert len(columns) > 10
    for name, column in columns:
        read = column.reader(Notation())
        for cell in ("0001-01-01", "0226-03-02", "1899-12-31", "2200-01-01", "9999-12-31"):
            with pytest.raises(CellError, match="Dates are of the years 1900 to 2199"):
                pytest.fail(f"{name} {column.name}: {read(cell)}")
        for cell in ("1900-01-01", "2199-12-31"):
            with suppress(CellError):  # some are of no day to come
                assert read(cell).isoformat() == cell
