"""The columns of a file that are fields of a record: called as they are, with their lengths, words and laws."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, literal

from ...records import Amount, Choice, Day, Factor, Field, Quantity, Text, UnitPrice
from ..files import cells
from ..files.reading import ImportColumn

_READERS: Mapping[type[Field], Callable[[Any], Callable[[str], Any]]] = {
    Text: lambda field: cells.text(field.longest),
    Choice: lambda field: cells.one_of(*field.words),
    Day: lambda _field: cells.day,
    Amount: lambda field: cells.signed_amount if field.minimum is None else cells.amount,
    Quantity: lambda _field: cells.quantity,
    Factor: lambda _field: cells.factor,
    UnitPrice: lambda _field: cells.unit_price,
}


def columns_of(fields: Iterable[Field]) -> tuple[ImportColumn, ...]:
    """A column for each field; what a form demands must be there, what it refuses is refused with its sentence."""
    return tuple(_column_of(field) for field in fields)


def column_of(field: Field) -> ImportColumn:
    """The column of a field that a file may lack, and whose cells may be empty: see `kept`."""
    return replace(_column_of(field), required=False, may_be_empty=True, empty=None)


def kept(field: Field, said: Any) -> ColumnElement[Any]:
    """What a line says of a field; where it says nothing, what is stored, and for a new row a text without letters."""
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
    """Reads a value that keeps the field's laws, in whatever notation the file is."""

    def checked(value: Any) -> Any:
        for law in field.laws:
            if not law.holds(value):
                raise cells.CellError(law.sentence)
        return value

    if isinstance(read, cells.Written):
        return cells.Written(lambda cell, notation: checked(read.read(cell, notation)))
    return lambda cell: checked(read(cell))
