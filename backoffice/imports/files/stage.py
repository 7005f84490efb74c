"""The staging table of a file's lines: a temporary table, so that all further work is set-based."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    Table,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from ...base import N_
from ..report import Problem
from .reading import CsvFile, ImportColumn

NAME = "import_stage"
WANTED = "import_wanted"
WAITS = N_("Another line with %(value)s is wrong; they are imported together or not at all.")


class Stage:
    """The readable lines of files with the same columns, in a temporary table of the transaction.

    `lines` has those columns, `n` (the order in which the lines were read), and `file` and `line`
    (the position of each). It also has the `known` columns that are required but may be empty: where the files lack
    one, it is empty in every line. `wanted` is the table that `lay_out` has made of them.
    """

    wanted: Any = None

    def __init__(
        self,
        session: Session,
        names: Sequence[str],
        columns: Sequence[ImportColumn],
        known: Sequence[ImportColumn] = (),
    ) -> None:
        self.session = session
        self.names = list(names)
        self.count = 0
        self._columns = columns
        lacking = [column for column in known if column.required and column not in columns]
        self.lines = Table(
            NAME,
            MetaData(),
            Column("n", BigInteger),
            Column("file", Integer),
            Column("line", BigInteger),
            *(Column(column.name, column.type) for column in self._columns),
            *(Column(c.name, c.type, server_default=_text_of(c.empty)) for c in lacking),
            prefixes=["TEMPORARY"],
        )
        self.lines.create(session.connection())

    @property
    def c(self) -> Any:
        """The columns of the staged lines."""
        return self.lines.c

    def has(self, name: str) -> bool:
        """Whether the files have that column: a value that they do not mention stays as it is stored."""
        return any(column.name == name for column in self._columns)

    def drop(self) -> None:
        """Remove the table, so that the same transaction may stage other files."""
        self.session.execute(text(f"DROP TABLE pg_temp.{NAME}"))
        self.session.execute(text(f"DROP TABLE IF EXISTS pg_temp.{WANTED}"))

    def lay_out(self, lines: Select[Any]) -> Any:
        """Store the rows that the lines, by their `n`, are to become: `wanted`, for checks and writing alike.

        So both act on the same state: the rows are locked before, or compared again while they are written.
        """
        columns = (Column(column.key, column.type) for column in lines.selected_columns)
        self.wanted = Table(WANTED, MetaData(), *columns, prefixes=["TEMPORARY"])
        self.session.execute(text(f"DROP TABLE IF EXISTS pg_temp.{WANTED}"))
        self.wanted.create(self.session.connection())
        self.session.execute(insert(self.wanted).from_select(list(self.wanted.c.keys()), lines))
        self.session.execute(text(f"ANALYZE pg_temp.{WANTED}"))
        return self.wanted

    def at(self, *values: ColumnElement[Any]) -> Select[Any]:
        """SELECT the position of each line, and `values` for the sentence, by label."""
        return select(self.c.file, self.c.line, *values).order_by(self.c.n)

    def repeated(self, *names: str) -> Select[Any]:
        """The lines that repeat the `names` of an earlier line; `first` is that line."""
        group = [self.c[name] for name in names]
        place = func.row_number().over(partition_by=group, order_by=self.c.n).label("place")
        first = func.first_value(self.c.line).over(partition_by=group, order_by=self.c.n)
        seen = self.at(self.c.n, place, first.label("first")).subquery()
        repeats = select(seen.c.file, seen.c.line, seen.c.first).where(seen.c.place > 1)
        return repeats.order_by(seen.c.n)

    def contradicting(self, name: str, within: str) -> Select[Any]:
        """The lines with another `name` than the first line of the same `within`; `first` is that value."""
        first = func.first_value(self.c[name]).over(
            partition_by=self.c[within], order_by=(self.c[name].is_(None), self.c.n)
        )
        seen = self.at(self.c[name].label("value"), first.label("first"), self.c.n).subquery()
        others = select(seen.c.file, seen.c.line, seen.c.first).where(seen.c.value != seen.c.first)
        return others.order_by(seen.c.n)

    def unknown(self, name: str, known: ColumnElement[Any]) -> Select[Any]:
        """The lines with a `name` that is not among the values of the column `known`; `value` is that name."""
        found = select(known).where(known == self.c[name]).exists()
        return self.at(self.c[name].label("value")).where(self.c[name].is_not(None), ~found)

    def problems(self, lines: Select[Any], column: str, message: str) -> Iterator[Problem]:
        """A problem for each of `lines`; their further columns are the params of `message`."""
        for row in self.session.execute(lines):
            values = dict(row._mapping)
            name, line = self.names[values.pop("file")], values.pop("line")
            yield Problem(name, line, column, message, {k: str(v) for k, v in values.items()})

    def leave_out(
        self, problems: Iterable[Problem], together: str = "", incomplete: Iterable[Any] = ()
    ) -> Iterator[Problem]:
        """Remove the lines with these problems from the stage, and the lines grouped with them.

        Lines are grouped by the column `together`; groups with one of the values `incomplete` are removed
        too. Yields a problem for each removed line that has none itself.
        """
        bad = self._places(problems)
        is_bad = exists().where(bad.c.file == self.c.file, bad.c.line == self.c.line)
        if not together:
            self._delete(is_bad)
            return
        owner = self.c[together]
        values = {*incomplete, *self.session.scalars(select(owner).where(is_bad).distinct())}
        belongs = owner == func.any(type_coerce(list(values), ARRAY(owner.type)))
        with_others = self.at(owner.label("value")).where(belongs, ~is_bad)
        yield from self.problems(with_others, together, WAITS)
        self._delete(belongs)

    def _delete(self, condition: ColumnElement[bool]) -> None:
        deleted = self.session.execute(
            delete(self.lines)
            .where(condition)
            .returning(self.c.n)
            .execution_options(synchronize_session=False)
        )
        self.count -= len(deleted.all())
        if self.wanted is not None:
            waiting = self.wanted.c.n.in_(select(self.c.n))
            self.session.execute(delete(self.wanted).where(~waiting))

    def _places(self, problems: Iterable[Problem]) -> Any:
        """The positions of these problems, as a table."""
        number = {name: place for place, name in enumerate(self.names)}
        places = list({(number[problem.file], problem.line) for problem in problems})
        return (
            func.unnest(
                type_coerce([file for file, _ in places], ARRAY(Integer)),
                type_coerce([line for _, line in places], ARRAY(BigInteger)),
            )
            .table_valued(column("file", Integer), column("line", BigInteger))
            .render_derived()
        )

    def load(self, files: Sequence[CsvFile]) -> None:
        """Stage the readable lines of these files."""
        connection = self.session.connection()
        names = ", ".join(column.name for column in self._columns)
        statement = f"COPY pg_temp.{NAME} (n, file, line, {names}) FROM STDIN"
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for number, file in enumerate(files):
                places = [file.columns.index(column) for column in self._columns]
                for line in file.lines():
                    values = (line.values[place] for place in places)
                    copy.write_row((self.count, number, line.number, *values))
                    self.count += 1
        self._analyse()

    def fill(self, rows: Select[Any]) -> None:
        """Stage the rows of a SELECT: `n`, `file`, `line`, and a text (or NULL) for each column, by its name."""
        source = rows.subquery().c
        values = [cast(source[column.name], column.type) for column in self._columns]
        lines = select(source.n, source.file, source.line, *values)
        names = ["n", "file", "line", *(column.name for column in self._columns)]
        self.session.execute(insert(self.lines).from_select(names, lines))
        self.count += self.session.scalar(select(func.count()).select_from(self.lines)) or 0
        self._analyse()

    def _analyse(self) -> None:
        """Analyse the table: autovacuum does not analyse temporary tables, and plans depend on their size."""
        self.session.execute(text(f"ANALYZE pg_temp.{NAME}"))


def _text_of(empty: Any) -> str | None:
    """The default of a column in every line of files that lack it."""
    return None if empty is None else str(empty)
