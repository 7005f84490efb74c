"""The explanation of every figure of a record, down to the rows that it is derived from."""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from flask import url_for
from sqlalchemy import Column, Date, FromClause, Integer, Table, select
from sqlalchemy.orm import Session

from .. import figures
from ..app.navigation import may_open
from ..audit.tables import recorded
from ..base import N_, Base, table_of
from ..drift.marks import Marks, marks
from ..drift.wording import cause_of_correction, value
from ..figures import Explanation, Figure, registry
from ..figures.showing.terms import SourceRow, Term
from ..people.actors import Actors
from ..web import record_links
from ..web.formats import day_filter, quantity_filter, unit_price_filter
from .declaration import Record, Row, Shown


class Whole(NamedTuple):
    """The record that a row is a part of: its name, and where it is shown."""

    name: str
    href: str | None


RowsAt = Callable[[Row, str], str | None]
"""For a row and one of its columns: the address of the list of all rows behind the figure, if there is one."""


class Wording(Actors):
    """Formats the explanation of a figure for display: values, causes of corrections, and users."""

    def __init__(self, session: Session, explanation: Explanation) -> None:
        super().__init__(session, [c.actor or c.db_user for c in explanation.corrections])
        self._figure = explanation.figure

    def value(self, column: str, reported: Any) -> str:
        """A value of a column; a dash where there is none."""
        return value(self._figure, column, reported)

    def cause(self, cause: str) -> str:
        """Why a figure was corrected."""
        return cause_of_correction(cause)


def marks_of(record: Record, row: Row) -> Marks:
    """The marks of the row's figures that are known to be wrong."""
    return marks({figure: [record.owner_of(figure, row)] for figure in record.figures})


def read_beside(record: Record) -> Iterator[Shown]:
    """The values that the API shows beside the fields: a generated name, the row's figures, and `record.shown`."""
    typed = record.by_name
    if record.argument not in {*typed, "id"}:
        schema: Mapping[str, Any] = {"type": "string", "readOnly": True}
        yield Shown(record.argument, N_("Name"), record.name_of, schema)
    for name, figure in record.figure_columns.items():
        column = figure.table.c[name]
        kind = {"type": "integer"} if isinstance(column.type, Integer) else {"type": "string"}
        words = figure.formulas.get(column) or figure.formula or figure.title
        if name not in typed:
            label = record_links.label_of(figure.name, name)
            schema = {**kind, "readOnly": True, "description": words}
            yield Shown(name, label, attrgetter(name), schema)
    yield from record.shown


def amounts_of(record: Record, row: Row) -> list[tuple[str, str, str]]:
    """Column, label and formatted amount of every figure of the row itself."""
    return [
        (
            name,
            record_links.label_of(figure.name, name),
            value(figure.name, name, getattr(row, name)),
        )
        for name, figure in record.figure_columns.items()
    ]


def total_of(record: Record, row: Row) -> list[tuple[str, str, str]]:
    """The main amount of a row as one of its facts; empty where it is entered, or the record has no figures."""
    shown = record.main_column(row) if record.figure_columns else ""
    amounts = amounts_of(record, row) if shown not in record.by_name else ()
    return [(label, amount, "") for name, label, amount in amounts if name == shown]


