"""The columns of a file that are fields of a record: called as they are, with their lengths, words and laws."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...records import Amount, Choice, Day, Factor, Field, Law, Quantity, Text, UnitPrice
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


def _column_of(field: Field) -> ImportColumn:
    read = _READERS[type(field)](field)
    for law in field.laws:
        read = _keeping(law, read)
    if field.required:
        return ImportColumn(field.key, read, field.column.type)
    empty = field.value(field.usual) if isinstance(field, Text | Choice) else None
    return ImportColumn(
        field.key, read, field.column.type, required=False, may_be_empty=True, empty=empty
    )


def _keeping(law: Law, read: Callable[[str], Any]) -> Callable[[str], Any]:
    def keeping(cell: str) -> Any:
        value = read(cell)
        if not law.holds(value):
            raise cells.CellError(law.sentence)
        return value

    return keeping
