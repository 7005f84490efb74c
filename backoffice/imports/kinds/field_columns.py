"""File columns from the declared fields of a record, with the same names, lengths, choices and laws."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, literal

from ...records import Amount, Choice, Day, Factor, Field, Quantity, Text, UnitPrice
from ..files import cells
from ..files.reading import ImportColumn

_READERS: Mapping[type[Field], Callable[[Any], Callable[[str], Any]]] = {
    Text: lambda field: cells.text(field.longest),
    Choice: lambda field: cells.one_of(field.words),
    Day: lambda _field: cells.day,
    Amount: lambda field: cells.signed_amount if field.minimum is None else cells.amount,
    Quantity: lambda _field: cells.quantity,
    Factor: lambda _field: cells.factor,
    UnitPrice: lambda _field: cells.unit_price,
}


def columns_of(fields: Iterable[Field]) -> tuple[ImportColumn, ...]:
    """A column for each field; fields that are required in the form are required here, with the same validation."""
    return tuple(_column_of(field) for field in fields)


def column_of(field: Field) -> ImportColumn:
    """An optional column of a field, in which cells may be empty: see `value_or_stored`."""
    return replace(_column_of(field), required=False, may_be_empty=True, empty=None)


def value_or_stored(field: Field, said: Any) -> ColumnElement[Any]:
    """The value of a field in a line, else the stored one, else for a new row of a text field ""."""
    nothing = [literal("")] if isinstance(field, Text) else []
    return func.coalesce(said, field.column, *nothing)


def _column_of(field: Field) -> ImportColumn:
    read = _lawful(field, _READERS[type(field)](field))
    if field.required:
        return ImportColumn(field.key, read, field.column.type)
    empty = field.value(field.usual) if isinstance(field, Text | Choice) else None
    return ImportColumn(
        field.key, read, field.column.type, required=False, may_be_empty=True, empty=empty
    )


def _lawful(field: Field, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader that also checks the field's laws, in any notation."""

    def checked(value: Any) -> Any:
        for law in field.laws:
            if not law.holds(value):
                raise cells.CellError(law.sentence)
        return value

    if isinstance(read, cells.NotationReader):
        return cells.NotationReader(lambda cell, notation: checked(read.read(cell, notation)))
    return lambda cell: checked(read(cell))
