"""Columns of files that follow from a record's declared fields: a header may lack them, a cell may be empty."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Date, Numeric, Text, func, literal

from ... import records
from ...records import Field
from ..files import cells
from ..files.reading import ImportColumn

READ: Mapping[type[Field], Callable[[Any], tuple[Callable[[str], Any], Any]]] = {
    records.Text: lambda field: (cells.text(field.longest), Text()),
    records.Day: lambda _field: (cells.day, Date()),
    records.Amount: lambda _field: (cells.amount, Numeric(15, 2)),
    records.Quantity: lambda _field: (cells.quantity, Numeric(15, 3)),
    records.UnitPrice: lambda _field: (cells.unit_price, Numeric(15, 4)),
}
"""Type of field → what reads its cells, and the type that this gives."""


def column_of(field: Field) -> ImportColumn:
    """The column of a field that is not required."""
    read, type_ = READ[type(field)](field)
    return ImportColumn(field.name, _lawful(field, read), type_, required=False, may_be_empty=True)


def kept(field: Field, said: Any) -> ColumnElement[Any]:
    """What a line says of a field; where it says nothing, what is stored, and for a new row a text without letters."""
    nothing = [literal("")] if isinstance(field, records.Text) else []
    return func.coalesce(said, field.column, *nothing)


def _lawful(field: Field, read: Callable[..., Any]) -> Callable[..., Any]:
    """Reads a value that keeps the field's laws."""

    def checked(value: Any) -> Any:
        for law in field.laws:
            if not law.holds(value):
                raise cells.CellError(law.sentence)
        return value

    if isinstance(read, cells.Written):
        return cells.Written(lambda cell, notation: checked(read.read(cell, notation)))
    return lambda cell: checked(read(cell))
