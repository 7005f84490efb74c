"""Files have the same validation as the form of a record, with the same sentences."""

import pytest

from backoffice.imports.files.cells import CellError
from backoffice.imports.kinds import KINDS
from backoffice.records import Choice, Record, Text
from tests.records.declared import DECLARED, value_of
from tests.records.test_conformance import BAD

IMPORTED = [record for record in DECLARED if record.domain in ("customers", "products")]


@pytest.mark.parametrize("record", IMPORTED, ids=lambda record: record.domain)
def test_every_text_and_choice_of_a_record_is_a_column_with_its_laws(record: Record) -> None:
    columns = {column.name: column for column in KINDS[record.domain].columns}
    for field in (field for field in record.fields if isinstance(field, Text | Choice)):
        column = columns[field.key]
        assert column.required == bool(field.required), "what a form demands must be there"
        assert column.read(str(value_of(field, 1))) == value_of(field, 1)
        with pytest.raises(CellError):
            column.read("x" * 201 + "1")
        for law in field.laws:
            bad = next(
                bad for bad in (*BAD[Text], "· ·") if not law.holds(bad) and bad.isprintable()
            )
            with pytest.raises(CellError) as reported:
                column.read(bad)
            assert reported.value.message == law.sentence