class Calculations:
    """How the figures of one row of a record were calculated.

    `laid` replaces tables where the row is not stored, see `figures.explain`.
    """

    def __init__(
        self,
        session: Session,
        record: Record,
        row: Row,
        rows_at: RowsAt = lambda _row, _column: None,
        laid: Mapping[Table, FromClause] | None = None,
    ) -> None:
        self._session, self._record, self._row, self._rows_at = session, record, row, rows_at
        self._laid = laid
        self._explained: dict[tuple[str, int], Explanation | None] = {}
        self.marks = marks_of(record, row)

    def of(self, column: str, part: int | None = None) -> Mapping[str, Any] | None:
        """The context of the calculation page for a column of the row, or of a part of it (an order's line) by its id.

        It includes the terms that are figures of the record too, with the rows behind them. None where there is no such
        figure or part.
        """
        figure = self._figure(column, is_part=part is not None)
        if figure is None:
            return None
        held = self._row if part is None else self._part(figure, part)
        explanation = held and self._explain(figure, held)
        if not explanation:
            return None
        asked = self._shown(figure, held, explanation, column)
        return {
            "calculations": [asked, *self._beneath(asked["explained"].terms)],
            "corrections": explanation.corrections_of(column),
            "figures": amounts_of(self._record, self._row),
            "correctable": self._correctable(),
            "wording": asked["wording"],
            "is_main": part is None and column == self._record.main_column(self._row),
        }

    def _explain(self, figure: Figure, held: Row) -> Explanation | None:
        """The row of the figure with all its columns, asked once however many of them are shown."""
        asked = figure.name, held.id
        if asked not in self._explained:
            self._explained[asked] = figures.explain(self._session, figure, held.id, self._laid)
        return self._explained[asked]

    def _correctable(self) -> tuple[str, int] | None:
        """The kind and the id of the owner for which a correction can be previewed."""
        kind = self._record.recalculated
        return (kind, self._record.owner_of(self._record.figures[-1], self._row)) if kind else None

    def _figure(self, column: str, *, is_part: bool) -> Figure | None:
        """The record's figure that has the column, of its own row or of a part's."""
        own = self._record.model.__table__
        found = (f for f in self._record.figures if (f.table is not own) is is_part)
        return next((f for f in found if column in {c.key for c in f.columns}), None)

    def _part(self, figure: Figure, part: int) -> Row | None:
        model = next(m.class_ for m in Base.registry.mappers if m.local_table is figure.table)
        held = self._session.get(model, part)
        is_part = held is not None and getattr(held, figure.owner.key) == self._row.id
        return held if is_part else None

    def _beneath(self, terms: tuple[Term, ...]) -> Iterator[Mapping[str, Any]]:
        """The terms that are themselves figures of the record and sum rows."""
        for term in terms:
            figure = self._figure(term.column, is_part=False) if term.figure else None
            explanation = figure and self._explain(figure, self._row)
            if figure and explanation:
                shown = self._shown(figure, self._row, explanation, term.column, id=term.column)
                if any(of_it.rows for of_it in shown["explained"].terms):
                    yield shown

    def _shown(
        self, figure: Figure, held: Row, explanation: Explanation, column: str, **more: Any
    ) -> Mapping[str, Any]:
        """The context of one column for the macro `calculation`."""
        explained = explanation.of(column)
        wholes = self._wholes([row for term in explained.terms for row in term.rows])
        return {
            "explained": explained,
            "whole_of_row": lambda row: wholes.get((row.table, row.id)),
            "is_stored": self._laid is None,
            "wording": Wording(self._session, explanation),
            "mark": self.marks.of(held, column),
            "about": None if held is self._row else getattr(held, "description", ""),
            "link_of_term": self._link_of_term,
            "link_of_row": self._link_of_row,
            "note_of_row": lambda row: note_of(figure, row),
            "more": self._rows_at(self._row, column),
            **more,
        }

    def _link_of_term(self, term: Term) -> str | None:
        """The address of a term's own calculation; None for an entered value."""
        if term.figure is None or self._figure(term.column, is_part=False) is None:
            return None
        return self._at("calculation_of", column=term.column)

    def _wholes(self, rows: list[SourceRow]) -> Mapping[tuple[str, Any], Whole]:
        """The other records that rows are parts of: of the lines behind an account, their entries."""
        wholes: dict[tuple[str, Any], Whole] = {}
        for table in {row.table for row in rows}:
            part_of = _part_of(table)
            if part_of is None:
                continue
            target = next(iter(part_of.foreign_keys)).column
            known = recorded(target.table.name)
            if known is None or known.called is None or known.model is self._record.model:
                continue
            of_rows = {row.id: row.values[part_of.key] for row in rows if row.table == table}
            asked = select(target, known.called).where(target.in_(set(of_rows.values())))
            names: dict[Any, str] = {row[0]: row[1] for row in self._session.execute(asked)}
            is_open = may_open(known.endpoint)
            for row_id, whole in of_rows.items():
                name = names[whole]
                href = url_for(known.endpoint, **known.address_of(whole, name)) if is_open else None
                wholes[table, row_id] = Whole(name, href)
        return wholes

    def _link_of_row(self, row: SourceRow) -> str | None:
        """The address of a row behind a figure: the calculation of its own figure, else its record."""
        if row.id is None:
            return None  # the row is expected, but missing
        if row.figure is not None and self._figure(row.column, is_part=True):
            return self._at("calculation_of_part", column=row.column, part=row.id)
        known = recorded(row.table)
        if row.figure is not None and row.table == table_of(self._record.model).name:
            figure = registry.get(row.figure)  # the row before, from which a running row continues
            key = {column.key: row.values[column.key] for column in figure.key}
            place = record_links.Place(row.values[figure.owner.key], key, row.table)
            return record_links.calculation_url(row.figure, place, row.column)
        if known is None or known.name is None or not may_open(known.endpoint):
            return None
        name = row.values[known.name.key]
        if row.figure is not None:
            place = record_links.Place(row.id, {"id": str(row.id)}, name)
            return record_links.calculation_url(row.figure, place, row.column)
        return url_for(known.endpoint, **{known.argument: name})

    def _at(self, view: str, **more: Any) -> str:
        named = {self._record.argument: self._record.name_of(self._row), **more}
        return url_for(f"{self._record.domain}.{view}", **named)


def _part_of(table: str) -> Column[Any] | None:
    """The column by which rows of the table name what they are parts of; None where they are parts of nothing."""
    known = recorded(table)
    if known is None or known.part_of is None:
        return None
    column: Column[Any] = known.part_of.property.columns[0]
    return column


def note_of(figure: Figure, row: SourceRow) -> str:
    """The note beside a row behind a figure: quantity × price, else the date by which the figure counts it."""
    values = row.values
    if "unit_price" in values:
        return f"{quantity_filter(values['quantity'])} × {unit_price_filter(values['unit_price'])}"
    table = Base.metadata.tables[row.table]
    days = [column.key for column in table.c if isinstance(column.type, Date)]
    read = figure.reads.get(table, frozenset())
    day = next((name for name in days if name in read), days[0] if days else None)
    return day_filter(values[day]) if day else ""
